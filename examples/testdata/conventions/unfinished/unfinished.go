package unfinished

// TODO: the hard part.
func f() {
	panic("x") // not implemented yet
}

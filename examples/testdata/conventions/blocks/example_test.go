package blocks_test

func Example() {
	w := blocks.Always(1)
	// A comment between.
	_ = w
}

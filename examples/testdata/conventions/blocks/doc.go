// Package blocks shows code that nothing compiles.
//
//	v := blocks.Never(1)
//
// This one is compiled:
//
//	w := blocks.Always(1)
//	_ = w
//
// And this one is not Go:
//
//	go run blocks.example
package blocks

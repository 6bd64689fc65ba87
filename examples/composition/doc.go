// Package composition holds no code, only tests: all packages of bedplate at
// once, nested as a service would nest them, while calls succeed, fail, are slow,
// panic, exit their goroutine, and are cancelled at every point. When all is over
// nothing is left, and the figures of each package agree with those of its
// neighbours and with a ledger that the tests keep themselves.
//
//	go test ./examples/composition
//	go test -race ./examples/composition -calls=1000000
//
// The laws that hold between the figures are written in laws_test.go.
package composition

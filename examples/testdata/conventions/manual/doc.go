// Package manual begins well.
//
// # Usage
//
// Call it.
//
// # Context
//
// Before the guarantees, which is the wrong order.
//
// # Guarantees
//
// None.
package manual

// Package breaker guards calls to a dependency with a circuit breaker.
package breaker

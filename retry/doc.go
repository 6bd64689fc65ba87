// Package retry calls functions again until they succeed.
package retry

// Package hedge cuts the slow end off latencies.
package hedge

// Package ratelimitredis x.
package ratelimitredis

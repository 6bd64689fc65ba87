// Package bulkhead bounds how many calls use a resource at one time.
package bulkhead

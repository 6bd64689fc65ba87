// Package browsertest drives the page of memwatchhttp in a real browser,
// headless Chromium, against processes that leak on purpose. It has no code but
// tests, and skips them where no Chromium is found on the PATH.
//
//	$ go test -race .
//	$ go test -artifacts -outputdir /tmp/shots .   # keeps the screenshots
package browsertest

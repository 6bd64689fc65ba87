package memwatchhttp

import (
	"net/url"
	"time"
)

// maxQuery bounds what is parsed of a query.
const maxQuery = 256

// only parses a query in which at most the parameter of that name may occur,
// once, and returns its value, empty if it is not there.
func only(query, name string) (value string, ok bool) {
	if len(query) > maxQuery {
		return "", false
	}
	values, err := url.ParseQuery(query)
	if err != nil {
		return "", false
	}
	for key, list := range values {
		if key != name || len(list) != 1 {
			return "", false
		}
		value = list[0]
	}
	return value, true
}

// parseSince reads ?since=, a time of RFC 3339. Without it, it is the zero time.
func parseSince(query string) (time.Time, bool) {
	text, ok := only(query, "since")
	if !ok || text == "" {
		return time.Time{}, ok
	}
	t, err := time.Parse(time.RFC3339Nano, text)
	return t, err == nil
}

// parseDebug reads ?debug=, which is 0 for a profile as pprof reads it, or 1
// for text. Without it, it is 0.
func parseDebug(query string) (int, bool) {
	switch text, ok := only(query, "debug"); {
	case !ok:
		return 0, false
	case text == "" || text == "0":
		return 0, true
	case text == "1":
		return 1, true
	}
	return 0, false
}

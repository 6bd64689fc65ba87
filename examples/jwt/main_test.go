package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTheStoryGoesAsItShould(t *testing.T) {
	var out strings.Builder
	require.NoError(t, run(t.Context(), &out))
	var steps []string
	for line := range strings.Lines(out.String()) {
		if !strings.HasPrefix(line, "  ") {
			steps = append(steps, strings.TrimSpace(line))
		}
	}
	require.Equal(t, []string{
		"profile without a token: 401 Unauthorized",
		"login: 200 OK",
		"profile with the access token: 200 OK",
		"profile with a forged token: 401 Unauthorized",
		"profile with the refresh token: 401 Unauthorized",
		"refresh: 200 OK",
		"the same at once, as from a second tab: 200 OK",
		"the second tab got the same tokens: true",
		"profile with the new access token: 200 OK",
		"server: a refresh token of user 7 was used twice, the session is over",
		"the first refresh token, replayed later: 400 Bad Request",
		"the newest refresh token: 400 Bad Request",
		"profile with the last access token: 401 Unauthorized",
	}, steps)
	require.Contains(t, out.String(), `{"id":"7","name":"Ada","role":"admin"}`)
	require.NotContains(t, out.String(), "eyJ", "no token is printed")
}

package jwthttp_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bedplate/bedplate/jwt"
	"github.com/bedplate/bedplate/jwt/jwthttp"
)

// FuzzGuard takes any two Authorization fields and any Cookie field: whoever gets
// in has sent the good token, whole; nothing of what was sent comes back, and each
// answer is one of the table.
func FuzzGuard(f *testing.F) {
	good := sign(f, Claims{Name: "Ada"})
	for _, seed := range [][3]string{
		{"Bearer GOOD", "", ""}, {"", "", "t=GOOD"}, {"Bearer GOOD", "", "t=GOOD"}, {"Bearer GOOD", "Basic x", ""}, {"bearer  GOOD", "", "t=x"},
		{"Bearer GOOD, Bearer GOOD", "", ""}, {"Basic x", "", `t="GOOD"`}, {"Bearer\tGOOD", "", "t=GOOD; t=GOOD"}, {"Bearer GOOD\r\nX: 1", "", "a=b;t=GOOD"},
		{`Bearer x", error="none`, "", "t=;t"}, {"Bearer GOOD=", "\x00", "t =GOOD"}, {"", "", "T=GOOD; __Host-t=GOOD"},
	} {
		f.Add(seed[0], seed[1], seed[2])
	}
	var told error
	h := jwthttp.MustNew(jwthttp.Config[Claims]{
		Verifier: jwt.MustNewVerifier[Claims](verifierConfig()), Cookie: "t", OnError: func(_ *http.Request, err error) { told = err },
	}).Handler(hello)
	f.Fuzz(func(t *testing.T, first, second, cookie string) {
		told = nil
		r := httptest.NewRequest(http.MethodGet, "https://host.example/", nil)
		sent := ""
		for name, value := range map[string]string{"Authorization": first, "Authorization ": second, "Cookie": cookie} { //nolint:gocritic // a space that is told from no space
			if value != "" {
				value = strings.ReplaceAll(value, "GOOD", good)
				sent += value + "\n"
				r.Header.Add(strings.TrimSpace(name), value)
			}
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		challenge := w.Header().Get("WWW-Authenticate")
		require.NotContains(t, challenge+w.Body.String(), good)
		switch w.Code {
		case http.StatusOK:
			require.Contains(t, sent, good)
			require.Equal(t, "Adatrue", w.Body.String())
			require.NoError(t, told)
			require.False(t, first != "" && second != "", "two fields are ambiguous")
		case http.StatusUnauthorized, http.StatusBadRequest:
			require.Error(t, told)
			require.True(t, strings.HasPrefix(challenge, `Bearer realm="api"`))
			require.LessOrEqual(t, len(challenge)+w.Body.Len(), 300)
			require.Equal(t, "no-store", w.Header().Get("Cache-Control"))
		default:
			require.Fail(t, "another answer", "%d", w.Code)
		}
	})
}

// FuzzRefresher takes any body of any type: only the good token refreshes, no
// other is echoed, and what was refused has not spent it.
func FuzzRefresher(f *testing.F) {
	for _, seed := range [][2]string{
		{asForm[0], "refresh_token=GOOD"}, {asForm[0], "refresh_token=GOOD&refresh_token=x"}, {asJSON[0], `{"refresh_token":"GOOD"}`},
		{asJSON[0], `{"refresh_token":"x","\u0072efresh_token":"GOOD"}`}, {asJSON[0], `{"a":[{"b":null}],"grant_type":"refresh_token","refresh_token":"GOOD"} `},
		{asJSON[0], `["GOOD"]`}, {"text/plain", "GOOD"}, {"application/json; x", "{"}, {asForm[0], "refresh_token=%47OOD;a=b"}, {"", ""},
	} {
		f.Add(seed[0], seed[1])
	}
	store := memory()
	s := jwt.MustNewSessions(jwt.SessionsConfig[Claims]{Keys: testKeys, Store: store, Issuer: "i", Audience: []string{"a"}, Grace: -1})
	h := jwthttp.MustNewRefresher(jwthttp.RefreshConfig[Claims]{Sessions: s})
	f.Fuzz(func(t *testing.T, media, body string) {
		p, err := s.Start(t.Context(), Claims{Registered: jwt.Registered{Subject: "alice"}})
		require.NoError(t, err)
		body = strings.ReplaceAll(body, "GOOD", p.Refresh)
		r := httptest.NewRequest(http.MethodPost, "https://host.example/", strings.NewReader(body))
		r.Header["Content-Type"] = []string{media}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		require.NotContains(t, w.Body.String(), p.Refresh)
		require.Equal(t, "no-store", w.Header().Get("Cache-Control"))
		_, err = s.Refresh(t.Context(), p.Refresh)
		switch w.Code {
		case http.StatusOK:
			require.ErrorIs(t, err, jwt.ErrReused, "it was spent")
		case http.StatusBadRequest, http.StatusRequestEntityTooLarge:
			require.NoError(t, err, "it was not spent")
		default:
			require.Fail(t, "another answer", "%d", w.Code)
		}
	})
}

package api_test

import (
	"encoding/csv"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

type imported struct {
	Imported, Refused int
	Rejected          []struct {
		Line  int
		Error string
	}
	Error string
}

func TestWhatIsExportedCanBeImported(t *testing.T) {
	s := start(t)
	v := s.watch()
	ada, bob := s.register("ada@example.com").Access, s.register("bob@example.com").Access
	var file strings.Builder
	w := csv.NewWriter(&file)
	const rows = 1234
	require.NoError(t, w.Write([]string{"slug", "url"}))
	for i := range rows {
		require.NoError(t, w.Write([]string{fmt.Sprintf("slug-%04d", i), fmt.Sprintf(`https://example.com/%d?q="a,b"`, i)}))
	}
	w.Flush()
	var result imported
	s.into(s.send("POST", "/api/links/import", ada, file.String(), "X-Import-Id", "my-import"), 200, &result)
	require.Equal(t, rows, result.Imported)
	require.Empty(t, result.Rejected)
	require.Eventually(t, func() bool {
		v.mu.Lock()
		defer v.mu.Unlock()
		return len(v.steps) > 0 && v.steps[len(v.steps)-1]["rows"] == float64(rows)
	}, longest, often)
	v.mu.Lock()
	last := v.steps[len(v.steps)-1]
	v.mu.Unlock()
	require.Equal(t, map[string]any{"id": "my-import", "done": float64(file.Len()), "total": float64(file.Len()), "rows": float64(rows)}, last)

	exported := s.send("GET", "/api/links/export.csv", ada, nil)
	require.Equal(t, 200, exported.status)
	records, err := csv.NewReader(strings.NewReader(string(exported.body))).ReadAll()
	require.NoError(t, err)
	require.Len(t, records, rows+1)
	require.Equal(t, []string{"slug", "url", "hits", "created"}, records[0])
	require.Equal(t, `https://example.com/7?q="a,b"`, records[8][1])
	s.into(s.send("POST", "/api/links/import", bob, string(exported.body)), 200, &result)
	require.Equal(t, 0, result.Imported)
	require.Equal(t, rows, result.Refused, "they are ada's")
	require.Len(t, result.Rejected, 100, "of which the first are told")
	require.Equal(t, 2, result.Rejected[0].Line)
}

func TestHostileCSVIsRejectedRecordByRecord(t *testing.T) {
	s := start(t)
	token := s.register("ada@example.com").Access
	for name, c := range map[string]struct {
		body               string
		status             int
		imported, rejected int
		text               string
	}{
		"nothing":               {"", 200, 0, 0, ""},
		"columns the other way": {"url,slug\nhttps://example.com,other-way\n", 200, 1, 0, ""},
		"no slugs":              {"url\nhttps://example.com/1\nhttps://example.com/2\n", 200, 2, 0, ""},
		"bad rows":              {"aaa,https://example.com\nbbb\nccc,javascript:alert(1)\naaa,https://example.com\n\"d\nd\",https://example.com\n", 200, 1, 4, ""},
		"an open quote":         {"eee,https://example.com\nfff,\"https://example.com\n", 400, 0, 0, "quote"},
		"a bare quote":          {"ggg,https://exa\"mple.com\n", 400, 0, 0, "quote"},
		"a record for ever":     {"hhh,https://example.com/" + strings.Repeat("x", 1<<20), 400, 0, 0, "longer than"},
		"no text":               {"\x00\xff\xfe,\x00\n", 200, 0, 1, ""},
		"many columns":          {strings.Repeat(",", 5000) + "\n", 200, 0, 1, ""},
		"formulas":              {"iii,=cmd()\n", 200, 0, 1, ""},
	} {
		t.Run(name, func(t *testing.T) {
			var result imported
			s.into(s.send("POST", "/api/links/import", token, c.body), c.status, &result)
			require.Equal(t, c.rejected, result.Refused, "%v", result)
			if c.text == "" {
				require.Equal(t, c.imported, result.Imported, "%v", result)
			}
			require.Contains(t, result.Error, c.text)
		})
	}
}

func TestAnImportIsBounded(t *testing.T) {
	s := start(t)
	token := s.register("ada@example.com").Access
	s.refused(s.send("POST", "/api/links/import", token, strings.Repeat("\n", 17<<20)), 413, "larger")
	var result imported
	s.into(s.send("POST", "/api/links/import", token, strings.Repeat("aaa,x\n", 2<<20)), 400, &result)
	require.Contains(t, result.Error, "records are wrong")
	require.Less(t, result.Refused, 20_000)
}

func TestAnImportSaysThatTheDatabaseIsAway(t *testing.T) {
	s := start(t)
	token := s.register("ada@example.com").Access
	s.into(s.send("GET", "/api/profile", token, nil), 200, nil)
	s.breaks("database", true)
	require.Equal(t, "pool", s.refused(s.send("POST", "/api/links/import", token, "aaa,https://example.com\n"), 503, "database"))
	require.Equal(t, "pool", s.refused(s.send("GET", "/api/links/export.csv", token, nil), 503, "database"))
}

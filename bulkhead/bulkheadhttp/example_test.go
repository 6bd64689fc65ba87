package bulkheadhttp_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/bedplate/bedplate/bulkhead"
	"github.com/bedplate/bedplate/bulkhead/bulkheadhttp"
)

// While its slots are taken a route answers after a second, with when to come
// again; the other routes of the server do not notice.
func Example() {
	reportHandler := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "report")
	})
	mux := http.NewServeMux()

	reports := bulkhead.MustNew(bulkhead.Config{Name: "reports", Limit: 4, MaxWait: time.Second})
	mux.Handle("/reports/", bulkheadhttp.Handler(reports, reportHandler))

	get := func() {
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/reports/", nil))
		fmt.Printf("%d, Retry-After %q\n", w.Code, w.Header().Get("Retry-After"))
	}
	get()
	all, _ := reports.TryAcquireN(4) // as if four requests were running
	get()
	all.Release()
	get()

	// Output:
	// 200, Retry-After ""
	// 503, Retry-After "1"
	// 200, Retry-After ""
}

func ExampleHandler() {
	b := bulkhead.MustNew(bulkhead.Config{Limit: 8})
	h := bulkheadhttp.Handler(b, http.NotFoundHandler())
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
	fmt.Println(w.Code)
	// Output: 404
}

package bulkheadhttp_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"

	"github.com/bedplate/bedplate/bulkhead"
	"github.com/bedplate/bedplate/bulkhead/bulkheadhttp"
)

// A route with two slots and nobody waiting answers the third request at once.
func Example() {
	reports := bulkhead.MustNew(bulkhead.Config{Name: "reports", Limit: 2, NoWait: true})
	mux := http.NewServeMux()
	mux.Handle("/reports", bulkheadhttp.Handler(reports, http.HandlerFunc(
		func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "report") })))

	get := func() {
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/reports", nil))
		fmt.Printf("%d, Retry-After %q\n", w.Code, w.Header().Get("Retry-After"))
	}
	get()
	both, _ := reports.TryAcquireN(2) // as if two requests were running
	get()
	both.Release()
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

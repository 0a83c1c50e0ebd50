package browser

import (
	"bytes"
	"compress/gzip"
	"net/http"
	"net/http/httptest"
	"testing"
)

// Pages load the module before anything is shown: it stays small.
func TestSize(t *testing.T) {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write(module); err != nil || w.Close() != nil {
		t.Fatal(err)
	}
	if b.Len() > 4<<10 {
		t.Errorf("%d bytes compressed", b.Len())
	}
}

func TestServeHTTP(t *testing.T) {
	for method, length := range map[string]int{http.MethodGet: len(module), http.MethodHead: 0} {
		r, w := httptest.NewRequest(method, "/sum?client.js", nil), httptest.NewRecorder()
		ServeHTTP(w, r)
		if w.Code != http.StatusOK || w.Body.Len() != length || w.Header().Get("Content-Type") != "text/javascript; charset=utf-8" {
			t.Errorf("%s is answered with %d, %d bytes, %v", method, w.Code, w.Body.Len(), w.Header())
		}
		r.Header.Set("If-None-Match", w.Header().Get("ETag"))
		again := httptest.NewRecorder()
		if ServeHTTP(again, r); again.Code != http.StatusNotModified {
			t.Errorf("%s is answered again with %d", method, again.Code)
		}
	}
}

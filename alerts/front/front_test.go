package front_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/alertlab/alertlab/alerts/front"
)

// startFront runs a front before a server that notes what reached it.
func startFront(t *testing.T, path string) (base string, reached func() []*http.Request) {
	t.Helper()
	seen := make(chan *http.Request, 100)
	behind := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		seen <- req
		w.Header().Set("Content-Type", "application/vnd.schemaregistry.v1+json")
		if strings.HasSuffix(req.URL.Path, "/404") {
			w.WriteHeader(http.StatusNotFound)
			_, _ = io.WriteString(w, `{"error_code":40403,"message":"schema 404 not found"}`)
			return
		}
		_, _ = io.WriteString(w, `{"schema":"\"long\""}`)
	}))
	t.Cleanup(behind.Close)
	target, err := url.Parse(behind.URL + path)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(front.ReadOnly(target))
	t.Cleanup(server.Close)
	return server.URL, func() []*http.Request {
		var all []*http.Request
		for len(seen) > 0 {
			all = append(all, <-seen)
		}
		return all
	}
}

func send(t *testing.T, method, url string, header http.Header, body string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for name, values := range header {
		req.Header[name] = values
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(got)
}

func TestReadingPasses(t *testing.T) {
	t.Parallel()
	base, reached := startFront(t, "")
	for _, test := range []struct {
		method, path string
		status       int
		body         string
	}{
		{http.MethodGet, "/schemas/ids/704", http.StatusOK, `{"schema":"\"long\""}`},
		{http.MethodHead, "/schemas/ids/704", http.StatusOK, ""},
		{http.MethodGet, "/subjects/a%2Fb%20c/versions/latest?deleted=true", http.StatusOK, `{"schema":"\"long\""}`},
		{http.MethodGet, "/schemas/ids/404", http.StatusNotFound, `{"error_code":40403,"message":"schema 404 not found"}`},
	} {
		resp, body := send(t, test.method, base+test.path, nil, "")
		if resp.StatusCode != test.status || body != test.body {
			t.Errorf("%s %s: got %d %s", test.method, test.path, resp.StatusCode, body)
		}
		if media := resp.Header.Get("Content-Type"); media != "application/vnd.schemaregistry.v1+json" {
			t.Errorf("%s %s: content type %q", test.method, test.path, media)
		}
		requests := reached()
		if len(requests) != 1 || requests[0].Method != test.method || requests[0].URL.RequestURI() != test.path {
			t.Errorf("%s %s: reached the registry as %v", test.method, test.path, requests)
		}
	}
}

func TestTheTargetsPathComesFirst(t *testing.T) {
	t.Parallel()
	base, reached := startFront(t, "/registry")
	send(t, http.MethodGet, base+"/subjects", nil, "")
	if requests := reached(); len(requests) != 1 || requests[0].URL.Path != "/registry/subjects" {
		t.Errorf("reached the registry as %v", requests)
	}
}

func TestEverythingElseIsRefused(t *testing.T) {
	t.Parallel()
	base, reached := startFront(t, "")
	for _, method := range []string{"POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "PROPFIND", "get", "GETS"} {
		resp, body := send(t, method, base+"/subjects/s/versions", nil, `{"schema":"\"long\""}`)
		var failure struct {
			Code    int    `json:"error_code"`
			Message string `json:"message"`
		}
		if err := json.Unmarshal([]byte(body), &failure); err != nil || failure.Code != http.StatusForbidden || failure.Message == "" {
			t.Errorf("%s: body %s", method, body)
		}
		if resp.StatusCode != http.StatusForbidden || resp.Header.Get("Content-Type") != "application/vnd.schemaregistry.v1+json" {
			t.Errorf("%s: got %d, %s", method, resp.StatusCode, resp.Header)
		}
	}
	if requests := reached(); len(requests) > 0 {
		t.Errorf("the registry was reached by %v", requests)
	}
}

// TestAGetStaysAGet sends what could make something else of a request once it is
// past the front.
func TestAGetStaysAGet(t *testing.T) {
	t.Parallel()
	base, reached := startFront(t, "")
	send(t, http.MethodGet, base+"/subjects/s", http.Header{
		"X-Http-Method-Override": {"DELETE"}, "X-Http-Method": {"DELETE"}, "X-Method-Override": {"DELETE"},
		"Connection": {"Upgrade"}, "Upgrade": {"websocket"},
	}, "")
	requests := reached()
	if len(requests) != 1 {
		t.Fatalf("reached the registry as %v", requests)
	}
	for name := range requests[0].Header {
		if strings.Contains(name, "Method") || name == "Upgrade" {
			t.Errorf("header %s passed", name)
		}
	}
}

func TestARegistryThatIsAway(t *testing.T) {
	t.Parallel()
	gone := httptest.NewServer(http.NotFoundHandler())
	target, err := url.Parse(gone.URL)
	if err != nil {
		t.Fatal(err)
	}
	gone.Close()
	server := httptest.NewServer(front.ReadOnly(target))
	defer server.Close()
	resp, body := send(t, http.MethodGet, server.URL+"/subjects", nil, "")
	if resp.StatusCode != http.StatusBadGateway || !strings.Contains(body, `"error_code":502`) {
		t.Errorf("got %d %s", resp.StatusCode, body)
	}
}

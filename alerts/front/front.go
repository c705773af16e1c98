package front

import (
	"log/slog"
	"net/http"
	"net/http/httputil"
	"net/url"
)

// contentType is the registry's media type (Confluent Schema Registry API v1).
const contentType = "application/vnd.schemaregistry.v1+json"

// ReadOnly passes GET and HEAD on to target, whose path, if it has one, is put
// before that of the request. Any other method is answered with 403, and a
// target that does not answer is a 502, both in the registry's error form.
func ReadOnly(target *url.URL) http.Handler {
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
			r.SetXForwarded()
			// What makes something else of a GET on the other side: some
			// frameworks let a header replace the method, and an upgraded
			// connection would no longer be looked at.
			for _, name := range []string{"X-Http-Method-Override", "X-Http-Method", "X-Method-Override", "Upgrade", "Connection"} {
				r.Out.Header.Del(name)
			}
		},
		// Failures are answered below; the default would also print them.
		ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelError),
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, _ error) {
			refuse(w, http.StatusBadGateway, `{"error_code":502,"message":"the schema registry does not answer"}`)
		},
	}
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if req.Method != http.MethodGet && req.Method != http.MethodHead {
			w.Header().Set("Allow", http.MethodGet+", "+http.MethodHead)
			refuse(w, http.StatusForbidden, `{"error_code":403,"message":"the schema registry can only be read from here"}`)
			return
		}
		proxy.ServeHTTP(w, req)
	})
}

func refuse(w http.ResponseWriter, status int, body string) {
	w.Header().Set("Content-Type", contentType)
	w.WriteHeader(status)
	_, _ = w.Write([]byte(body)) // the client may be gone; nobody else wants to know
}

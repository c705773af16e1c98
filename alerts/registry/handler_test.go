package registry_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/alertlab/alertlab/alerts/registry"
)

const (
	one      = `{"type":"record","name":"a.R","fields":[{"name":"x","type":"long"}]}`
	oneText  = `{\"type\":\"record\",\"name\":\"a.R\",\"fields\":[{\"name\":\"x\",\"type\":\"long\"}]}`
	two      = `{"type":"record","name":"a.R","fields":[{"name":"x","type":"long"},{"name":"y","type":"int","default":1}]}`
	narrow   = `{"type":"record","name":"a.R","fields":[{"name":"x","type":"int"}]}`
	mustY    = `{"type":"record","name":"a.R","fields":[{"name":"x","type":"long"},{"name":"y","type":"int"}]}`
	metadata = `"metadata":{"properties":{"confluent:version":"704"}}`
)

func TestRegisterAndRead(t *testing.T) {
	t.Parallel()
	converse(t, openNew(t), []exchange{
		{`GET /`, `{}`},
		{`GET /schemas/types`, `["AVRO"]`},
		{`GET /contexts`, `["."]`},
		{`GET /subjects`, `[]`},
		{`GET /schemas`, `[]`},
		{`GET /subjects/s/versions`, `404 40401`},
		{`GET /subjects/s/versions/1`, `404 40401`},
		{`GET /schemas/ids/1`, `404 40403`},
		{`GET /schemas/ids/x`, `404 404`},
		{`POST /subjects/s ` + post(one), `404 40401`},

		{`POST /subjects/s/versions ` + post(one, metadata, `"someday":{"is":"known"}`), `{"id":100001,"version":1}`},
		{`POST /subjects/s/versions ` + post(one), `{"id":100001,"version":1}`},
		// Layout and the way names are qualified make no other schema.
		{`POST /subjects/s/versions ` + post(` { "name":"R", "namespace":"a", "type":"record", "fields":[ {"type":{"type":"long"},"name":"x"} ] } `), `{"id":100001,"version":1}`},
		{`POST /subjects/s/versions ` + post(two), `{"id":100002,"version":2}`},
		{`POST /subjects/t/versions ` + post(two, `"schemaType":"AVRO"`), `{"id":100002,"version":1}`},
		// A subject may have characters that a path has to escape.
		{`POST /subjects/with%2Fslash%20and%20%C3%A9/versions ` + post(two), `{"id":100002,"version":1}`},

		{`GET /subjects`, `["s","t","with/slash and é"]`},
		{`GET /subjects?subjectPrefix=w`, `["with/slash and é"]`},
		{`GET /subjects?subjectPrefix=:*:t`, `["t"]`},
		{`GET /subjects?offset=1&limit=1`, `["t"]`},
		{`GET /subjects?offset=9`, `[]`},
		{`GET /subjects/s/versions`, `[1,2]`},
		{`GET /subjects/with%2Fslash%20and%20%C3%A9/versions`, `[1]`},
		{`GET /subjects/s/versions/1`, `{"subject":"s","version":1,"id":100001,"metadata":{"properties":{"confluent:version":"704"}},"schema":"` + oneText + `"}`},
		{`GET /subjects/s/versions/1/schema`, one},
		{`GET /subjects/s/versions/latest/schema`, two},
		{`GET /subjects/s/versions/-1/schema`, two},
		{`GET /subjects/s/versions/3`, `404 40402`},
		{`GET /subjects/s/versions/0`, `422 42202`},
		{`GET /subjects/s/versions/2147483648`, `422 42202`},
		{`GET /subjects/s/versions/newest`, `422 42202`},
		{`GET /subjects/u/versions/latest`, `404 40401`},
		{`GET /schemas/ids/100001`, `{"metadata":{"properties":{"confluent:version":"704"}},"schema":"` + oneText + `"}`},
		{`GET /schemas/ids/100001/schema`, one},
		{`GET /schemas/ids/100002/subjects`, `["s","t","with/slash and é"]`},
		{`GET /schemas/ids/100002/versions`, `[{"subject":"s","version":2},{"subject":"t","version":1},{"subject":"with/slash and é","version":1}]`},
		{`GET /schemas/ids/100002/versions?subject=t`, `[{"subject":"t","version":1}]`},
		{`GET /schemas/ids/100003`, `404 40403`},
		{`GET /schemas?subjectPrefix=s&limit=1`, `[{"subject":"s","version":1,"id":100001,"metadata":{"properties":{"confluent:version":"704"}},"schema":"` + oneText + `"}]`},

		{`POST /subjects/s ` + post(one), `{"subject":"s","version":1,"id":100001,"metadata":{"properties":{"confluent:version":"704"}},"schema":"` + oneText + `"}`},
		{`POST /subjects/t ` + post(one), `404 40403`},
		{`POST /subjects/t ` + post(`{`), `422 42201`},
	}...)
}

func TestMetadataIsNoPartOfIdentity(t *testing.T) {
	t.Parallel()
	converse(t, openNew(t), []exchange{
		{`PUT /mode/alert-packet {"mode":"IMPORT"}`, `{"mode":"IMPORT"}`},
		{`POST /subjects/alert-packet/versions ` + post(one, `"id":704`, `"version":704`), `{"id":704,"version":704}`},
		{`POST /subjects/lsst-alerts-v7.4-value/versions ` + post(one, metadata), `{"id":704,"version":1}`},
		{`POST /subjects/lsst-alerts-v7.4-value/versions ` + post(one, `"metadata":{"properties":{"else":"1"}}`), `{"id":704,"version":1}`},
		{`GET /subjects/alert-packet/versions/latest`, `{"subject":"alert-packet","version":704,"id":704,"schema":"` + oneText + `"}`},
		{`GET /subjects/lsst-alerts-v7.4-value/versions/latest`, `{"subject":"lsst-alerts-v7.4-value","version":1,"id":704,"metadata":{"properties":{"confluent:version":"704"}},"schema":"` + oneText + `"}`},
		{`GET /schemas/ids/704?subject=lsst-alerts-v7.4-value`, `{"metadata":{"properties":{"confluent:version":"704"}},"schema":"` + oneText + `"}`},
		{`GET /schemas/ids/704`, `{"schema":"` + oneText + `"}`},
	}...)
}

func TestWhatIsNoSchema(t *testing.T) {
	t.Parallel()
	converse(t, openNew(t), []exchange{
		{`POST /subjects/s/versions ` + post(``), `422 42201`},
		{`POST /subjects/s/versions {}`, `422 42201`},
		{`POST /subjects/s/versions ` + post(`string`), `422 42201`},
		{`POST /subjects/s/versions ` + post(`{"type":"record"}`), `422 42201`},
		{`POST /subjects/s/versions ` + post(`{"type":"record","name":"R","fields":[{"name":"x","type":"Other"}]}`), `422 42201`},
		{`POST /subjects/s/versions ` + post(`syntax = "proto3";`, `"schemaType":"PROTOBUF"`), `422 42201`},
		{`POST /subjects/s/versions ` + post(one, `"ruleSet":{"domainRules":[]}`), `422 42210`},
		{`POST /subjects/s/versions ` + post(one, `"version":2147483648`), `422 42201`},
		{`POST /subjects/s/versions ` + post(one, `"references":[{"name":"a.B","subject":"nobody","version":1}]`), `422 42201`},
		{`POST /subjects/s/versions ` + post(one, `"references":[{"name":"a.B","subject":"nobody","version":-1}]`), `422 42201`},
		{`POST /subjects/s/versions not JSON`, `400 400`},
		{`POST /subjects/s/versions {"schema":5}`, `400 400`},
		{`POST /subjects/s/versions ` + post(`"string"`), `{"id":100001,"version":1}`},
		// Types of one schema are not known to the next.
		{`POST /subjects/r/versions ` + post(one), `{"id":100002,"version":1}`},
		{`POST /subjects/u/versions ` + post(`{"type":"array","items":"a.R"}`), `422 42201`},
		{`GET /nothing/here`, `404 404`},
		{`PATCH /subjects`, `405 405`},
		{`GET /compatibility/subjects/s/versions/1`, `405 405`},
	}...)
}

func TestATooLargeSchemaIsRefused(t *testing.T) {
	t.Parallel()
	base := openNew(t)
	large := `{"type":"enum","name":"E","symbols":["A"],"doc":"` + strings.Repeat("x", 2<<20) + `"}`
	converse(t, base,
		exchange{`POST /subjects/s/versions ` + post(large), `422 42209`},
		exchange{`POST /subjects/s/versions ` + strings.Repeat(" ", 9<<20), `422 42209`},
		exchange{`POST /subjects/s/versions ` + post(one), `{"id":100001,"version":1}`},
	)
}

func TestHeadIsGetWithoutBody(t *testing.T) {
	t.Parallel()
	status, body := call(t, http.MethodHead, openNew(t)+"/subjects", "")
	if status != http.StatusOK || body != "" {
		t.Errorf("got %d %q", status, body)
	}
}

func TestDelete(t *testing.T) {
	t.Parallel()
	converse(t, openNew(t), []exchange{
		{`DELETE /subjects/s`, `404 40401`},
		{`DELETE /subjects/s/versions/1`, `404 40401`},
		{`PUT /config {"compatibility":"NONE"}`, `{"compatibility":"NONE"}`},
		{`POST /subjects/s/versions ` + post(one), `{"id":100001,"version":1}`},
		{`POST /subjects/s/versions ` + post(two), `{"id":100002,"version":2}`},
		{`POST /subjects/s/versions ` + post(mustY), `{"id":100003,"version":3}`},
		{`DELETE /subjects/s/versions/9`, `404 40402`},
		{`DELETE /subjects/s/versions/x`, `422 42202`},
		{`DELETE /subjects/s/versions/2?permanent=true`, `404 40407`},
		{`DELETE /subjects/s/versions/2`, `2`},
		{`DELETE /subjects/s/versions/2`, `404 40406`},
		{`GET /subjects/s/versions/2`, `404 40402`},
		{`GET /subjects/s/versions`, `[1,3]`},
		{`GET /subjects/s/versions?deleted=true`, `[1,2,3]`},
		{`GET /subjects/s/versions?deletedOnly=true`, `[2]`},
		{`GET /subjects/s/versions/2/schema?deleted=true`, two},
		{`POST /subjects/s ` + post(two), `404 40403`},
		// What was written with the id must stay readable.
		{`GET /schemas/ids/100002/schema`, two},
		{`GET /schemas/ids/100002/versions`, `[]`},
		{`GET /schemas/ids/100002/versions?deleted=true`, `[{"subject":"s","version":2}]`},
		// What comes back keeps its id and gets a new version.
		{`POST /subjects/s/versions ` + post(two), `{"id":100002,"version":4}`},
		{`GET /subjects/s/versions?deleted=true`, `[1,3,4]`},
		{`DELETE /subjects/s/versions/latest`, `4`},
		{`DELETE /subjects/s/versions/4?permanent=true`, `4`},
		{`GET /schemas/ids/100002`, `404 40403`},

		{`DELETE /subjects/s?permanent=true`, `404 40405`},
		{`DELETE /subjects/s`, `[1,3]`},
		{`DELETE /subjects/s`, `404 40404`},
		{`GET /subjects/s/versions`, `404 40401`},
		{`GET /subjects`, `[]`},
		{`GET /subjects?deleted=true`, `["s"]`},
		{`GET /subjects?deletedOnly=true`, `["s"]`},
		{`PUT /config/s {"compatibility":"FULL"}`, `{"compatibility":"FULL"}`},
		{`PUT /mode/s {"mode":"READWRITE"}`, `{"mode":"READWRITE"}`},
		{`DELETE /subjects/s?permanent=true`, `[1,3]`},
		{`GET /subjects?deleted=true`, `[]`},
		{`GET /config/s`, `404 40408`},
		{`GET /mode/s`, `404 40409`},
		{`DELETE /subjects/s?permanent=true`, `404 40401`},
		// An id is not used twice.
		{`POST /subjects/s/versions ` + post(narrow), `{"id":100004,"version":1}`},
		{`DELETE /subjects/s/versions/1`, `1`},
		{`PUT /config/s {"compatibility":"FULL"}`, `{"compatibility":"FULL"}`},
		{`DELETE /subjects/s/versions/latest?permanent=true`, `1`},
		{`GET /config/s`, `404 40408`},
	}...)
}

func TestModes(t *testing.T) {
	t.Parallel()
	converse(t, openNew(t), []exchange{
		{`GET /mode`, `{"mode":"READWRITE"}`},
		{`GET /mode/s`, `404 40409`},
		{`GET /mode/s?defaultToGlobal=true`, `{"mode":"READWRITE"}`},
		{`PUT /mode/s {"mode":"OPEN"}`, `422 42204`},
		{`DELETE /mode/s`, `404 40401`},
		{`DELETE /mode`, `{"mode":"READWRITE"}`},
		{`POST /subjects/s/versions ` + post(one, `"id":704`, `"version":704`), `422 42205`},
		{`POST /subjects/s/versions ` + post(one, `"version":2`), `422 42201`},
		{`POST /subjects/s/versions ` + post(one, `"version":1`), `{"id":100001,"version":1}`},
		// What is there already is no change.
		{`POST /subjects/s/versions ` + post(one, `"id":100001`), `{"id":100001,"version":1}`},

		{`PUT /mode/s {"mode":"readonly"}`, `{"mode":"READONLY"}`},
		{`GET /mode/s`, `{"mode":"READONLY"}`},
		{`POST /subjects/s/versions ` + post(one), `{"id":100001,"version":1}`},
		{`POST /subjects/s/versions ` + post(two), `422 42205`},
		{`DELETE /subjects/s`, `422 42205`},
		{`DELETE /subjects/s/versions/1`, `422 42205`},
		{`PUT /config/s {"compatibility":"NONE"}`, `422 42205`},
		{`POST /subjects/t/versions ` + post(two), `{"id":100002,"version":1}`},
		{`DELETE /mode/s`, `{"mode":"READONLY"}`},

		{`PUT /mode {"mode":"READONLY"}`, `{"mode":"READONLY"}`},
		{`POST /subjects/t/versions ` + post(one), `422 42205`},
		{`PUT /mode/t {"mode":"READWRITE"}`, `{"mode":"READWRITE"}`},
		{`GET /mode/s?defaultToGlobal=true`, `{"mode":"READONLY"}`},
		{`DELETE /mode`, `{"mode":"READONLY"}`},
		{`GET /mode`, `{"mode":"READWRITE"}`},
	}...)
}

func TestImport(t *testing.T) {
	t.Parallel()
	converse(t, openNew(t), []exchange{
		{`POST /subjects/old/versions ` + post(narrow), `{"id":100001,"version":1}`},
		{`PUT /mode {"mode":"IMPORT"}`, `422 42205`},
		{`PUT /mode/old {"mode":"IMPORT"}`, `422 42205`},
		{`PUT /mode/s {"mode":"IMPORT"}`, `{"mode":"IMPORT"}`},
		{`POST /subjects/s/versions ` + post(one), `422 42205`},
		{`POST /subjects/s/versions ` + post(one, `"id":704`, `"version":704`), `{"id":704,"version":704}`},
		{`POST /subjects/s/versions ` + post(one, `"id":704`, `"version":704`), `{"id":704,"version":704}`},
		{`POST /subjects/s/versions ` + post(one, `"id":704`), `{"id":704,"version":704}`},
		// Older versions may follow; nothing is compared.
		{`POST /subjects/s/versions ` + post(mustY, `"id":300`, `"version":300`), `{"id":300,"version":300}`},
		{`POST /subjects/s/versions ` + post(two, `"id":800`), `{"id":800,"version":705}`},
		// Neither an id nor a version changes hands.
		{`POST /subjects/s/versions ` + post(two, `"id":704`, `"version":900`), `422 42205`},
		{`POST /subjects/s/versions ` + post(two, `"id":100001`, `"version":900`), `422 42205`},
		{`POST /subjects/s/versions ` + post(narrow, `"id":300`, `"version":704`), `422 42205`},
		{`POST /subjects/s/versions ` + post(narrow, `"id":900`, `"version":704`), `422 42205`},
		{`POST /subjects/s/versions ` + post(`{"type":"nothing"}`, `"id":900`, `"version":900`), `422 42201`},
		{`GET /subjects/s/versions`, `[300,704,705]`},

		// Content that has two ids is known by the lower one.
		{`POST /subjects/s/versions ` + post(narrow, `"id":900`, `"version":900`), `{"id":900,"version":900}`},
		{`POST /subjects/new/versions ` + post(narrow), `{"id":900,"version":1}`},

		// Without force, what was deleted softly makes room.
		{`PUT /mode/s {"mode":"READWRITE"}`, `{"mode":"READWRITE"}`},
		{`PUT /mode/s {"mode":"IMPORT"}`, `422 42205`},
		{`PUT /mode/s?force=true {"mode":"IMPORT"}`, `{"mode":"IMPORT"}`},
		{`PUT /mode/s {"mode":"READWRITE"}`, `{"mode":"READWRITE"}`},
		{`DELETE /subjects/s`, `[300,704,705,900]`},
		{`GET /schemas/ids/704/schema`, one},
		{`PUT /mode/s {"mode":"IMPORT"}`, `{"mode":"IMPORT"}`},
		{`GET /schemas/ids/704`, `404 40403`},
		{`GET /schemas/ids/900/schema`, narrow},
		{`POST /subjects/s/versions ` + post(two, `"id":704`, `"version":704`), `{"id":704,"version":704}`},
	}...)
}

func TestCompatibility(t *testing.T) {
	t.Parallel()
	base := openNew(t)
	converse(t, base, []exchange{
		{`GET /config`, `{"compatibilityLevel":"BACKWARD"}`},
		{`GET /config/s`, `404 40408`},
		{`GET /config/s?defaultToGlobal=true`, `{"compatibilityLevel":"BACKWARD"}`},
		{`DELETE /config/s`, `404 40401`},
		{`PUT /config {"compatibility":"SOMETIMES"}`, `422 42203`},
		{`PUT /config {}`, `422 42203`},
		{`PUT /config/s {"compatibility":"full_transitive"}`, `{"compatibility":"FULL_TRANSITIVE"}`},
		{`GET /config/s`, `{"compatibilityLevel":"FULL_TRANSITIVE"}`},
		{`DELETE /config/s`, `{"compatibilityLevel":"FULL_TRANSITIVE"}`},
		{`PUT /config {"compatibility":"FORWARD"}`, `{"compatibility":"FORWARD"}`},
		{`DELETE /config`, `{"compatibilityLevel":"FORWARD"}`},
		{`DELETE /config`, `{"compatibilityLevel":"BACKWARD"}`},

		{`POST /compatibility/subjects/s/versions/latest ` + post(one), `{"is_compatible":true}`},
		{`POST /compatibility/subjects/s/versions/1 ` + post(one), `404 40401`},
		{`POST /compatibility/subjects/s/versions/first ` + post(one), `422 42202`},
		{`POST /subjects/s/versions ` + post(one), `{"id":100001,"version":1}`},
		{`POST /subjects/s/versions ` + post(mustY), `409 409`},
		{`POST /compatibility/subjects/s/versions/1 ` + post(mustY), `{"is_compatible":false}`},
		{`POST /compatibility/subjects/s/versions/latest ` + post(two), `{"is_compatible":true}`},
		{`POST /compatibility/subjects/s/versions/2 ` + post(two), `404 40402`},
		{`POST /compatibility/subjects/s/versions ` + post(two), `{"is_compatible":true}`},
		{`POST /compatibility/subjects/s/versions ` + post(`{"type":"nothing"}`), `422 42201`},
		{`PUT /config/s {"compatibility":"NONE"}`, `{"compatibility":"NONE"}`},
		{`POST /compatibility/subjects/s/versions ` + post(`{"type":"nothing"}`), `422 42201`},
		{`POST /compatibility/subjects/s/versions ` + post(mustY), `{"is_compatible":true}`},
	}...)
	converse(t, base, exchange{`PUT /config/s {"compatibility":"FULL"}`, `{"compatibility":"FULL"}`})
	status, body := call(t, http.MethodPost, base+"/compatibility/subjects/s/versions/1?verbose=true", post(mustY))
	if status != http.StatusOK || !strings.Contains(body, `"is_compatible":false`) || !strings.Contains(body, "field y") {
		t.Errorf("a verbose answer names the cause: %d %s", status, body)
	}
}

// TestEveryLevel registers one schema after another at each level and notes
// which were taken.
func TestEveryLevel(t *testing.T) {
	t.Parallel()
	const (
		x    = `{"type":"record","name":"R","fields":[{"name":"x","type":"long"}]}`
		xy   = `{"type":"record","name":"R","fields":[{"name":"x","type":"long"},{"name":"y","type":"long","default":0}]}`
		xyz  = `{"type":"record","name":"R","fields":[{"name":"x","type":"long"},{"name":"y","type":"long"}]}`
		none = `{"type":"record","name":"R","fields":[]}`
	)
	for _, test := range []struct {
		level string
		posts []string
		taken string
	}{
		{"NONE", []string{x, xyz, none, `"string"`}, "yyyy"},
		// Version 3 asks for y, which data of version 2 have and of 1 have not.
		{"BACKWARD", []string{x, xy, xyz, none}, "yyyy"},
		{"BACKWARD_TRANSITIVE", []string{x, xy, xyz, none}, "yyny"},
		{"BACKWARD", []string{x, xyz}, "yn"},
		// Readers of version 1 ask for y, which version 3 no longer has.
		{"FORWARD", []string{xyz, xy, x, none}, "yyyn"},
		{"FORWARD_TRANSITIVE", []string{xyz, xy, x, none}, "yynn"},
		{"FULL", []string{x, xy, xyz, none}, "yyyn"},
		{"FULL_TRANSITIVE", []string{x, xy, xyz}, "yyn"},
	} {
		t.Run(test.level, func(t *testing.T) {
			t.Parallel()
			base := openNew(t)
			converse(t, base, exchange{`PUT /config/s {"compatibility":"` + test.level + `"}`, `{"compatibility":"` + test.level + `"}`})
			taken := ""
			for _, schema := range test.posts {
				switch status, body := call(t, http.MethodPost, base+"/subjects/s/versions", post(schema)); status {
				case http.StatusOK:
					taken += "y"
				case http.StatusConflict:
					taken += "n"
				default:
					t.Fatal(status, body)
				}
			}
			if taken != test.taken {
				t.Errorf("took %s, want %s", taken, test.taken)
			}
		})
	}
}

func TestReferences(t *testing.T) {
	t.Parallel()
	const (
		outer  = `{"type":"record","name":"a.Outer","fields":[{"name":"r","type":"a.R"}]}`
		outest = `{"type":"record","name":"a.Outest","fields":[{"name":"o","type":"a.Outer"},{"name":"r","type":"a.R"}]}`
		toR    = `"references":[{"name":"a.R","subject":"inner","version":1}]`
		toRNow = `"references":[{"name":"a.R","subject":"inner","version":-1}]`
		toOut  = `"references":[{"name":"a.Outer","subject":"outer","version":1}]`
	)
	converse(t, openNew(t), []exchange{
		{`POST /subjects/inner/versions ` + post(one), `{"id":100001,"version":1}`},
		{`POST /subjects/outer/versions ` + post(outer), `422 42201`},
		{`POST /subjects/outer/versions ` + post(outer, toRNow), `{"id":100002,"version":1}`},
		{`POST /subjects/outer/versions ` + post(outer, toR), `{"id":100002,"version":1}`},
		{`POST /subjects/outest/versions ` + post(outest, toOut), `{"id":100003,"version":1}`},
		{`POST /subjects/outest ` + post(outest, toOut), `{"subject":"outest","version":1,"id":100003,"references":[{"name":"a.Outer","subject":"outer","version":1}],"schema":"{\"type\":\"record\",\"name\":\"a.Outest\",\"fields\":[{\"name\":\"o\",\"type\":\"a.Outer\"},{\"name\":\"r\",\"type\":\"a.R\"}]}"}`},
		{`GET /subjects/inner/versions/1/referencedby`, `[100002]`},
		{`GET /subjects/outest/versions/latest/referencedby`, `[]`},
		{`DELETE /subjects/inner`, `422 42206`},
		{`DELETE /subjects/inner/versions/1`, `422 42206`},
		{`DELETE /subjects/outest`, `[1]`},
		{`DELETE /subjects/outer/versions/1`, `1`},
		{`DELETE /subjects/outer/versions/1?permanent=true`, `422 42206`},
		{`DELETE /subjects/outest?permanent=true`, `[1]`},
		{`DELETE /subjects/outer?permanent=true`, `[1]`},
		{`DELETE /subjects/inner`, `[1]`},
	}...)
}

// FuzzRequest sends what anybody could: every answer is JSON in the registry's
// form, and none is a failure of the registry.
func FuzzRequest(f *testing.F) {
	f.Add("GET", "/subjects/s/versions/latest", "")
	f.Add("GET", "/subjects/%2F/versions/-1?deleted=true", "")
	f.Add("GET", "/schemas/ids/99999999999999999999?subject=s", "")
	f.Add("GET", "/subjects?offset=-1&limit=9223372036854775808&subjectPrefix=:*:s", "")
	f.Add("GET", "/subjects/../schemas", "")
	f.Add("HEAD", "/", "")
	f.Add("POST", "/subjects/s/versions", `{"schema":"\"long\"","id":-1,"version":0}`)
	f.Add("POST", "/subjects/s", `{"schema":"\"long\"","references":[{"name":"n","subject":"s","version":-1}]}`)
	f.Add("POST", "/compatibility/subjects/s/versions/1?verbose=true", `{"schema":"{}"}`)
	f.Add("PUT", "/mode/s?force=true", `{"mode":"import"}`)
	f.Add("PUT", "/config", `{"compatibility":7}`)
	f.Add("DELETE", "/subjects/s?permanent=true", "")
	f.Add("PATCH", "/subjects/s", "[")
	r, base := open(f, registry.Config{Login: login(startKafka(f))})
	if status, body := call(f, http.MethodPost, base+"/subjects/s/versions", post(one)); status != http.StatusOK {
		f.Fatal(body)
	}
	handler := r.Handler()
	f.Fuzz(func(t *testing.T, method, path, body string) {
		if method == http.MethodConnect || !strings.HasPrefix(path, "/") || strings.HasPrefix(path, "//") {
			return
		}
		req, err := http.NewRequestWithContext(testContext(t), method, "http://registry"+path, strings.NewReader(body))
		if err != nil {
			return // no such request can be sent
		}
		answer := httptest.NewRecorder()
		handler.ServeHTTP(answer, req)
		if answer.Code >= 300 && answer.Code < 400 {
			return // the path is not in its shortest form
		}
		if answer.Code >= 500 || answer.Header().Get("Content-Type") != registry.ContentType || !json.Valid(answer.Body.Bytes()) {
			t.Errorf("%s %s %q: %d %s", method, path, body, answer.Code, answer.Body)
		}
	})
}

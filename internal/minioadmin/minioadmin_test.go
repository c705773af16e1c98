package minioadmin_test

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/secure-io/sio-go"
	"golang.org/x/crypto/argon2"

	"github.com/alertlab/alertlab/internal/minioadmin"
)

const ownersKey = "owners-secret-key"

// opened is a sealed body as a server reads it.
func opened(body []byte, key string) (string, error) {
	if len(body) < 41 || body[32] != 0 {
		return "", fmt.Errorf("%d bytes, and no cipher 0", len(body))
	}
	stream, err := sio.AES_256_GCM.Stream(argon2.IDKey([]byte(key), body[:32], 1, 64<<10, 4, 32))
	if err != nil {
		return "", err
	}
	text, err := io.ReadAll(stream.DecryptReader(strings.NewReader(string(body[41:])), body[33:41], nil))
	return string(text), err
}

// asked is a server that writes down what it is asked, and answers with status and text.
func asked(t *testing.T, status int, answer string) (*minioadmin.Client, *[]string) {
	t.Helper()
	var seen []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		sum := sha256.Sum256(body)
		if r.Header.Get("X-Amz-Content-Sha256") != hex.EncodeToString(sum[:]) {
			t.Errorf("%s: the hash of the body is another", r.URL)
		}
		if a := r.Header.Get("Authorization"); !strings.HasPrefix(a, "AWS4-HMAC-SHA256 Credential=owner/") || !strings.Contains(a, "/us-east-1/s3/aws4_request") {
			t.Errorf("%s: signed as %s", r.URL, a)
		}
		text := string(body)
		if r.URL.Path == "/minio/admin/v3/add-user" {
			if strings.Contains(text, "users-secret-key") {
				t.Error("a user's key goes over the line as it is")
			}
			if text, err = opened(body, ownersKey); err != nil {
				t.Error(err)
			}
			if _, err := opened(body, "another"); err == nil {
				t.Error("anybody can open it")
			}
		}
		seen = append(seen, strings.TrimSpace(r.Method+" "+strings.TrimPrefix(r.URL.RequestURI(), "/minio/admin/v3/")+" "+text))
		w.WriteHeader(status)
		io.WriteString(w, answer)
	}))
	t.Cleanup(server.Close)
	c, err := minioadmin.New(minioadmin.Config{Endpoint: server.URL, Region: "us-east-1", AccessKey: "owner", SecretKey: ownersKey})
	if err != nil {
		t.Fatal(err)
	}
	return c, &seen
}

func TestCalls(t *testing.T) {
	t.Parallel()
	c, seen := asked(t, http.StatusOK, `{"policyName":"p","status":"enabled","memberOf":["g"],"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:GetObject","Resource":["arn:aws:s3:::b/*"]}]}`)
	ctx := t.Context()
	user, err := c.User(ctx, "w")
	if err != nil || user.Policy != "p" || user.Status != minioadmin.Enabled || len(user.Groups) != 1 {
		t.Errorf("%+v, %v", user, err)
	}
	wanted := minioadmin.Policy{Version: minioadmin.PolicyVersion, Statement: []minioadmin.Statement{minioadmin.Allow([]string{"s3:GetObject"}, []string{minioadmin.Objects("b")})}}
	if p, err := c.Policy(ctx, "p"); err != nil || !p.Equal(wanted) {
		t.Errorf("%+v, %v", p, err)
	}
	for _, err := range []error{c.SetPolicy(ctx, "p", wanted), c.SetUser(ctx, "w", "users-secret-key"), c.Attach(ctx, "p", "w"), c.RemoveUser(ctx, "w"), c.RemovePolicy(ctx, "p")} {
		if err != nil {
			t.Error(err)
		}
	}
	want := `GET user-info?accessKey=w
GET info-canned-policy?name=p
PUT add-canned-policy?name=p {"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["s3:GetObject"],"Resource":["arn:aws:s3:::b/*"]}]}
PUT add-user?accessKey=w {"secretKey":"users-secret-key","status":"enabled"}
PUT set-user-or-group-policy?isGroup=false&policyName=p&userOrGroup=w
DELETE remove-user?accessKey=w
DELETE remove-canned-policy?name=p`
	if got := strings.Join(*seen, "\n"); got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}

func TestRefused(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		status       int
		answer, says string
		is           error
	}{
		{404, `{"Code":"XMinioAdminNoSuchUser","Message":"The specified user does not exist."}`, "MinIO refused user-info: 404 XMinioAdminNoSuchUser: The specified user does not exist.", minioadmin.ErrNoUser},
		{404, `{"Code":"XMinioAdminNoSuchPolicy","Message":"m"}`, "MinIO refused user-info: 404 XMinioAdminNoSuchPolicy: m", minioadmin.ErrNoPolicy},
		{403, `{"Code":"AccessDenied","Message":"Access Denied."}`, "MinIO refused user-info: 403 AccessDenied: Access Denied.", nil},
		{502, `<html>`, "MinIO refused user-info: 502 Bad Gateway: the answer is none of MinIO's", nil},
		{200, `<html>`, "MinIO's answer to user-info: invalid character '<' looking for beginning of value", nil},
	} {
		c, _ := asked(t, test.status, test.answer)
		_, err := c.User(t.Context(), "w")
		if err == nil || err.Error() != test.says || test.is != nil && !errors.Is(err, test.is) {
			t.Errorf("%d %s: %v", test.status, test.answer, err)
		}
	}
	// What is to be removed and is not there is as it should be.
	for _, code := range []string{"XMinioAdminNoSuchUser", "XMinioAdminNoSuchPolicy"} {
		c, _ := asked(t, 404, fmt.Sprintf(`{"Code":%q}`, code))
		if user, policy := c.RemoveUser(t.Context(), "w"), c.RemovePolicy(t.Context(), "p"); (user == nil) == (policy == nil) {
			t.Errorf("%s: %v, %v", code, user, policy)
		}
	}
}

func TestPolicyEqual(t *testing.T) {
	t.Parallel()
	read := func(text string) minioadmin.Policy {
		var p minioadmin.Policy
		if err := json.Unmarshal([]byte(text), &p); err != nil {
			t.Fatal(err)
		}
		return p
	}
	p := read(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["a","b"],"Resource":["x"]},{"Effect":"Allow","Action":"c","Resource":"y"}]}`)
	for text, same := range map[string]bool{
		`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["c"],"Resource":["y"]},{"Effect":"Allow","Action":["b","a"],"Resource":"x"}]}`:                         true,
		`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["c"],"Resource":["y"]},{"Effect":"Allow","Action":["b","a"],"Resource":"x","Condition":{"Bool":{}}}]}`: false,
		`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["c"],"Resource":["y"]}]}`:                                                                              false,
		`{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":["c"],"Resource":["y"]},{"Effect":"Allow","Action":["b","a"],"Resource":"x"}]}`:                          false,
		`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["c"],"Resource":["y"]},{"Effect":"Allow","Action":["b","a","s3:*"],"Resource":"x"}]}`:                  false,
	} {
		if read(text).Equal(p) != same {
			t.Errorf("%s: not %v", text, same)
		}
	}
}

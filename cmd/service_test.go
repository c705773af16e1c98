package cmd_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/alertlab/alertlab/alerts/objectstore"
	"github.com/alertlab/alertlab/lab/state"
)

// labEnv ARG... sets what "alertlab env ARG..." prints in the script's environment, and
// LAB_INGESTER, the URL at which the lab's ingester shows itself to Prometheus.
func labEnv(ts *testscript.TestScript, neg bool, args []string) {
	if neg {
		ts.Fatalf("usage: labenv ARG...")
	}
	ts.Check(ts.Exec("alertlab", append([]string{"env", "-o", "json"}, args...)...))
	var vars map[string]string
	ts.Check(json.Unmarshal([]byte(ts.ReadFile("stdout")), &vars))
	for name, value := range vars {
		setenv(ts, name, value)
	}
	setenv(ts, "LAB_INGESTER", strings.Replace(vars["ALERTDB_URL"], ":3000", ":9100", 1))
}

// setenv sets a variable also for what the script starts in the background.
func setenv(ts *testscript.TestScript, name, value string) {
	env := ts.Value(environKey{}).(*testscript.Env)
	env.Vars = append(env.Vars, name+"="+value)
	ts.Setenv(name, value)
}

// freePort NAME sets a variable to a port of 127.0.0.1 that nobody listens at.
func freePort(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: freeport NAME")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	ts.Check(err)
	_, port, err := net.SplitHostPort(l.Addr().String())
	ts.Check(err)
	ts.Check(l.Close())
	setenv(ts, args[0], port)
}

// bucket NAME... makes buckets in the object store of labenv.
func bucket(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: bucket NAME...")
	}
	c := objectstore.NewClient(objectstore.ClientConfig{Endpoint: ts.Getenv("AWS_ENDPOINT_URL"),
		AccessKey: ts.Getenv("AWS_ACCESS_KEY_ID"), SecretKey: ts.Getenv("AWS_SECRET_ACCESS_KEY")})
	defer c.Close()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for _, name := range args {
		ts.Check(c.EnsureBucket(ctx, name))
	}
}

// background NAME [VARIABLE=VALUE]... PROGRAM ARG... starts a program as follow starts
// alertlab.
func background(ts *testscript.TestScript, neg bool, args []string) {
	for len(args) > 1 && strings.Contains(args[1], "=") {
		name, value, _ := strings.Cut(args[1], "=")
		setenv(ts, name, value)
		args = append(args[:1:1], args[2:]...)
	}
	if neg || len(args) < 2 {
		ts.Fatalf("usage: background NAME PROGRAM ARG...")
	}
	begin(ts, args[0], args[1:])
}

// answers URL PATTERN asks again and again until a URL's status and body, "200 OK",
// match.
func answers(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: answers URL PATTERN")
	}
	pattern, err := regexp.Compile("(?m)" + args[1])
	ts.Check(err)
	last := ""
	if !poll(func() bool {
		resp, err := http.Get(args[0])
		if err != nil {
			last = err.Error()
			return false
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		last = fmt.Sprintf("%d %s", resp.StatusCode, body)
		return err == nil && pattern.MatchString(last)
	}) {
		ts.Fatalf("%s never answered %q; last:\n%s", args[0], args[1], last)
	}
}

// backdate LAB BUCKET PREFIX DAYS makes what a lab has stored older. A store keeps
// time by the files' own.
func backdate(ts *testscript.TestScript, neg bool, args []string) {
	var days int
	if len(args) == 4 {
		_, _ = fmt.Sscan(args[3], &days)
	}
	if neg || days == 0 {
		ts.Fatalf("usage: backdate LAB BUCKET PREFIX DAYS")
	}
	root := filepath.Join(state.At(ts.Getenv("ALERTLAB_STATE_DIR"), args[0]).Data("object-store"), "buckets", args[1], filepath.FromSlash(args[2]))
	then, n := time.Now().AddDate(0, 0, -days), 0
	ts.Check(filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		n++
		return os.Chtimes(path, then, then)
	}))
	if n == 0 {
		ts.Fatalf("nothing lies in %s", root)
	}
}

// appendLine is append FILE LINE: it adds a line to the end of a file.
func appendLine(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: append FILE LINE")
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(ts.ReadFile(args[0])+args[1]+"\n"), 0o600))
}

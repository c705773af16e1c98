package kube

import (
	"strings"
	"testing"
)

const labConfig = `apiVersion: v1
kind: Config
clusters: [{name: k3d-default, cluster: {server: "https://127.0.0.1:6443"}}]
users: [{name: admin@k3d-default, user: {token: lab-token}}]
contexts: [{name: k3d-default, context: {cluster: k3d-default, user: admin@k3d-default}}]
current-context: k3d-default
`

const mineConfig = `apiVersion: v1
kind: Config
clusters: [{name: work, cluster: {server: "https://work.example.org"}}]
users: [{name: me, user: {token: my-token}}]
contexts: [{name: work, context: {cluster: work, user: me, namespace: mine}}]
current-context: work
`

// What is merged is reached under its name, what was there stays, and both ways back
// lead to where it was.
func TestMerge(t *testing.T) {
	t.Parallel()
	merged, err := Merge([]byte(mineConfig), []byte(labConfig), "alertlab-default")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"current-context: work", "my-token", "namespace: mine", "https://work.example.org", "name: alertlab-default", "lab-token", "https://127.0.0.1:6443"} {
		if !strings.Contains(string(merged), want) {
			t.Errorf("%q is not in it:\n%s", want, merged)
		}
	}
	again, err := Merge(merged, []byte(strings.ReplaceAll(labConfig, "6443", "7443")), "alertlab-default")
	if err != nil || strings.Contains(string(again), "6443") || strings.Count(string(again), "name: alertlab-default") != 3 {
		t.Errorf("merged again: %v\n%s", err, again)
	}
	rest, found, err := Unmerge(again, "alertlab-default")
	if err != nil || !found || strings.Contains(string(rest), "alertlab") || !strings.Contains(string(rest), "my-token") {
		t.Errorf("unmerged: %v %v\n%s", found, err, rest)
	}
	if same, found, err := Unmerge(rest, "alertlab-default"); err != nil || found || string(same) != string(rest) {
		t.Errorf("unmerged twice: %v %v\n%s", found, err, same)
	}

	alone, err := Merge(nil, []byte(labConfig), "alertlab-default")
	if err != nil || !strings.Contains(string(alone), "current-context: alertlab-default") {
		t.Errorf("into nothing: %v\n%s", err, alone)
	}
	if rest, found, err := Unmerge(alone, "alertlab-default"); err != nil || !found || rest != nil {
		t.Errorf("nothing else was there: %v %v\n%s", found, err, rest)
	}
	for _, bad := range [][2]string{{"{", labConfig}, {mineConfig, "{"}, {mineConfig, "apiVersion: v1\nkind: Config\n"}} {
		if _, err := Merge([]byte(bad[0]), []byte(bad[1]), "x"); err == nil {
			t.Errorf("taken: %q into %q", bad[1], bad[0])
		}
	}
}

package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/alertlab/alertlab/lab/fault"
)

// tool is what a client is installed by.
type tool string

const (
	python tool = "python" // an environment of python/requirements.txt
	java   tool = "java"   // the libraries of java/pom.xml
	kcat   tool = "kcat"   // Debian's package
)

// client is one program of python/ or java/.
type client struct {
	name  string
	needs []tool
	// file is the program, within its language's folder.
	file string
	// tls says that it meets the lab whose listener has TLS, and not the usual one.
	tls bool
	// checks are those of the program that it does; nil for all.
	checks []string
}

// clients are all, in the order in which they run: the last ones change what the
// lab publishes and what its registry holds.
var clients = []client{
	{name: "librdkafka", needs: []tool{python}, file: "check_librdkafka.py"},
	{name: "aiokafka", needs: []tool{python}, file: "check_aiokafka.py"},
	{name: "java", needs: []tool{java}, file: "Clients.java"},
	{name: "kcat", needs: []tool{kcat, python}, file: "check_kcat.py"},
	{name: "fastavro", needs: []tool{python}, file: "check_fastavro.py"},
	{name: "boto3", needs: []tool{python}, file: "check_boto3.py"},
	{name: "requests", needs: []tool{python}, file: "check_requests.py"},
	{name: "astropy", needs: []tool{python}, file: "check_astropy.py"},
	{name: "samples", needs: []tool{python}, file: "check_samples.py"},
	{name: "schema-sync", needs: []tool{python}, file: "check_schema_sync.py"},
	{name: "tls", needs: []tool{python}, file: "check_tls.py", tls: true},
	{name: "tls-librdkafka", needs: []tool{python}, file: "check_librdkafka.py", tls: true, checks: []string{"brokers", "wrong-password", "granted", "produce-consume"}},
	{name: "tls-aiokafka", needs: []tool{python}, file: "check_aiokafka.py", tls: true, checks: []string{"logs-in", "wrong-password", "consume", "produce"}},
	{name: "tls-java", needs: []tool{java}, file: "Clients.java", tls: true, checks: []string{"describe-cluster", "wrong-password", "visit", "produce-consume"}},
	{name: "tls-kcat", needs: []tool{kcat, python}, file: "check_kcat.py", tls: true, checks: []string{"metadata", "wrong-password", "consume"}},
}

// selection is a client with the checks that are wanted of it; none means all.
type selection struct {
	client client
	checks []string
}

// words are the checks that its program is told to do; none means all.
func (s selection) words() []string {
	if len(s.checks) > 0 {
		return s.checks
	}
	return s.client.checks
}

// choose reads --only. The clients keep their order, whatever that of the words.
func choose(all []client, only string) ([]selection, error) {
	if only == "" {
		var chosen []selection
		for _, c := range all {
			chosen = append(chosen, selection{client: c})
		}
		return chosen, nil
	}
	whole, parts := map[string]bool{}, map[string][]string{}
	for _, word := range strings.Split(only, ",") {
		name, check, one := strings.Cut(strings.TrimSpace(word), "/")
		if !slices.ContainsFunc(all, func(c client) bool { return c.name == name }) || one && check == "" {
			var names []string
			for _, c := range all {
				names = append(names, c.name)
			}
			return nil, fault.New(fault.BadInput, fmt.Sprintf("there is no client %q", word), "there are "+strings.Join(names, ", ")+", each also with one of its checks behind a slash",
				"go run ./hack/clients --only "+names[0])
		}
		if one {
			parts[name] = append(parts[name], check)
		} else {
			whole[name] = true
		}
	}
	var chosen []selection
	for _, c := range all {
		switch {
		case whole[c.name]:
			chosen = append(chosen, selection{client: c})
		case parts[c.name] != nil:
			chosen = append(chosen, selection{client: c, checks: parts[c.name]})
		}
	}
	return chosen, nil
}

// needed lists the tools of a selection, each once.
func needed(chosen []selection) []tool {
	var list []tool
	for _, s := range chosen {
		for _, t := range s.client.needs {
			if !slices.Contains(list, t) {
				list = append(list, t)
			}
		}
	}
	return list
}

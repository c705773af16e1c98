package engine

import (
	"archive/zip"
	"context"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/alertlab/alertlab/lab/fault"
)

// registryPatience bounds one question to a package registry.
const registryPatience = 10 * time.Second

// doctorRegistries asks each package registry for one small thing, at the
// address and by the proxy that its own client is set to.
func doctorRegistries(ctx context.Context, o Options, _ Needs) []Finding {
	clients := []struct {
		name, matters string
		ask           func(context.Context, Options) (where string, err error)
	}{
		{"Go modules", "Kubernetes and most other parts are built from them", askGo},
		{"Maven", "Apache Kafka comes from it", askMaven},
		{"Debian packages", "the roots of images come from them", askDebian},
	}
	list := make([]Finding, len(clients))
	var wg sync.WaitGroup
	for i, c := range clients {
		wg.Go(func() {
			ctx, cancel := context.WithTimeout(ctx, registryPatience)
			defer cancel()
			began := time.Now()
			where, err := c.ask(ctx, o)
			if err == nil {
				list[i] = Finding{c.name, OK, fmt.Sprintf("%s answered in %d ms", where, time.Since(began).Milliseconds()), "", ""}
				return
			}
			if errors.Is(err, errLater) {
				list[i] = Finding{c.name, OK, err.Error(), "", ""}
				return
			}
			what, next := unreachable(err)
			if where != "" {
				what = where + " " + what
			}
			list[i] = Finding{c.name, Bad, what, c.matters + " (" + err.Error() + ")", next}
		})
	}
	wg.Wait()
	return list
}

// unreachable says in words what kind of trouble an error of the network is.
func unreachable(err error) (what, next string) {
	const settings = "look at the client's settings: go env GOPROXY; ~/.m2/settings.xml; /etc/apt/sources.list and sources.list.d; http_proxy, https_proxy"
	var dns *net.DNSError
	var timeout net.Error
	var status statusError
	switch {
	case errors.As(err, &dns) && dns.IsNotFound:
		return "is no name known here", "check the name service (/etc/resolv.conf); " + settings
	case errors.Is(err, syscall.ECONNREFUSED):
		return "refuses the connection", "nothing listens at that address, or a firewall rejects it; " + settings
	case errors.Is(err, syscall.ENETUNREACH), errors.Is(err, syscall.EHOSTUNREACH):
		return "cannot be reached: there is no route", "connect this machine to its network; " + settings
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return fmt.Sprintf("did not answer within %s", registryPatience), "a firewall that drops packets, or a proxy that is not set; " + settings
	case errors.As(err, &status):
		return fmt.Sprintf("answers with HTTP status %d", int(status)), settings
	}
	return "cannot be asked", settings
}

type statusError int

func (s statusError) Error() string { return "HTTP status " + http.StatusText(int(s)) }

// head asks for one document.
func head(ctx context.Context, client *http.Client, address string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodHead, address, nil)
	if err != nil {
		return err
	}
	answer, err := client.Do(req)
	if err != nil {
		return err
	}
	answer.Body.Close()
	if answer.StatusCode >= 400 {
		return statusError(answer.StatusCode)
	}
	return nil
}

// askGo asks the first proxy of GOPROXY for the versions of a module of ours.
func askGo(ctx context.Context, _ Options) (string, error) {
	out, err := run(ctx, "", "go", "env", "-json", "GOPROXY")
	if err != nil {
		return "", err
	}
	var env struct{ GOPROXY string }
	if err := json.Unmarshal([]byte(out), &env); err != nil {
		return "", err
	}
	first, _, _ := strings.Cut(strings.ReplaceAll(env.GOPROXY, "|", ","), ",")
	switch u, err := url.Parse(first); {
	case first == "off":
		return "GOPROXY", errors.New("it is off")
	case first == "direct" || err != nil:
		return "GOPROXY", fmt.Errorf("it is %q, and the rig's modules are taken from a proxy", env.GOPROXY)
	case u.Scheme == "file":
		_, err := os.Stat(u.Path)
		return first, err
	}
	return host(first), head(ctx, http.DefaultClient, strings.TrimSuffix(first, "/")+"/golang.org/x/sys/@v/list")
}

// errLater is no trouble: root on Debian has Maven installed by the build, and only
// then is known whom it asks.
var errLater = errors.New("not asked: Maven is installed when it is needed")

// askMaven asks the repository that Maven uses for central.
func askMaven(ctx context.Context, o Options) (string, error) {
	_, missing := lookPath("mvn")
	if missing != nil && (os.Geteuid() != 0 || !debian()) {
		return "", fmt.Errorf("%w; apt-get install maven", missing)
	}
	base, err := mavenCentral(o.getenv)
	if missing != nil && errors.Is(err, exec.ErrNotFound) {
		return "", errLater
	}
	if err != nil {
		return "", err
	}
	return host(base), head(ctx, http.DefaultClient, strings.TrimSuffix(base, "/")+"/org/apache/kafka/kafka-clients/maven-metadata.xml")
}

// mavenCentral is a mirror of central out of the user's or the system's
// settings.xml, else what Maven's own model says.
func mavenCentral(getenv func(string) string) (string, error) {
	files := []string{"/etc/maven/settings.xml"}
	if dir := getenv("HOME"); dir != "" {
		files = append([]string{filepath.Join(dir, ".m2", "settings.xml")}, files...)
	}
	for _, path := range files {
		b, err := os.ReadFile(path)
		if err != nil {
			continue
		}
		mirror, err := mavenMirror(b)
		if err != nil {
			return "", fault.Wrap(fault.BadInput, "Maven's settings cannot be read: "+path, err, "mend "+path)
		}
		if mirror != "" {
			return mirror, nil
		}
	}
	// Debian's Maven and Apache's own have the jar in the lib folder beside bin.
	program, err := lookPath("mvn")
	if err != nil {
		return "", err
	}
	if program, err = filepath.EvalSymlinks(program); err != nil {
		return "", err
	}
	jars, err := filepath.Glob(filepath.Join(filepath.Dir(program), "..", "lib", "maven-model-builder-*.jar"))
	if err != nil || len(jars) == 0 {
		return "", errors.Join(errors.New("the settings that Maven is built with are not where they are known to be"), err)
	}
	z, err := zip.OpenReader(jars[0])
	if err != nil {
		return "", err
	}
	defer z.Close()
	f, err := z.Open("org/apache/maven/model/pom-4.0.0.xml")
	if err != nil {
		return "", err
	}
	defer f.Close()
	b, err := io.ReadAll(f)
	if err != nil {
		return "", err
	}
	var model struct {
		Repositories []struct {
			ID  string `xml:"id"`
			URL string `xml:"url"`
		} `xml:"repositories>repository"`
	}
	if err := xml.Unmarshal(b, &model); err != nil {
		return "", err
	}
	for _, r := range model.Repositories {
		if r.ID == "central" {
			return r.URL, nil
		}
	}
	return "", errors.New("the settings that Maven is built with name no central repository")
}

// mavenMirror gives the first mirror of a settings.xml that stands for central.
func mavenMirror(settings []byte) (string, error) {
	var s struct {
		Mirrors []struct {
			Of  string `xml:"mirrorOf"`
			URL string `xml:"url"`
		} `xml:"mirrors>mirror"`
	}
	if err := xml.Unmarshal(settings, &s); err != nil {
		return "", err
	}
	for _, m := range s.Mirrors {
		stands := false
		for _, of := range strings.Split(m.Of, ",") {
			switch strings.TrimSpace(of) {
			case "central", "*", "external:*":
				stands = true
			case "!central":
				stands = false
			}
		}
		if stands {
			return strings.TrimSpace(m.URL), nil
		}
	}
	return "", nil
}

// askDebian asks for the first file that apt-get update would get.
func askDebian(ctx context.Context, _ Options) (string, error) {
	out, err := run(ctx, "", "apt-get", "update", "--print-uris")
	if err != nil {
		return "", err
	}
	address := firstURI(out)
	if address == "" {
		return "", errors.New("apt has no source of packages")
	}
	u, err := url.Parse(address)
	if err != nil {
		return "", err
	}
	client := &http.Client{}
	if proxy, err := run(ctx, "", "apt-config", "dump", "--format", "%v%n", "Acquire::"+u.Scheme+"::Proxy"); err == nil {
		if p, err := url.Parse(strings.TrimSpace(proxy)); err == nil && p.Host != "" {
			client.Transport = &http.Transport{Proxy: http.ProxyURL(p)}
		}
	}
	return host(address), head(ctx, client, address)
}

// firstURI reads the output of apt-get --print-uris: 'URI' FILE SIZE a line.
func firstURI(out string) string {
	for line := range strings.Lines(out) {
		if quoted, _, ok := strings.Cut(strings.TrimPrefix(line, "'"), "'"); ok && strings.HasPrefix(quoted, "http") {
			return quoted
		}
	}
	return ""
}

func host(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return address
	}
	return u.Host
}

// fromError makes a finding of a fault, or of any error.
func fromError(name string, err error) Finding {
	var f *fault.Fault
	if errors.As(err, &f) {
		return Finding{name, Bad, f.What, f.Why, f.Next}
	}
	return Finding{name, Bad, "it could not be looked at", err.Error(), ""}
}

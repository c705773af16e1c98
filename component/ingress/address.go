package ingress

import (
	"fmt"
	"net"
	"strconv"
	"strings"

	"github.com/alertlab/alertlab/lab/fault"
)

// httpsPort is the one that a URL without a port means (RFC 9110).
const httpsPort = "443"

// CheckAddress says whether ADDRESS or ADDRESS:PORT can be where an ingress is reached.
func CheckAddress(text string) error {
	host, port := endpoint(text)
	number, err := strconv.Atoi(strings.TrimPrefix(port, ":"))
	if port == "" {
		number, err = 443, nil
	}
	if err != nil || number < 1 || number > 65535 || net.ParseIP(host) == nil && !classPattern.MatchString(host) {
		return fault.New(fault.BadInput, fmt.Sprintf("the ingress cannot be at %q", text), "it is reached at an address or a name, and a port that is not 443 behind a colon",
			"alertlab up --ingress-address 192.0.2.7:8443")
	}
	return nil
}

// Endpoint completes ADDRESS or ADDRESS:PORT to HOST:PORT; "" stays.
func Endpoint(text string) string {
	if text == "" {
		return ""
	}
	host, port := endpoint(text)
	if port == "" {
		port = ":" + httpsPort
	}
	return net.JoinHostPort(host, port[1:])
}

// endpoint takes ADDRESS or ADDRESS:PORT apart; port is what a URL says behind the host,
// "" for 443.
func endpoint(text string) (host, port string) {
	host, number, err := net.SplitHostPort(text)
	if err != nil {
		return strings.Trim(text, "[]"), ""
	}
	if number == httpsPort {
		return host, ""
	}
	return host, ":" + number
}

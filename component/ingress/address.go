package ingress

import (
	"fmt"
	"net"
	"strconv"
	"strings"

	"github.com/alertlab/alertlab/component/nodeports"
	"github.com/alertlab/alertlab/lab/fault"
)

// httpsPort is the one that a URL without a port means (RFC 9110).
const httpsPort = "443"

// CheckAddress says whether ADDRESS or ADDRESS:PORT can be where an ingress is reached.
func CheckAddress(text string) error {
	host, port, _ := net.SplitHostPort(Endpoint(text)) // no host, where nothing is said
	number, err := strconv.Atoi(port)
	if err != nil || number < 1 || number > 65535 || net.ParseIP(host) == nil && !classPattern.MatchString(host) {
		return fault.New(fault.BadInput, fmt.Sprintf("the ingress cannot be at %q", text), "it is reached at an address or a name, and a port that is not 443 behind a colon",
			"alertlab up --ingress-address 192.0.2.7:8443")
	}
	return nil
}

// AtNode is where a controller of the lab's own is reached: at a node, of which some address
// HOST:PORT is known.
func AtNode(address string) (string, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return "", fmt.Errorf("the address of a node: %w", err)
	}
	return net.JoinHostPort(host, strconv.Itoa(nodeports.HTTPS)), nil
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

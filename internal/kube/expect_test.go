package kube

import (
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// with makes an object with a generation and conditions: type, status, reason,
// message, observed generation.
func with(generation int64, conditions ...[]any) *unstructured.Unstructured {
	var list []any
	for _, c := range conditions {
		list = append(list, map[string]any{"type": c[0], "status": c[1], "reason": c[2], "message": c[3], "observedGeneration": c[4]})
	}
	return &unstructured.Unstructured{Object: map[string]any{"metadata": map[string]any{"generation": generation}, "status": map[string]any{"conditions": list}}}
}

func TestCertificateReady(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		object *unstructured.Unstructured
		want   Verdict
	}{
		"not there":    {nil, Verdict{Seen: "it is not there"}},
		"not begun":    {with(1), Verdict{Seen: "no condition Ready"}},
		"issued":       {with(1, []any{"Ready", "True", "", "", int64(1)}), Verdict{Done: true}},
		"older issue":  {with(2, []any{"Ready", "True", "", "", int64(1)}), Verdict{Seen: "it was issued as it was before its last change"}},
		"on its way":   {with(1, []any{"Ready", "False", "DoesNotExist", "no Secret", int64(1)}), Verdict{Seen: "Ready is False: DoesNotExist no Secret"}},
		"in vain":      {with(1, []any{"Ready", "False", "DoesNotExist", "no Secret", int64(1)}, []any{"Issuing", "False", "Failed", "the issuer refused", int64(1)}), Verdict{Terminal: "it was not issued: the issuer refused"}},
		"issued again": {with(1, []any{"Issuing", "False", "Issued", "", int64(1)}, []any{"Ready", "True", "", "", int64(1)}), Verdict{Done: true}},
	} {
		if got := CertificateReady(tc.object); got != tc.want {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

func TestAddressAssigned(t *testing.T) {
	t.Parallel()
	service := func(ips ...string) *unstructured.Unstructured {
		var list []any
		for _, ip := range ips {
			list = append(list, map[string]any{"ip": ip})
		}
		return &unstructured.Unstructured{Object: map[string]any{"status": map[string]any{"loadBalancer": map[string]any{"ingress": list}}}}
	}
	for name, tc := range map[string]struct {
		object *unstructured.Unstructured
		want   Verdict
	}{
		"not there": {nil, Verdict{Seen: "it is not there"}},
		"none yet":  {service(), Verdict{Seen: "it has no address yet"}},
		"another":   {service("192.0.2.2"), Verdict{Seen: "it has the address 192.0.2.2 and not 192.0.2.1"}},
		"it":        {service("192.0.2.2", "192.0.2.1"), Verdict{Done: true}},
	} {
		if got := AddressAssigned("192.0.2.1")(tc.object); got != tc.want {
			t.Errorf("%s: %+v", name, got)
		}
	}
	if got := AddressAssigned("")(service("192.0.2.9")); !got.Done {
		t.Errorf("any: %+v", got)
	}
}

// What a Secret holds instead is never told.
func TestSecretHolds(t *testing.T) {
	t.Parallel()
	want := SecretHolds(map[string][]byte{"a": []byte("x"), "b": []byte("y")})
	secret := func(a, b string) *unstructured.Unstructured {
		return &unstructured.Unstructured{Object: map[string]any{"data": map[string]any{"a": a, "b": b}}}
	}
	if got := want(secret("eA==", "eQ==")); !got.Done {
		t.Errorf("%+v", got)
	}
	if got := want(secret("eg==", "not base64")); got != (Verdict{Seen: "other values stand for a, b"}) {
		t.Errorf("%+v", got)
	}
	if got := want(nil); got.Done {
		t.Errorf("%+v", got)
	}
}

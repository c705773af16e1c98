package existing

// ScalingRights lists what a lab needs beside Rights where its ingesters scale with their
// lag: an account for who scales them, and, because nobody may give away what he has not,
// the right to scale.
func ScalingRights() []Right {
	return []Right{
		{"", "serviceaccounts", writes, false},
		{"rbac.authorization.k8s.io", "roles", writes, false},
		{"rbac.authorization.k8s.io", "rolebindings", writes, false},
		{"apps", "deployments/scale", []string{"get", "patch"}, false},
	}
}

package labtest

import (
	"path/filepath"
	"strings"

	"github.com/testcontainers/testcontainers-go"

	"github.com/alertlab/alertlab/profiles"
)

// Option chooses what lab it is. It serves Start, and among testcontainers' own options
// RunContainer.
type Option func(*settings)

// Customize implements testcontainers.ContainerCustomizer: RunContainer takes the option
// itself, the container's request has nothing of it.
func (Option) Customize(*testcontainers.GenericContainerRequest) error { return nil }

type settings struct {
	profile string
	set     []string
}

// Profile names the lab's profile: a shipped one, or a file's path. Without it the lab
// is of the profile "ci", the smallest.
func Profile(name string) Option { return func(s *settings) { s.profile = name } }

// Set changes one value of the profile, e.g. Set("simulator.alerts", "50"), as --set of
// alertlab up does; alertlab up --help lists the paths.
func Set(path, value string) Option {
	return func(s *settings) { s.set = append(s.set, path+"="+value) }
}

func settingsOf(options []Option) settings {
	s := settings{profile: "ci"}
	for _, o := range options {
		o(&s)
	}
	return s
}

// load gives the profile that is meant. What the environment says of profiles
// (ALERTLAB_…) is not for tests.
func (s settings) load() (*profiles.Profile, error) {
	load := profiles.Load
	if strings.ContainsAny(s.profile, `/\`) || filepath.Ext(s.profile) != "" {
		load = profiles.LoadFile
	}
	p, err := load(s.profile)
	if err != nil {
		return nil, err
	}
	return profiles.Override(p, nil, s.set...)
}

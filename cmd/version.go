package cmd

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

func (a *app) version() *cobra.Command {
	c := &cobra.Command{
		Use:   "version",
		Short: "Print the version and how this binary was built",
		Long: `version prints the version of the program, the revision of its source where the
build knew it, the version of Go, and the platform.`,
		Example: `  alertlab version
  alertlab version -o json`,
		Args: cobra.NoArgs,
	}
	output := outputFlag(c, "text", "json")
	c.RunE = func(*cobra.Command, []string) error {
		v := build()
		if *output == "json" {
			return a.printJSON(v)
		}
		fmt.Fprintf(a.out, "alertlab %s", v.Version)
		if v.Revision != "" {
			fmt.Fprintf(a.out, " (%.12s)", v.Revision)
		}
		_, err := fmt.Fprintf(a.out, ", %s, %s\n", v.Go, v.Platform)
		return err
	}
	return c
}

// buildInfo says how this binary was built.
type buildInfo struct {
	Version  string `json:"version"`
	Revision string `json:"revision,omitempty"`
	Modified bool   `json:"modified,omitempty"`
	Go       string `json:"go"`
	Platform string `json:"platform"`
}

func build() buildInfo {
	v := buildInfo{Version: "unknown", Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	if info, ok := debug.ReadBuildInfo(); ok {
		v.Version = info.Main.Version
		for _, s := range info.Settings {
			switch s.Key {
			case "vcs.revision":
				v.Revision = s.Value
			case "vcs.modified":
				v.Modified = s.Value == "true"
			}
		}
	}
	return v
}

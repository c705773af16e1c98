package images

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"

	"github.com/alertlab/alertlab/lab/fault"
)

// The project's own recipes can be read, and take what the pins give.
func TestOwnRecipes(t *testing.T) {
	r, err := Load("../images.yaml")
	if err != nil {
		t.Fatal(fault.Text(err))
	}
	data, err := os.ReadFile("../parts.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var pins struct{ Parts []struct{ Name string } }
	if err := yaml.Unmarshal(data, &pins); err != nil {
		t.Fatal(err)
	}
	var known []string
	for _, p := range pins.Parts {
		known = append(known, p.Name)
	}
	for _, name := range r.Parts() {
		if !slices.Contains(known, name) {
			t.Errorf("images.yaml takes the part %s, which parts.yaml does not have", name)
		}
	}
	node := slices.IndexFunc(r.Images, func(r Recipe) bool { return r.Node })
	if node < 0 {
		t.Fatal("there is no node image")
	}
	// An image that a node holds but does not name, or the other way round,
	// would be looked for in vain.
	var held, named []string
	for _, l := range r.Images[node].Layers {
		for _, f := range l.Files {
			held, named = append(held, f.Archive...), append(named, f.References...)
		}
	}
	slices.Sort(held)
	slices.Sort(named)
	if !slices.Equal(held, named) {
		t.Errorf("the node holds %v and names %v", held, named)
	}
	for _, one := range r.Images {
		if one.User == "0" && strings.HasPrefix(one.Reference, "quay.io/argoproj") {
			t.Errorf("%s runs as root", one.Name)
		}
	}
}

func TestRecipeProblems(t *testing.T) {
	const head = "apiVersion: alertlab/v1alpha1\nkind: RigImages\nimages:\n"
	// Line 4 is the first of an image.
	image := func(change ...string) string {
		return head + strings.NewReplacer(change...).Replace(`- name: one
  reference: rig.local/one:${tool}
  part: tool
  layers:
  - files:
    - {path: /bin/tool, part: tool, from: bin/tool}
  entrypoint: [/bin/tool]
  user: "0"
`)
	}
	file := "{path: /bin/tool, part: tool, from: bin/tool}"
	cases := []struct{ name, text, want string }{
		{"none", head[:len(head)-1] + " []\n", "f.yaml:3:9: images: there is no image"},
		{"key", image("user:", "usr:"), `f.yaml:11:3: images[0].usr: unknown key "usr", did you mean "user"?`},
		{"name", image("name: one", "name: One!"), `f.yaml:4:9: images[0].name: "One!" is not a DNS label`},
		{"reference without registry", image("rig.local/one:${tool}", "one:1"), `f.yaml:5:14: images[0].reference: "one:1" is not a full image name: REGISTRY/NAME:TAG`},
		{"reference without tag", image("one:${tool}", "one"), `f.yaml:5:14: images[0].reference: "rig.local/one" is not a full image name: REGISTRY/NAME:TAG`},
		{"reference with another variable", image("${tool}", "${tool%v}"), `f.yaml:5:14: images[0].reference: "rig.local/one:${tool%v}": only ${part} and ${part#v} can stand in it`},
		{"short name of Docker Hub", image("rig.local/one", "docker.io/one"), `f.yaml:5:14: images[0].reference: "docker.io/one:${tool}": nodes know this image as docker.io/library/one:${tool}`},
		{"user", image(`"0"`, "root"), `f.yaml:11:9: images[0].user: "root" is not UID or UID:GID`},
		{"entrypoint", image("[/bin/tool]", "[]"), "f.yaml:10:15: images[0].entrypoint: is empty"},
		{"empty layer", image("- files:\n    - "+file, "- {}"), "f.yaml:8:5: images[0].layers[0]: needs root or files"},
		{"root and files", image("- files:", "- root: x\n    files:"), "f.yaml:8:5: images[0].layers[0]: has both root and files: make it two layers"},
		{"second root", image(file, file+"\n  - root: x"), "f.yaml:10:11: images[0].layers[1].root: a root can only be the first layer"},
		{"only without root", image("- files:", "- only: [/x]\n    files:"), "f.yaml:8:11: images[0].layers[0].only: needs a root to choose from"},
		{"two sources", image("from: bin/tool", "from: bin/tool, text: x"), "f.yaml:9:7: images[0].layers[0].files[0]: needs exactly one of from, own, text, link, folder, archive and references, but has 2 of them"},
		{"relative path", image("path: /bin/tool", "path: bin/tool"), `f.yaml:9:14: images[0].layers[0].files[0].path: "bin/tool" is not an absolute path in its shortest form`},
		{"dots", image("path: /bin/tool", "path: /bin/../tool"), `f.yaml:9:14: images[0].layers[0].files[0].path: "/bin/../tool" is not an absolute path in its shortest form`},
		{"pattern to a file", image("from: bin/tool", "from: bin/*"), `f.yaml:9:14: images[0].layers[0].files[0].path: must end in a slash, since "bin/*" can match several files`},
		{"out of the part", image("from: bin/tool", "from: ../tool"), `f.yaml:9:43: images[0].layers[0].files[0].from: "../tool" is not a path or pattern inside a part`},
		{"no part", image("part: tool, from", "from"), "f.yaml:9:31: images[0].layers[0].files[0].from: needs a part that the file comes from"},
		{"mode", image("from: bin/tool", `from: bin/tool, mode: "0999"`), `f.yaml:9:59: images[0].layers[0].files[0].mode: "0999" is not an octal mode of a file or folder`},
		{"owner", image("from: bin/tool", `from: bin/tool, owner: root`), `f.yaml:9:60: images[0].layers[0].files[0].owner: "root" is not UID:GID`},
		{"own file", image("part: tool, from: bin/tool", "own: nothing.sh"), `f.yaml:9:30: images[0].layers[0].files[0].own: this package holds no file "nothing.sh"`},
		{"twice the path", image(file, file+"\n    - "+file), `f.yaml:10:14: images[0].layers[0].files[1].path: "/bin/tool" stands here a second time`},
		{"archive in a plain image", image("part: tool, from: bin/tool", "archive: [one]"), "f.yaml:9:34: images[0].layers[0].files[0].archive: only the node image can hold other images"},
		{"unknown image", image(`user: "0"`, "user: \"0\"\n  node: true", "part: tool, from: bin/tool", "archive: [two]"), `f.yaml:9:35: images[0].layers[0].files[0].archive[0]: there is no image "two" to put in`},
		{"several", image("name: one", "name: a.b", `"0"`, "x"), "f.yaml:4:9: images[0].name: \"a.b\" is not a DNS label\nf.yaml:11:9: images[0].user: \"x\" is not UID or UID:GID"},
	}
	if _, err := Parse("f.yaml", []byte(image())); err != nil {
		t.Fatal(err)
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			_, err := Parse("f.yaml", []byte(c.text))
			if err == nil {
				t.Fatalf("no problem, want %s", c.want)
			}
			if got := strings.TrimPrefix(err.Error(), "the image recipes have mistakes: "); got != c.want {
				t.Errorf("got\n%s\nwant\n%s", got, c.want)
			}
			if fault.CodeOf(err) != fault.BadInput {
				t.Errorf("exit code %d", fault.CodeOf(err))
			}
		})
	}
}

func TestLoadWithoutFile(t *testing.T) {
	_, err := Load(filepath.Join(t.TempDir(), "images.yaml"))
	if text := fault.Text(err); err == nil || !strings.Contains(text, "next: ") {
		t.Errorf("got %q", text)
	}
}

// What Parse takes can be planned without a panic.
func FuzzParse(f *testing.F) {
	f.Add(recipes)
	f.Fuzz(func(t *testing.T, text string) {
		r, err := Parse("f.yaml", []byte(text))
		if err != nil {
			return
		}
		b := &builder{Options: Options{Recipes: r}, keys: map[string]string{}}
		for i := range r.Images {
			if b.imageKey(&r.Images[i]) == "" {
				t.Error("an image without a key")
			}
		}
		r.Parts()
	})
}

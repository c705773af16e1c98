package images

import "embed"

// own holds the files of images that are neither of a part nor short enough
// for a recipe.
//
//go:embed files
var own embed.FS

func ownFile(name string) ([]byte, error) { return own.ReadFile("files/" + name) }

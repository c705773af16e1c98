package record

import (
	"math"

	"github.com/alertlab/alertlab/alerts/cutout"
)

// Record is an alert as it is looked at.
type Record struct {
	Tree    *Node
	Curve   Curve
	Place   Place
	Cutouts []Cutout // those that the schema has a place for: science, template, difference
	// Words says that the schema had words of its own on its fields.
	Words bool
}

// Cutout is one picture of an alert.
type Cutout struct {
	Name  string // "science", "template", "difference"
	Field string // "cutoutScience"
	Bytes int    // 0 when the alert has none
	// Image is nil when there is none, or it cannot be read: Problem says why.
	Image   *cutout.Image
	Problem string
	// Low and High are the ZScale limits, in the image's unit.
	Low, High float64
}

// Read makes a record of a decoded alert and the text of its schema. What is wrong
// with a cutout stands in it; the error is one of the schema's text.
func Read(schema string, alert map[string]any) (*Record, error) {
	tree, err := TreeOf(schema, alert)
	if err != nil {
		return nil, err
	}
	r := &Record{Tree: tree, Curve: CurveOf(alert), Place: PlaceOf(alert)}
	for _, c := range []struct{ name, field string }{{"science", "cutoutScience"}, {"template", "cutoutTemplate"}, {"difference", "cutoutDifference"}} {
		if tree.Child(c.field) == nil {
			continue
		}
		cut := Cutout{Name: c.name, Field: c.field}
		b, ok := alert[c.field].([]byte)
		if !ok || len(b) == 0 {
			cut.Problem = "the alert has none"
			r.Cutouts = append(r.Cutouts, cut)
			continue
		}
		cut.Bytes = len(b)
		if cut.Image, err = cutout.Read(b); err != nil {
			cut.Problem = err.Error()
		} else {
			cut.Low, cut.High = cutout.ZScale(cut.Image.Pixels)
		}
		r.Cutouts = append(r.Cutouts, cut)
	}
	if source := tree.Child("diaSource"); source != nil {
		for _, f := range source.Children() {
			if f.Doc != "" && f.Doc != meaning(f.Name) {
				r.Words = true
				break
			}
		}
	}
	return r, nil
}

// PlaceOf is where the detection of an alert is.
func PlaceOf(alert map[string]any) Place {
	source, _ := alert["diaSource"].(map[string]any)
	ra, _ := number(source, "ra")
	dec, _ := number(source, "dec", "decl")
	return Place{RA: ra, Dec: dec}
}

// Levels are the brightness of a cutout's pixels between its limits, from 0 to 1, the
// top row first, as a picture is drawn; NaN where there is no pixel.
func (c Cutout) Levels() (width, height int, levels []float64) {
	if c.Image == nil {
		return 0, 0, nil
	}
	width, height = c.Image.Width, c.Image.Height
	levels = make([]float64, 0, width*height)
	scale := 0.0
	if c.High > c.Low {
		scale = 1 / (c.High - c.Low)
	}
	for y := height - 1; y >= 0; y-- {
		for x := range width {
			level := c.Image.At(x, y)
			switch {
			case math.IsNaN(level):
			case scale == 0:
				level = 0.5
			default:
				level = min(max((level-c.Low)*scale, 0), 1)
			}
			levels = append(levels, level)
		}
	}
	return width, height, levels
}

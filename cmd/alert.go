package cmd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/alertlab/alertlab/alerts/console"
	"github.com/alertlab/alertlab/alerts/cutout"
	"github.com/alertlab/alertlab/alerts/packet"
	"github.com/alertlab/alertlab/alerts/record"
	"github.com/alertlab/alertlab/lab/fault"
	"github.com/alertlab/alertlab/render"
	"github.com/alertlab/alertlab/render/lightcurve"
	"github.com/alertlab/alertlab/render/phrase"
	"github.com/alertlab/alertlab/render/picture"
	"github.com/alertlab/alertlab/render/style"
)

func (a *app) alert() *cobra.Command {
	c := &cobra.Command{
		Use:   "alert",
		Short: "Look at one alert: record, light curve, cutouts, archived copy",
		Long: `alert looks at a single alert as an astronomer does. Many alerts on a line each are
shown by "alertlab console messages" and "alertlab simulator print".`,
		Example: `  alertlab alert show
  alertlab alert show 281323062375219200 --picture`,
	}
	c.AddCommand(a.alertShow())
	return c
}

// showFlags are what alert show shows beside what it always shows.
type showFlags struct {
	index                int
	record, plot, images bool
}

func (a *app) alertShow() *cobra.Command {
	var flags consoleFlags
	var show showFlags
	c := &cobra.Command{
		Use:   "show [ID | FILE | TOPIC/PARTITION/OFFSET]",
		Short: "Show an alert with its light curve and cutouts",
		Long: `show decodes one alert: where it is on the sky, what its wire header says, its light
curve as a table, its cutouts in numbers, and whether its archived copy is equal to it
byte for byte. The alert is named by its id, which is fetched from the alert database;
by a place in a topic, such as alerts-simulated/3/1200; or by a file of alerts. Without
a name it is the newest of the topic that the simulator publishes to.

The light curve has the fluxes of point sources in the difference image, in nJy, with
their uncertainty and AB magnitude, over the middle of the exposure as MJD in TAI: those
of diaSource, prvDiaSources and prvDiaForcedSources. Of each cutout the smallest, the
largest and the median pixel are given, the scatter, and the limits of a ZScale stretch.

--picture draws the cutouts between these limits, in colour on a terminal that has any
and by shades elsewhere; --plot draws the light curve; --record prints every field with
its unit and what it is, in the schema's own words where it has any. -o json has the
light curve and the cutouts' numbers; whole records are given by "alertlab console
messages -o json".`,
		Example: `  alertlab alert show
  alertlab alert show 281323062375219200 --picture --plot
  alertlab alert show alerts-simulated/3/1200 --record
  alertlab alert show visit.avro --index 7 -o json | jq .lightCurve.points`,
		Args: cobra.MaximumNArgs(1),
	}
	f := c.Flags()
	f.StringVar(&flags.user, "user", "", "Kafka user to look as (default: the superuser)")
	f.DurationVar(&flags.timeout, "timeout", 20*time.Second, "how long an answer may take")
	must(c.RegisterFlagCompletionFunc("user", a.completeUsers))
	f.IntVar(&show.index, "index", 0, "of a file: which alert, counted from 0")
	f.BoolVar(&show.record, "record", false, "print every field")
	f.BoolVar(&show.plot, "plot", false, "draw the light curve")
	f.BoolVar(&show.images, "picture", false, "draw the cutouts")
	output := outputFlag(c, "text", "json")
	c.RunE = func(c *cobra.Command, args []string) error {
		drawn := show.record || show.plot || show.images
		switch {
		case flags.timeout <= 0:
			return fault.New(fault.BadInput, fmt.Sprintf("%v is no time to wait for an answer", flags.timeout), "--timeout is more than 0, e.g. 20s", c.CommandPath()+" --timeout 20s")
		case drawn && *output == "json":
			return fault.New(fault.BadInput, "--record, --plot and --picture go without -o json", "they are drawn for people", c.CommandPath()+" "+strings.Join(args, " ")+" -o json")
		case show.index < 0:
			return fault.New(fault.BadInput, fmt.Sprintf("%d is no place in a file", show.index), "alerts are counted from 0", c.CommandPath()+" FILE --index 0")
		}
		name := ""
		if len(args) == 1 {
			name = args[0]
			if name == "" {
				return fault.New(fault.BadInput, "no alert is named", "the name is empty", c.CommandPath()+" ID")
			}
		}
		got, copied, err := a.findAlert(c.Context(), name, flags, show.index, f.Changed("index"))
		if err != nil {
			return err
		}
		if *output == "json" {
			return a.printJSON(alertJSON(got, copied))
		}
		return a.printFound(got, copied, show)
	}
	return c
}

// messageName is a message of a topic, by partition and offset.
var messageName = regexp.MustCompile(`^([^/]+)/(\d+)/(\d+)$`)

// findAlert finds an alert by what it is called, and its archived copy where there is
// a lab that may have one.
func (a *app) findAlert(ctx context.Context, name string, flags consoleFlags, index int, indexed bool) (found, *copyState, error) {
	id, idErr := strconv.ParseInt(name, 10, 64)
	message := messageName.FindStringSubmatch(name)
	_, statErr := os.Stat(name)
	isFile := name != "" && idErr != nil && (statErr == nil || message == nil)
	if isFile {
		f, err := fileAlert(ctx, name, index)
		return f, nil, err
	}
	if indexed {
		return found{}, nil, fault.New(fault.BadInput, "--index goes with a file", fmt.Sprintf("%q is none", name), "alertlab alert show FILE --index "+strconv.Itoa(index))
	}
	if id < 0 {
		return found{}, nil, fault.New(fault.BadInput, fmt.Sprintf("%d is no alert id", id), "an id is a decimal number of at most 19 digits", "alertlab alert show ID")
	}
	if _, _, err := a.needRunning(ctx); err != nil {
		return found{}, nil, err
	}
	source := newAlertSource(a, flags)
	var f found
	var err error
	switch {
	case name != "" && idErr == nil:
		f, err = source.byID(ctx, id)
		return f, nil, err
	case message != nil:
		partition, perr := strconv.ParseInt(message[2], 10, 32)
		offset, oerr := strconv.ParseInt(message[3], 10, 64)
		if err := errors.Join(perr, oerr); err != nil {
			return found{}, nil, fault.Wrap(fault.BadInput, fmt.Sprintf("%q is no message of a topic", name), inWords(err), "alertlab console topics "+message[1])
		}
		f, err = source.message(ctx, message[1], int32(partition), offset)
	default:
		card, _, cerr := a.card()
		if cerr != nil {
			return found{}, nil, cerr
		}
		f, err = source.newest(ctx, card.Simulator.Topic)
	}
	if err != nil {
		return found{}, nil, err
	}
	c := source.compare(ctx, f)
	return f, &c, nil
}

// fileAlert reads one alert of a container, with the words that its schema has.
func fileAlert(ctx context.Context, path string, index int) (found, error) {
	file, err := os.Open(path)
	if err != nil {
		return found{}, fault.Wrap(fault.BadInput, "the file cannot be read", err, "alertlab simulator generate visit.avro   # or name an id, or TOPIC/PARTITION/OFFSET")
	}
	defer file.Close()
	c, err := packet.NewContainerReader(file)
	if err != nil {
		return found{}, fmt.Errorf("%s: %w", path, err)
	}
	for n := 0; ; n++ {
		body, err := c.Next()
		if errors.Is(err, io.EOF) {
			return found{}, fault.New(fault.BadInput, fmt.Sprintf("%s has no alert %d", path, index), "it has "+phrase.Count(n, "alert")+", counted from 0", "alertlab simulator print "+path)
		}
		if err != nil {
			return found{}, fmt.Errorf("%s: %w", path, err)
		}
		if n < index {
			continue
		}
		id := c.Schema().ID()
		schemas := console.NewSchemas(nil)
		schemas.Know(id, c.Schema(), c.Text())
		wire := packet.Frame(uint32(id), body)
		h := console.HeadOf(ctx, schemas, &kgo.Record{Value: wire})
		r, err := console.OpenPacket(ctx, schemas, wire)
		if err != nil {
			return found{}, fmt.Errorf("%s, alert %d: %w", path, index, err)
		}
		return found{head: h, wire: wire, record: r, origin: fmt.Sprintf("%s, alert %d", path, index)}, nil
	}
}

// whence says where an alert was read.
func (f found) whence() string {
	if f.head.Topic != "" {
		return fmt.Sprintf("topic %s, partition %d, offset %d", f.head.Topic, f.head.Partition, f.head.Offset)
	}
	return f.origin
}

// lookAlert is an alert as -o json gives it.
type lookAlert struct {
	ID         int64          `json:"id"`
	From       string         `json:"from"`
	Schema     console.Schema `json:"schema"`
	Wire       string         `json:"wireHeader"` // five bytes, hexadecimal
	Bytes      int            `json:"bytes"`
	Visit      int64          `json:"visit,omitempty"`
	MJD        float64        `json:"mjd"`
	UTC        time.Time      `json:"utc,omitzero"`
	Band       string         `json:"band,omitempty"`
	Flux       *float64       `json:"flux,omitempty"`      // nJy
	FluxErr    *float64       `json:"fluxErr,omitempty"`   // nJy
	Magnitude  *float64       `json:"magnitude,omitempty"` // AB
	SNR        *float64       `json:"snr,omitempty"`
	RA         *float64       `json:"ra,omitempty"`  // degrees
	Dec        *float64       `json:"dec,omitempty"` // degrees
	Place      string         `json:"place,omitempty"`
	LightCurve record.Curve   `json:"lightCurve"`
	Cutouts    []lookCutout   `json:"cutouts"`
	Archived   *copyState     `json:"archived,omitempty"`
}

// lookCutout is a cutout as -o json gives it.
type lookCutout struct {
	Name    string        `json:"name"`
	Bytes   int           `json:"bytes"`
	Problem string        `json:"problem,omitempty"`
	Width   int           `json:"width,omitempty"`
	Height  int           `json:"height,omitempty"`
	Unit    string        `json:"unit,omitempty"`
	Stats   *cutout.Stats `json:"stats,omitempty"`
	ZScale  *[2]float64   `json:"zscale,omitempty"`
}

func alertJSON(f found, copied *copyState) lookAlert {
	h := f.head
	out := lookAlert{
		ID: h.ID, From: f.whence(), Schema: console.Schema{ID: h.SchemaID, Version: h.Version}, Wire: fmt.Sprintf("% 02x", f.wire[:min(len(f.wire), packet.HeaderSize)]), Bytes: len(f.wire),
		Visit: h.Visit, MJD: h.MJD, UTC: record.Time(h.MJD), Band: h.Band, Flux: known(h.Flux), FluxErr: known(h.FluxErr), Magnitude: known(record.Magnitude(h.Flux)), SNR: known(h.SNR),
		RA: known(h.RA), Dec: known(h.Dec), LightCurve: f.record.Curve, Cutouts: []lookCutout{}, Archived: copied,
	}
	if f.record.Place.Known() {
		out.Place = f.record.Place.Sexagesimal()
	}
	for _, c := range f.record.Cutouts {
		cut := lookCutout{Name: c.Name, Bytes: c.Bytes, Problem: c.Problem}
		if c.Image != nil {
			stats := c.Image.Stats()
			cut.Width, cut.Height, cut.Unit, cut.Stats, cut.ZScale = c.Image.Width, c.Image.Height, c.Image.Unit, &stats, &[2]float64{c.Low, c.High}
		}
		out.Cutouts = append(out.Cutouts, cut)
	}
	return out
}

// known is a number that JSON can hold, nil for one that is none.
func known(f float64) *float64 {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return nil
	}
	return &f
}

// number writes a number that may be none.
func number(f float64, digits int) string {
	if known(f) == nil {
		return "-"
	}
	return strconv.FormatFloat(f, 'f', digits, 64)
}

// printFound writes an alert as text.
func (a *app) printFound(f found, copied *copyState, show showFlags) error {
	h := f.head
	table := render.NewTable(a.out, "ALERT", strconv.FormatInt(h.ID, 10))
	table.Row("from", f.whence())
	schema := fmt.Sprintf("id %d", h.SchemaID)
	if h.Version != "" {
		schema = fmt.Sprintf("%s (id %d)", h.Version, h.SchemaID)
	}
	table.Row("schema", schema)
	table.Row("wire header", fmt.Sprintf("% 02x: magic 0, then the schema's id, big-endian; %d bytes with it", f.wire[:min(len(f.wire), packet.HeaderSize)], len(f.wire)))
	if at := record.Time(h.MJD); !at.IsZero() {
		table.Row("time", fmt.Sprintf("MJD %.6f TAI, %s UTC", h.MJD, at.Format("2006-01-02 15:04:05.000")))
	}
	table.Row("place", fmt.Sprintf("%s deg, %s", f.record.Place.Degrees(), f.record.Place.Sexagesimal()))
	table.Row("band", h.Band)
	flux := fmt.Sprintf("%s +- %s nJy", number(h.Flux, 1), number(h.FluxErr, 1))
	if m := record.Magnitude(h.Flux); known(m) != nil {
		flux += fmt.Sprintf(", AB %.2f mag", m)
	}
	table.Row("difference flux", flux)
	table.Row("signal to noise", number(h.SNR, 1))
	if h.Visit != 0 {
		table.Row("visit", h.Visit)
	}
	if copied != nil {
		table.Row("archived copy", copied.text())
	}
	if err := table.Flush(); err != nil {
		return err
	}
	for _, part := range []struct {
		wanted bool
		print  func(found) error
	}{{true, a.printCurve}, {show.plot, a.plotCurve}, {true, a.printCutouts}, {show.images, a.drawCutouts}, {show.record, a.printRecord}} {
		if !part.wanted {
			continue
		}
		if _, err := fmt.Fprintln(a.out); err != nil {
			return err
		}
		if err := part.print(f); err != nil {
			return err
		}
	}
	return nil
}

// text says how an archived copy is.
func (c copyState) text() string {
	switch c.State {
	case "equal":
		return fmt.Sprintf("equal byte for byte: %s, %s", c.Key, c.URL)
	case "differs":
		return fmt.Sprintf("DIFFERS from byte %d on, of %d bytes: %s, %s", c.At, c.Bytes, c.Key, c.URL)
	case "absent":
		return fmt.Sprintf("none (yet): %s, %s", c.Key, c.URL)
	}
	return "not asked: " + c.Why
}

func (a *app) printCurve(f found) error {
	c := f.record.Curve
	table := render.NewTable(a.out, "MJD TAI", "UTC", "BAND", "FLUX NJY", "+-", "AB MAG", "FROM")
	for _, p := range c.Points {
		sigma := math.NaN()
		if p.Err != nil {
			sigma = *p.Err
		}
		at := ""
		if t := record.Time(p.MJD); !t.IsZero() {
			at = t.Format("2006-01-02 15:04:05")
		}
		table.Row(fmt.Sprintf("%.6f", p.MJD), at, p.Band, number(p.Flux, 1), number(sigma, 1), number(record.Magnitude(p.Flux), 2), string(p.Kind))
	}
	if err := table.Flush(); err != nil {
		return err
	}
	for _, kind := range []record.Kind{record.Current, record.Detected, record.Forced} {
		if n := c.Left[kind]; n > 0 {
			fmt.Fprintf(a.err, "not in the table: %d of %s, without a time or a flux\n", n, kind)
		}
	}
	return nil
}

// plotWidth and plotHeight are the size of what is drawn where there is no terminal.
const (
	plotWidth  = 100
	plotHeight = 24
)

func (a *app) drawingWidth() int {
	if w := style.Width(a.out); w > 0 {
		return w
	}
	return plotWidth
}

func (a *app) plotCurve(f found) error {
	lines := lightcurve.Lines(f.record.Curve, lightcurve.LooksOf(style.New(a.out, a.getenv)), a.drawingWidth()-1, plotHeight)
	_, err := fmt.Fprintln(a.out, strings.Join(lines, "\n"))
	return err
}

func (a *app) printCutouts(f found) error {
	if len(f.record.Cutouts) == 0 {
		_, err := fmt.Fprintln(a.out, "no cutouts: the schema has none")
		return err
	}
	table := render.NewTable(a.out, "CUTOUT", "BYTES", "PIXELS", "UNIT", "MIN", "MEDIAN", "MAX", "SIGMA", "ZSCALE", "PROBLEM")
	for _, c := range f.record.Cutouts {
		if c.Image == nil {
			table.Row(c.Name, c.Bytes, "", "", "", "", "", "", "", c.Problem)
			continue
		}
		s := c.Image.Stats()
		short := func(f float64) string { return fmt.Sprintf("%.5g", f) }
		table.Row(c.Name, c.Bytes, fmt.Sprintf("%dx%d", c.Image.Width, c.Image.Height), c.Image.Unit, short(s.Min), short(s.Median), short(s.Max), short(s.Sigma), short(c.Low)+" to "+short(c.High), "")
	}
	return table.Flush()
}

func (a *app) drawCutouts(f found) error {
	depth := picture.DepthOf(a.out, a.getenv)
	const most = 48 // columns of a picture
	width := min(a.drawingWidth()-1, most)
	for i, c := range f.record.Cutouts {
		if c.Image == nil {
			continue
		}
		if i > 0 {
			fmt.Fprintln(a.out)
		}
		w, h, levels := c.Levels()
		lines := picture.Draw(picture.Grey{Width: w, Height: h, Levels: levels}, width, width, depth)
		if _, err := fmt.Fprintf(a.out, "%s\n%s\n", c.Name, strings.Join(lines, "\n")); err != nil {
			return err
		}
	}
	return nil
}

// printRecord writes every field, those of records below their own.
func (a *app) printRecord(f found) error {
	table := render.NewTable(a.out, "FIELD", "VALUE", "UNIT", "WHICH IS", "TYPE", "WHAT IT IS")
	var walk func(n *record.Node, path string)
	walk = func(n *record.Node, path string) {
		for _, child := range n.Children() {
			at := path + child.Name
			if path != "" && child.Name[0] != '[' {
				at = path + "." + child.Name
			}
			table.Row(at, child.Value, child.Unit, child.Note, child.Type, child.Doc)
			walk(child, at)
		}
	}
	walk(f.record.Tree, "")
	table.Fit(style.Width(a.out))
	return table.Flush()
}

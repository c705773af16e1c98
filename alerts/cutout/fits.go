package cutout

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// What the FITS standard 4.0 fixes: everything comes in blocks of 2880 bytes, a
// header is cards of 80 characters, a value begins in column 11.
const (
	blockSize = 2880
	cardSize  = 80
	valueAt   = 10
)

// Bounds of what is read. A cutout has some thousand pixels; the largest that the
// brokers would take, 10 MB, has 2.5 million.
const (
	maxPixels = 1 << 24
	maxCards  = 36 * 100
	maxUnits  = 64 // header and data units that are passed over
)

// Image is one plane of pixels, with row 0 at the bottom, as FITS has it.
type Image struct {
	Width, Height int
	// Pixels are physical values, row by row from the bottom, NaN where there is
	// none.
	Pixels []float64
	// Unit is the header's BUNIT, such as "nJy"; "" where it says none.
	Unit string
	// Cards are the header's keywords with their values, as text.
	Cards map[string]string
}

// At gives the pixel of column x and row y, counted from the lower left one.
func (im *Image) At(x, y int) float64 { return im.Pixels[y*im.Width+x] }

// FormatError says why bytes are no FITS file with an image that can be read.
type FormatError struct {
	Offset int // bytes from the beginning
	Err    error
}

func (e *FormatError) Error() string { return fmt.Sprintf("FITS, byte %d: %s", e.Offset, e.Err) }
func (e *FormatError) Unwrap() error { return e.Err }

var (
	// ErrNoImage says that a FITS file has no image of two axes.
	ErrNoImage = errors.New("there is no image in the file")
	errShort   = errors.New("the file ends too early")
	errCards   = errors.New("the header has no END")
)

// Read gives the first image of a FITS file: that of the primary header or, where
// this has none, of the first extension that has. Of an image of more than two
// axes it gives the first plane. Errors are *FormatError.
func Read(b []byte) (*Image, error) {
	if len(b) < blockSize || string(b[:6]) != "SIMPLE" {
		return nil, &FormatError{0, errors.New("it does not begin as a FITS file, with SIMPLE and a block of 2880 bytes")}
	}
	for at, units := 0, 0; at < len(b) && units < maxUnits; units++ {
		h, end, err := readHeader(b, at)
		if err != nil {
			return nil, err
		}
		if h.image() {
			return h.read(b, end)
		}
		size, err := h.size()
		if err != nil {
			return nil, &FormatError{at, err}
		}
		if size > int64(len(b)-end) {
			return nil, &FormatError{end, errShort}
		}
		at = end + blocked(int(size))
	}
	return nil, &FormatError{0, ErrNoImage}
}

// header is one header unit.
type header struct {
	cards  map[string]string
	bitpix int
	axes   []int64
}

// readHeader reads cards from b[at] to END, and gives where the data begins.
func readHeader(b []byte, at int) (*header, int, error) {
	h := &header{cards: map[string]string{}}
	start := at
	for n := 0; ; n++ {
		if at+cardSize > len(b) {
			return nil, 0, &FormatError{at, errShort}
		}
		if n == maxCards {
			return nil, 0, &FormatError{at, errCards}
		}
		card := string(b[at : at+cardSize])
		at += cardSize
		key := strings.TrimRight(card[:8], " ")
		if key == "END" {
			break
		}
		if card[8:valueAt] != "= " { // COMMENT, HISTORY, CONTINUE, nothing
			continue
		}
		if _, there := h.cards[key]; !there {
			h.cards[key] = cardValue(card[valueAt:])
		}
	}
	var err error
	if h.bitpix, err = h.whole("BITPIX"); err != nil {
		return nil, 0, &FormatError{start, err}
	}
	n, err := h.whole("NAXIS")
	if err == nil && (n < 0 || n > 999) {
		err = fmt.Errorf("NAXIS is %d", n)
	}
	if err != nil {
		return nil, 0, &FormatError{start, err}
	}
	for i := range n {
		length, err := h.whole("NAXIS" + strconv.Itoa(i+1))
		if err == nil && length < 0 {
			err = fmt.Errorf("NAXIS%d is %d", i+1, length)
		}
		if err != nil {
			return nil, 0, &FormatError{start, err}
		}
		h.axes = append(h.axes, int64(length))
	}
	return h, start + blocked(at-start), nil
}

// cardValue is what stands between "= " and a comment, without quotes.
func cardValue(text string) string {
	text = strings.TrimLeft(text, " ")
	if rest, ok := strings.CutPrefix(text, "'"); ok {
		var value strings.Builder
		for i := 0; i < len(rest); i++ {
			if rest[i] == '\'' {
				if i+1 == len(rest) || rest[i+1] != '\'' {
					break
				}
				i++ // two stand for one
			}
			value.WriteByte(rest[i])
		}
		return strings.TrimRight(value.String(), " ")
	}
	value, _, _ := strings.Cut(text, "/")
	return strings.TrimSpace(value)
}

func (h *header) whole(key string) (int, error) {
	text, ok := h.cards[key]
	if !ok {
		return 0, fmt.Errorf("there is no %s", key)
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		return 0, fmt.Errorf("%s is %q, no whole number", key, text)
	}
	return n, nil
}

// number reads a value that may be missing; FITS also writes exponents with D.
func (h *header) number(key string, missing float64) (float64, error) {
	text, ok := h.cards[key]
	if !ok || text == "" {
		return missing, nil
	}
	f, err := strconv.ParseFloat(strings.Replace(strings.ToUpper(text), "D", "E", 1), 64)
	if err != nil {
		return 0, fmt.Errorf("%s is %q, no number", key, text)
	}
	return f, nil
}

// image says whether this unit has an image of two axes, none of them empty.
func (h *header) image() bool {
	if kind, ok := h.cards["XTENSION"]; ok && kind != "IMAGE" {
		return false
	}
	if len(h.axes) < 2 {
		return false
	}
	for _, n := range h.axes {
		if n == 0 {
			return false
		}
	}
	return true
}

var errHuge = fmt.Errorf("an image of more than %d pixels is not read", maxPixels)

// size is the length of the unit's data in bytes, without its padding.
func (h *header) size() (int64, error) {
	if len(h.axes) == 0 {
		return 0, nil
	}
	const most = 1 << 40
	items := int64(1)
	for _, n := range h.axes {
		if n > most {
			return 0, errHuge
		}
		if items *= n; items > most {
			return 0, errHuge
		}
	}
	// Of a table, PCOUNT bytes follow and GCOUNT is 1; groups are not of interest.
	more, err := h.number("PCOUNT", 0)
	if err != nil {
		return 0, err
	}
	if !(more >= 0 && more <= most) {
		return 0, fmt.Errorf("PCOUNT is %v", more)
	}
	width := h.bitpix / 8
	if width < 0 {
		width = -width
	}
	if width == 0 || width > 8 {
		return 0, fmt.Errorf("BITPIX is %d", h.bitpix)
	}
	return (items + int64(more)) * int64(width), nil
}

// read takes the first plane of the data at b[at].
func (h *header) read(b []byte, at int) (*Image, error) {
	bad := func(err error) (*Image, error) { return nil, &FormatError{at, err} }
	nx, ny := h.axes[0], h.axes[1]
	if nx > maxPixels || ny > maxPixels || nx*ny > maxPixels {
		return bad(errHuge)
	}
	n := int(nx * ny)
	get := map[int]func([]byte) float64{
		8:   func(b []byte) float64 { return float64(b[0]) },
		16:  func(b []byte) float64 { return float64(int16(binary.BigEndian.Uint16(b))) },
		32:  func(b []byte) float64 { return float64(int32(binary.BigEndian.Uint32(b))) },
		64:  func(b []byte) float64 { return float64(int64(binary.BigEndian.Uint64(b))) },
		-32: func(b []byte) float64 { return float64(math.Float32frombits(binary.BigEndian.Uint32(b))) },
		-64: func(b []byte) float64 { return math.Float64frombits(binary.BigEndian.Uint64(b)) },
	}[h.bitpix]
	if get == nil {
		return bad(fmt.Errorf("BITPIX is %d: it is 8, 16, 32, 64, -32 or -64", h.bitpix))
	}
	width := max(h.bitpix, -h.bitpix) / 8
	if n*width > len(b)-at {
		return bad(errShort)
	}
	zero, err := h.number("BZERO", 0)
	if err != nil {
		return bad(err)
	}
	scale, err := h.number("BSCALE", 1)
	if err != nil {
		return bad(err)
	}
	blank, err := h.number("BLANK", math.NaN())
	if err != nil {
		return bad(err)
	}
	im := &Image{Width: int(nx), Height: int(ny), Pixels: make([]float64, n), Unit: h.cards["BUNIT"], Cards: h.cards}
	for i := range im.Pixels {
		v := get(b[at+i*width:])
		if h.bitpix > 0 && v == blank {
			v = math.NaN()
		} else {
			v = zero + scale*v
		}
		im.Pixels[i] = v
	}
	return im, nil
}

func blocked(n int) int { return (n + blockSize - 1) / blockSize * blockSize }

package cutout

import (
	"math"
	"slices"
)

// Constants of ZScale, as IRAF's display has them by default and astropy's
// ZScaleInterval takes over.
const (
	zSamples    = 1000 // pixels that are looked at
	zContrast   = 0.25 // by which the slope is divided
	zMaxReject  = 0.5  // of the sample; more than that rejected, there is no fit
	zMinPixels  = 5
	zSigmas     = 2.5 // from the line, beyond which a pixel is rejected
	zIterations = 5
	zGrow       = 0.01 // of the sample, by which what is rejected grows
)

// ZScale gives the limits between which IRAF's display would show an image: a
// straight line is fitted to the sorted values of a sample, without those that lie
// off it, and its slope, made steeper by the contrast, about the median says what
// is black and what is white. So the sky's noise is seen however bright the source
// is. It gives 0, 0 for an image without any number.
//
// The algorithm is that of NOAO IRAF's zscale, with the sample of astropy's
// ZScaleInterval (every nth pixel, of those that are numbers); the tests hold it
// against values that astropy gives.
func ZScale(pixels []float64) (low, high float64) {
	sample := zSample(pixels)
	n := len(sample)
	if n == 0 {
		return 0, 0
	}
	low, high = sample[0], sample[n-1]
	least := max(zMinPixels, int(float64(n)*zMaxReject))
	grow := max(1, int(float64(n)*zGrow))
	bad := make([]bool, n)
	grown := make([]bool, n)
	good, before := n, n+1
	var slope float64
	for range zIterations {
		if good >= before || good < least {
			break
		}
		var offset float64
		offset, slope = line(sample, bad)
		reject(sample, bad, offset, slope)
		// A rejected value takes its neighbours with it; of an even number of
		// them, one more above than below.
		clear(grown)
		for i, b := range bad {
			if b {
				first := i - (grow-1)/2
				for j := max(first, 0); j < min(first+grow, n); j++ {
					grown[j] = true
				}
			}
		}
		copy(bad, grown)
		before, good = good, 0
		for _, b := range bad {
			if !b {
				good++
			}
		}
	}
	if good < least {
		return low, high
	}
	slope /= zContrast
	centre := (n - 1) / 2
	median := sample[centre]
	if n%2 == 0 {
		median = (sample[n/2-1] + sample[n/2]) / 2
	}
	return max(low, median-float64(centre-1)*slope), min(high, median+float64(n-centre)*slope)
}

// zSample takes every nth of the pixels that are numbers, sorted.
func zSample(pixels []float64) []float64 {
	finite := 0
	for _, v := range pixels {
		if !math.IsNaN(v) && !math.IsInf(v, 0) {
			finite++
		}
	}
	stride := max(1, finite/zSamples)
	sample := make([]float64, 0, min(finite, zSamples))
	i := 0
	for _, v := range pixels {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			continue
		}
		if i%stride == 0 && len(sample) < zSamples {
			sample = append(sample, v)
		}
		i++
	}
	slices.Sort(sample)
	return sample
}

// line fits a straight line by least squares to what is not rejected.
func line(sample []float64, bad []bool) (offset, slope float64) {
	var n, meanX, meanY float64
	for i, v := range sample {
		if !bad[i] {
			n++
			meanX += float64(i)
			meanY += v
		}
	}
	meanX, meanY = meanX/n, meanY/n
	var xx, xy float64
	for i, v := range sample {
		if !bad[i] {
			dx := float64(i) - meanX
			xx += dx * dx
			xy += dx * (v - meanY)
		}
	}
	if xx > 0 {
		slope = xy / xx
	}
	return meanY - slope*meanX, slope
}

// reject marks what lies further from the line than its scatter allows.
func reject(sample []float64, bad []bool, offset, slope float64) {
	var n, mean float64
	for i, v := range sample {
		if !bad[i] {
			n++
			mean += v - offset - slope*float64(i)
		}
	}
	mean /= n
	var variance float64
	for i, v := range sample {
		if !bad[i] {
			d := v - offset - slope*float64(i) - mean
			variance += d * d
		}
	}
	threshold := zSigmas * math.Sqrt(variance/n)
	for i, v := range sample {
		if d := v - offset - slope*float64(i); d < -threshold || d > threshold {
			bad[i] = true
		}
	}
}

// Stats are what one says of an image in numbers, of its pixels that are numbers.
type Stats struct {
	Pixels int     `json:"pixels"` // that are numbers
	Blank  int     `json:"blank"`  // that are none
	Min    float64 `json:"min"`
	Max    float64 `json:"max"`
	Mean   float64 `json:"mean"`
	Median float64 `json:"median"`
	// Sigma is the standard deviation as far as the middle half of the pixels
	// tells it, for a normal distribution: their range by 1.349.
	Sigma float64 `json:"sigma"`
}

// Stats counts.
func (im *Image) Stats() Stats {
	values := make([]float64, 0, len(im.Pixels))
	sum := 0.0
	for _, v := range im.Pixels {
		if !math.IsNaN(v) && !math.IsInf(v, 0) {
			values = append(values, v)
			sum += v
		}
	}
	s := Stats{Pixels: len(values), Blank: len(im.Pixels) - len(values)}
	if len(values) == 0 {
		return s
	}
	slices.Sort(values)
	s.Min, s.Max = values[0], values[len(values)-1]
	s.Mean = sum / float64(len(values))
	s.Median = quantile(values, 0.5)
	s.Sigma = (quantile(values, 0.75) - quantile(values, 0.25)) / 1.349
	return s
}

// quantile interpolates between sorted values.
func quantile(sorted []float64, q float64) float64 {
	at := q * float64(len(sorted)-1)
	i := int(at)
	if i+1 >= len(sorted) {
		return sorted[len(sorted)-1]
	}
	return sorted[i] + (at-float64(i))*(sorted[i+1]-sorted[i])
}

package monitor

import (
	"image"
	"image/color"
	"math"
	"time"
)

// curve is what a plot draws: points within a window of time, and the values at
// the tops of the two axes.
type curve struct {
	points    []Point
	from, to  time.Time
	mostBytes int64
	mostCount int64
}

// looksLike tells whether the new curve c would show nothing that old did not:
// the same values, and time that moved on by less than a step.
func (c curve) looksLike(old curve, step time.Duration) bool {
	if len(c.points) < 2 || len(old.points) < 2 || c.mostBytes != old.mostBytes || c.mostCount != old.mostCount {
		return false
	}
	a, b := c.points[len(c.points)-1], old.points[len(old.points)-1]
	moved := c.to.Sub(old.to)
	return a.Bytes == b.Bytes && a.Tokens == b.Tokens && moved >= 0 && moved < step && c.to.Sub(c.from)-old.to.Sub(old.from) < step
}

// inks are a plot's colours.
type inks struct{ memory, tokens, grid color.Color }

type xy struct{ x, y float32 }

// lines places the points on a picture: one place for each column of pixels,
// with the most memory and the last count of tokens in it.
func (c curve) lines(w, h int) (memory, tokens []xy) {
	span := c.to.Sub(c.from).Seconds()
	if span <= 0 || c.mostBytes <= 0 || c.mostCount <= 0 {
		return nil, nil
	}
	column := math.MinInt
	most := int64(0)
	for _, p := range c.points {
		x := p.Time.Sub(c.from).Seconds() / span * float64(w)
		y := func(v, top int64) float32 { return float32(float64(h) * (1 - float64(v)/float64(top))) }
		if at := int(math.Floor(x)); at != column {
			column, most = at, p.Bytes
			memory = append(memory, xy{float32(x), 0})
			tokens = append(tokens, xy{float32(x), 0})
		}
		most = max(most, p.Bytes)
		memory[len(memory)-1].y = y(most, c.mostBytes)
		tokens[len(tokens)-1].y = y(p.Tokens, c.mostCount)
	}
	return memory, tokens
}

// draw paints the grid, the memory with the area below it, and the tokens.
// width is that of the lines in pixels.
func (c curve) draw(w, h int, width float32, ink inks) *image.RGBA {
	picture := image.NewRGBA(image.Rect(0, 0, w, h))
	if w < 2 || h < 2 {
		return picture
	}
	thick := max(1, int(width/2))
	for i := range intervals + 1 {
		y := min(i*(h-thick)/intervals, h-thick)
		fill(picture, image.Rect(0, y, w, y+thick), ink.grid)
	}
	for i := range intervals + 1 {
		x := min(i*(w-thick)/intervals, w-thick)
		fill(picture, image.Rect(x, 0, x+thick, h), ink.grid)
	}
	memory, tokens := c.lines(w, h)
	if len(memory) == 0 {
		return picture
	}
	heights := make([]float64, 2*w+3)
	first := sample(memory, heights)
	below := blend(ink.memory, 0x30)
	for x := max(first/2, 0); x < w; x++ {
		for y := int(max(0, heights[2*x+1])); y < h; y++ {
			below.over(picture, x, y, 1)
		}
	}
	band(picture, heights, first, width, blend(ink.memory, 0xFF))
	first = sample(tokens, heights)
	band(picture, heights, first, width, blend(ink.tokens, 0xFF))
	return picture
}

// sample puts the height of a line at every half column of pixels, from half a
// column before the picture, and returns the first that the line reaches.
func sample(line []xy, heights []float64) (first int) {
	first = len(heights)
	at := 0
	for i := range heights {
		x := float32(i-1) / 2
		if x < line[0].x {
			continue
		}
		first = min(first, i)
		for at+2 < len(line) && line[at+1].x < x {
			at++
		}
		a, b := line[at], line[min(at+1, len(line)-1)]
		if b.x <= a.x || x >= b.x {
			heights[i] = float64(b.y)
			continue
		}
		heights[i] = float64(a.y + (b.y-a.y)*(x-a.x)/(b.x-a.x))
	}
	return first
}

// band draws a line column by column: over all heights that it has in the column
// and half a column around it, half a width up and down, with soft ends. This
// costs a few pixels a column, where filling a shape costs the whole picture.
func band(picture *image.RGBA, heights []float64, first int, width float32, p paint) {
	h := picture.Rect.Dy()
	for x := range picture.Rect.Dx() {
		if first > 2*x+1 {
			continue
		}
		lo, hi := math.Inf(1), math.Inf(-1)
		for _, y := range heights[max(first, 2*x) : 2*x+3] {
			lo, hi = min(lo, y), max(hi, y)
		}
		lo, hi = lo-float64(width)/2, hi+float64(width)/2
		// a line at an edge stays whole
		if over := hi - float64(h); over > 0 {
			lo, hi = lo-over, hi-over
		}
		if lo < 0 {
			lo, hi = 0, max(hi, float64(width))
		}
		for y := int(lo); y < h && float64(y) < hi; y++ {
			p.over(picture, x, y, min(hi, float64(y+1))-max(lo, float64(y)))
		}
	}
}

// paint is a colour to lay over others, each part and its opacity 0 to 1.
type paint struct{ r, g, b, a float64 }

func blend(c color.Color, alpha uint8) paint {
	n := color.NRGBAModel.Convert(c).(color.NRGBA)
	return paint{float64(n.R), float64(n.G), float64(n.B), float64(alpha) / 255}
}

// over lays the paint over a pixel, of which it covers a share.
func (p paint) over(picture *image.RGBA, x, y int, cover float64) {
	a := p.a * cover
	pix := picture.Pix[picture.PixOffset(x, y):][:4]
	mix := func(old uint8, v float64) uint8 { return uint8(float64(old)*(1-a) + v*a + 0.5) }
	pix[0], pix[1], pix[2], pix[3] = mix(pix[0], p.r), mix(pix[1], p.g), mix(pix[2], p.b), mix(pix[3], 255)
}

func fill(picture *image.RGBA, area image.Rectangle, c color.Color) {
	rgba := color.RGBAModel.Convert(c).(color.RGBA)
	for y := area.Min.Y; y < area.Max.Y; y++ {
		for x := area.Min.X; x < area.Max.X; x++ {
			picture.SetRGBA(x, y, rgba)
		}
	}
}

package looktest

import (
	"cmp"
	"image"
	"image/color"
	"image/draw"
	"slices"
)

// mostColours of a committed picture: a file with a palette is a third as large.
const mostColours = 64

// reduced is a picture with few colours: the most frequent as they are, each of
// the others as the nearest of those.
func reduced(m image.Image) *image.Paletted {
	counts := map[color.NRGBA]int{}
	for y := m.Bounds().Min.Y; y < m.Bounds().Max.Y; y++ {
		for x := m.Bounds().Min.X; x < m.Bounds().Max.X; x++ {
			counts[color.NRGBAModel.Convert(m.At(x, y)).(color.NRGBA)]++
		}
	}
	all := make([]color.NRGBA, 0, len(counts))
	for c := range counts {
		all = append(all, c)
	}
	slices.SortFunc(all, func(a, b color.NRGBA) int {
		return cmp.Or(counts[b]-counts[a], cmp.Compare(number(a), number(b)))
	})
	p := image.NewPaletted(m.Bounds(), apart(all))
	draw.Draw(p, p.Rect, m, m.Bounds().Min, draw.Src)
	return p
}

// exactColours of a picture, the most frequent, are those of its grounds, which
// may be near to each other.
const exactColours = 24

// apart picks as many as a palette holds, the first first, and after the exact
// ones no two nearer to each other than must be.
func apart(all []color.NRGBA) color.Palette {
	for least := 4; ; least += 2 {
		var p color.Palette
		for i, c := range all {
			if i < exactColours || !slices.ContainsFunc(p, func(q color.Color) bool { return distance(c, q.(color.NRGBA)) < least }) {
				if p = append(p, c); len(p) > mostColours {
					break
				}
			}
		}
		if len(p) <= mostColours {
			return p
		}
	}
}

// distance is the largest difference of a part.
func distance(a, b color.NRGBA) int {
	d := func(a, b uint8) int { return max(int(a)-int(b), int(b)-int(a)) }
	return max(d(a.R, b.R), d(a.G, b.G), d(a.B, b.B))
}

func number(c color.NRGBA) uint32 { return uint32(c.R)<<16 | uint32(c.G)<<8 | uint32(c.B) }

// Package repeat tells when a text that grows token by token has begun to go in
// circles: when its end is one and the same piece said again and again, with
// nothing in between, or is patched together of what was said shortly before.
//
// A piece counts that is up to MaxPeriod tokens long and was said Times times
// or more, in so many tokens in all as the Bounds say. They are others for
// phrases, which hardly any text says thrice in a row, than for all the rest:
// rules and rows of a table, zeros in a list, "ha ha ha".
//
// A text is patched together where most of its last Window tokens end four in a
// row that stand in its last Memory tokens before: a circle that varies by a
// word now and then.
//
// Of texts that people wrote, in tokens of the built-in model: Answers found
// nothing in 17.3 million of books and 8.5 million of Markdown, and in 34 million
// of source code 5 tables and lists of one macro; Prose, which is not for code,
// found 2 places in the books, one of them a hymn.
//
// It does not provide what is to become of such a text, and knows neither text
// nor tokenizers: tokens are numbers to it, of which some hold letters.
package repeat

// MaxPeriod is the length of the longest piece that is found, in tokens.
const MaxPeriod = 128

// Times is how often a piece must be said at least.
const Times = 3

// Bounds say how many tokens all sayings of a piece must take together, and when a text is patched together.
type Bounds struct {
	// Phrases: two thirds of the piece's tokens or more hold letters, and two of these differ.
	Phrases int
	// Others are pieces that are no phrases.
	Others int
	// Patched is how many of the last Window tokens must end four in a row that were said before; 0: that is not looked for.
	Patched int
}

var (
	// Answers may hold tables, code and drawings.
	Answers = Bounds{Phrases: 128, Others: 512}
	// Prose holds none of these, and none that is patched together.
	Prose = Bounds{Phrases: 64, Others: 64, Patched: 75}
)

// Circle is a text's end that says the same again and again.
type Circle struct {
	Period int // tokens of the piece; 0 where the end is patched together
	// Total is how many tokens all sayings have together, Times*Period or more, of which the last may not be whole. Of an
	// end that is patched together it is how many there are from the first of its Window that ends four that were said.
	Total int
}

// Detector follows one text. It takes some 60 kB at most, however long the text, and looks at MaxPeriod tokens for each. It
// is not safe for concurrent use.
type Detector struct {
	letters func(id int) bool
	bounds  Bounds
	n       int
	last    [MaxPeriod]int     // a ring: token i is last[i%MaxPeriod]
	runs    [MaxPeriod + 1]int // of the tokens at the end, how many in a row equal the one that many before
	patches patches
}

// New returns a detector at the beginning of a text. letters says of a token whether it holds any; it is asked only where
// something was repeated.
func New(letters func(id int) bool, b Bounds) *Detector {
	return &Detector{letters: letters, bounds: b}
}

// Add takes the text's next token and says whether the text now goes in a circle. While it does, each token that goes on
// with it makes the circle larger.
func (d *Detector) Add(id int) (Circle, bool) {
	found := Circle{}
	for p := 1; p <= min(d.n, MaxPeriod); p++ {
		if d.last[(d.n-p)%MaxPeriod] != id {
			d.runs[p] = 0
			continue
		}
		d.runs[p]++
		// Of all periods that fit the shortest is what is repeated: the others are multiples.
		if total := d.runs[p] + p; found.Period == 0 && total >= Times*p && total >= min(d.bounds.Phrases, d.bounds.Others) {
			found = Circle{Period: p, Total: total}
		}
	}
	d.last[d.n%MaxPeriod] = id
	d.n++
	patched := d.bounds.Patched > 0 && d.patches.add(id) >= d.bounds.Patched
	if found.Period > 0 && found.Total >= d.bound(found.Period) {
		return found, true
	}
	if !patched {
		return Circle{}, false
	}
	return Circle{Total: d.patches.since()}, true
}

// bound is how long a circle of the piece at the end must be.
func (d *Detector) bound(period int) int {
	first, lettered, differ := 0, 0, false
	for back := 1; back <= period; back++ {
		id := d.last[(d.n-back)%MaxPeriod]
		if !d.letters(id) {
			continue
		}
		if lettered++; lettered == 1 {
			first = id
		}
		differ = differ || id != first
	}
	if differ && 3*lettered >= 2*period {
		return d.bounds.Phrases
	}
	return d.bounds.Others
}

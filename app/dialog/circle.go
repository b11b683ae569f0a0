package dialog

import (
	"context"
	"regexp"
	"strings"
	"unicode"

	"kestrel/app/backend"
	"kestrel/engine"
	"kestrel/engine/sample"
	"kestrel/engine/sample/repeat"
)

// Straight has an answer end when it goes in circles, as package repeat tells, with what it says again and again left out.
// The zero value lets it go on. Ends of the text:
//
//   - as it would have ended anyway
//   - in a circle: the text is what comes before it, and one saying of what is repeated, if it is one piece. Where a whole
//     sentence or line ends in that saying, the text ends there
//
// The Reader then stands at the end of the text that is left, as if nothing else had been written.
type Straight struct {
	On     bool
	Bounds repeat.Bounds
	// Whole has the text end with its last whole sentence, where there is one, though nothing be left of what is repeated.
	Whole bool
	// Asked is what the user wants. What it says itself may be said WishTimes times: "repeat X 50 times" is no circle.
	Asked string
	// Again writes the text anew from its start, once, where it goes in a circle; nil leaves it at that. What it writes
	// counts if it ends otherwise, else the longer of the two.
	Again *sample.Sampler
	// Anew is told that what emit was given is void: the text begins anew. It may be nil.
	Anew func()
}

// WishTimes is how often an answer may say what the user's message says.
const WishTimes = 128

// longWish is the length in bytes of a message that is no wish any more, but a text to work on.
const longWish = 4096

// Straightened is how an answer ended.
type Straightened struct {
	engine.Result        // Text is what is left; it is no more what emit was given where Circled is set
	Circled       bool   // it ended because it went in a circle
	First         string // what was left of the first text, where one was begun anew
}

// AnswerStraight is Answer that ends where the text goes in circles. It goes back to where the answer began by a mark, so
// that has cost nothing where the place was marked already. Whatever its error, Text is what is to be kept.
func (r *Reader) AnswerStraight(ctx context.Context, s *sample.Sampler, o engine.GenerateOptions, t Straight, emit func(string) error) (Straightened, error) {
	from, start := r.text, Mark{}
	if t.On {
		var err error
		if start, err = r.Mark(ctx); err != nil {
			return Straightened{}, err
		}
	}
	back := func() error { return r.Resume(ctx, from, start.State) }
	out, err := t.write(r.model, s, o, back, func(s *sample.Sampler, o engine.GenerateOptions) (engine.Result, error) {
		return r.Answer(ctx, s, o, emit)
	})
	if err != nil || !out.Circled {
		return out, err // Resume and Generate know where the session stands
	}
	return out, r.say(ctx, from, start.State, out.Text)
}

// say has the session stand after text, which follows the place of a state.
func (r *Reader) say(ctx context.Context, from string, state backend.State, text string) error {
	if err := r.Resume(ctx, from, state); err != nil || text == "" {
		return err
	}
	if err := r.session.Feed(ctx, r.model.Tokenizer().Encode(text, false), nil); err != nil {
		r.lost = true
		return err
	}
	r.text = from + text
	return nil
}

// write writes with s, and again where that went in a circle; back goes to where the text begins.
func (t Straight) write(m backend.Model, s *sample.Sampler, o engine.GenerateOptions, back func() error,
	generate func(*sample.Sampler, engine.GenerateOptions) (engine.Result, error)) (out Straightened, err error) {
	for turn := 0; ; turn++ {
		w := watch{t: t, m: m, find: repeat.New(lettered(m), t.Bounds)}
		if t.On {
			o.Enough = w.enough
		}
		first := out.FirstToken
		if out.Result, err = generate(s, o); turn > 0 {
			out.FirstToken = first
		}
		if err != nil || out.Reason != engine.ReasonEnough {
			return out, err
		}
		out.Text = w.left()
		if turn > 0 || t.Again == nil {
			if len(out.First) > len(out.Text) {
				out.Text = out.First
			}
			out.Circled = true
			return out, nil
		}
		out.First, s = out.Text, t.Again
		if err := back(); err != nil {
			out.Circled = true
			return out, err
		}
		if t.Anew != nil {
			t.Anew()
		}
	}
}

// InCircle is for generation whose text is kept as it is: it says of each token whether the text goes in a circle now.
func InCircle(m backend.Model, b repeat.Bounds) func(id int) bool {
	find := repeat.New(lettered(m), b)
	return func(id int) bool {
		_, found := find.Add(id)
		return found
	}
}

// lettered says of a model's tokens whether they hold letters, or parts of any.
func lettered(m backend.Model) func(id int) bool {
	tok := m.Tokenizer()
	return func(id int) bool {
		return strings.ContainsFunc(tok.Decode([]int{id}), func(c rune) bool { return unicode.IsLetter(c) || c == unicode.ReplacementChar })
	}
}

// watch follows one text.
type watch struct {
	t      Straight
	m      backend.Model
	find   *repeat.Detector
	ids    []int
	circle repeat.Circle
	wish   struct{ period, start int } // of what the user asked to have repeated
}

func (w *watch) enough(id int) bool {
	w.ids = append(w.ids, id)
	c, ok := w.find.Add(id)
	if !ok || w.wished(c) {
		return false
	}
	w.circle = c
	return true
}

// wished says whether the user wants what is repeated, and not yet too often.
func (w *watch) wished(c repeat.Circle) bool {
	if c.Total >= WishTimes*c.Period || len(w.t.Asked) > longWish {
		return false
	}
	start := len(w.ids) - c.Total
	if w.wish.period == c.Period && w.wish.start == start {
		return true
	}
	piece := []rune(words(w.m.Tokenizer().Decode(w.ids[len(w.ids)-c.Period:])))
	asked := words(w.t.Asked)
	for i := range piece { // it may begin anywhere in what was asked for
		if strings.Contains(asked, string(piece[i:])+string(piece[:i])) {
			w.wish.period, w.wish.start = c.Period, start
			return true
		}
	}
	return false
}

// words is a text without anything but letters and digits, in small letters.
func words(text string) string {
	return strings.Map(func(c rune) rune {
		if unicode.IsLetter(c) || unicode.IsDigit(c) {
			return unicode.ToLower(c)
		}
		return -1
	}, text)
}

// left is the text without what is repeated.
func (w *watch) left() string {
	start := len(w.ids) - w.circle.Total
	end, letters := start+w.circle.Period, lettered(w.m)
	for w.circle.Period > 0 && end < len(w.ids) && !letters(w.ids[end]) { // the full stop, where the circle began with the one before
		end++
	}
	decoder := w.m.Tokenizer().NewDecoder(true)
	var b strings.Builder
	before := 0
	for i, id := range w.ids[:end] {
		if i == start {
			before = b.Len()
		}
		b.WriteString(decoder.Next(id))
	}
	text := b.String()
	if end := len(wholeSentences.FindString(text)); end > before || end > 0 && w.t.Whole {
		text = text[:end]
	}
	return strings.TrimRightFunc(text, unicode.IsSpace)
}

// wholeSentences are a text's beginning up to the end of its last sentence or line.
var wholeSentences = regexp.MustCompile(`(?s)^.*(?:\n|[.!?…]["'”’»)」』）]*(?:\s|$)|[。！？]["'”’»)」』）]*)`)

package repeat_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"unicode"

	"kestrel/engine/sample/repeat"
)

// pieces cuts text into words and single other characters, and numbers them: tokens of a kind.
type pieces struct {
	ids  map[string]int
	list []string
}

func (p *pieces) encode(text string) (ids []int) {
	for len(text) > 0 {
		n := strings.IndexFunc(text, func(c rune) bool { return !unicode.IsLetter(c) })
		switch {
		case n < 0:
			n = len(text)
		case n == 0:
			n = len(string([]rune(text)[0]))
			if text[0] == ' ' { // it belongs to the word after it
				if m := strings.IndexFunc(text[1:], func(c rune) bool { return !unicode.IsLetter(c) }); m > 0 {
					n = 1 + m
				} else if m < 0 {
					n = len(text)
				}
			}
		}
		if _, ok := p.ids[text[:n]]; !ok {
			p.ids[text[:n]] = len(p.list)
			p.list = append(p.list, text[:n])
		}
		ids, text = append(ids, p.ids[text[:n]]), text[n:]
	}
	return ids
}

func (p *pieces) letters(id int) bool { return strings.ContainsFunc(p.list[id], unicode.IsLetter) }

// find says after how many tokens a text first goes in a circle, 0 for never, and the circle.
func (p *pieces) find(text string, b repeat.Bounds) (at int, c repeat.Circle) {
	d := repeat.New(p.letters, b)
	for i, id := range p.encode(text) {
		if c, found := d.Add(id); found {
			return i + 1, c
		}
	}
	return 0, repeat.Circle{}
}

const (
	sentence = "He is a man who has been in the world, and he is not a man of any kind."
	long     = "The captain looked at the sea for a long time, and said that he had never seen a ship as small as this one, which had come from the north with nobody on board but a dog, two hens and the cook, who was asleep. " +
		"Nobody knew what to do with them."
)

func grid(columns, rows int) string {
	return strings.Repeat("|"+strings.Repeat(" 0 |", columns)+"\n", rows)
}

func numbered(n int, text string) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "%d. %s\n", i+1, text)
	}
	return b.String()
}

// varied is a sentence that differs by a word each time.
func varied(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString("I am not a " + []string{"man", "woman", "friend"}[i*i%7%3] + " of the story, " + []string{"but", "and"}[i*i%5%2] + " it is so. ")
	}
	return b.String()
}

// TestBounds is what is a circle, and what is none.
func TestBounds(t *testing.T) {
	for _, test := range []struct {
		name, text     string
		answers, prose bool
	}{
		{"nothing", "", false, false},
		{"a sentence", sentence, false, false},
		{"twice", strings.Repeat(long, 2), false, false},
		{"a sentence thrice", strings.Repeat(sentence+" ", 3), false, false},
		{"a sentence for ever", strings.Repeat(sentence+" ", 20), true, true},
		{"a long one thrice and a bit", strings.Repeat(long+" ", 3) + long[:30], true, true},
		{"a long one, then otherwise", strings.Repeat(long+" ", 2) + sentence, false, false},
		{"few words", "He is a man who is" + strings.Repeat(" a man who is", 60), true, true},
		{"few words, a few times", "He is a man who is" + strings.Repeat(" a man who is", 12), false, false},
		{"laughter", strings.Repeat("ha ", 40), false, false},
		{"laughter in prose", strings.Repeat("ha ", 80), false, true},
		{"laughter for ever", strings.Repeat("ha ", 600), true, true},
		{"a rule", strings.Repeat("-", 120) + "\n", false, true},
		{"a rule for ever", strings.Repeat("-", 600), true, true},
		{"a grid", grid(10, 10), false, true},
		{"a list", numbered(40, "An item that is always the same, but for its number"), false, true},
		{"a sentence that varies", varied(40), false, true},
		{"a sentence that varies, a few times", varied(3), false, false},
		{"a dialogue", strings.Repeat("“Good-bye, Mr. Fielding. Such an interesting afternoon.” “Good-bye, Miss Quested.” “Good-bye, Dr. Aziz.” “Good-bye, Mrs. Moore.” ", 2), false, false},
		{"a refrain", strings.Repeat("Row, row, row your boat,\nGently down the stream.\nMerrily, merrily, merrily, merrily,\nLife is but a dream.\n\n", 3), false, true},
		{"Chinese", strings.Repeat("他是一个人，", 400), true, true},
		{"a list of numbers", func() string {
			var b strings.Builder
			for i := range 500 {
				fmt.Fprintf(&b, "%d, ", i)
			}
			return b.String()
		}(), false, false},
	} {
		p := &pieces{ids: map[string]int{}}
		if at, c := p.find(test.text, repeat.Answers); (at > 0) != test.answers {
			t.Errorf("%s: after %d of %d tokens %+v, want %v in an answer", test.name, at, len(p.encode(test.text)), c, test.answers)
		}
		if at, c := p.find(test.text, repeat.Prose); (at > 0) != test.prose {
			t.Errorf("%s: after %d of %d tokens %+v, want %v in prose", test.name, at, len(p.encode(test.text)), c, test.prose)
		}
	}
}

// TestRandom: a text in which nothing comes again soon is never hit, and its end is as soon as it is repeated often enough,
// whatever stands before it; the circle is the text's end to the token.
func TestRandom(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	all := func(int) bool { return true }
	for range 300 {
		d := repeat.New(all, repeat.Answers)
		var text []int
		add := func(id int) (repeat.Circle, bool) { text = append(text, id); return d.Add(id) }
		for range rng.IntN(2000) {
			if c, found := add(rng.IntN(50_000)); found {
				t.Fatalf("%+v in random text", c)
			}
		}
		period := 2 + rng.IntN(repeat.MaxPeriod-1)
		unit := make([]int, period)
		for i := range unit {
			unit[i] = rng.IntN(50_000)
		}
		due := max(repeat.Times*period, repeat.Answers.Phrases)
		for i := 0; ; i++ {
			c, found := add(unit[i%period])
			if want := i+1 >= due; found != want {
				t.Fatalf("a piece of %d tokens after %d of them: %v %+v", period, i+1, found, c)
			}
			if !found {
				continue
			}
			if c.Period != period || c.Total != i+1 {
				t.Fatalf("a piece of %d tokens after %d of them: %+v", period, i+1, c)
			}
			if i > due+2*period {
				break
			}
		}
		if c, found := add(-1); found {
			t.Fatalf("%+v after a token that breaks it", c)
		}
	}
}

// TestFew: of few different tokens there are circles by chance, and what is told is one.
func TestFew(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	told := 0
	for range 200 {
		d := repeat.New(func(int) bool { return true }, repeat.Bounds{Phrases: 12, Others: 12})
		var text []int
		for range 2000 {
			text = append(text, rng.IntN(2))
			c, found := d.Add(text[len(text)-1])
			want := repeat.Circle{}
			for p := 1; p <= repeat.MaxPeriod && want.Period == 0; p++ {
				run := 0
				for i := len(text) - 1; i >= p && text[i] == text[i-p]; i-- {
					run++
				}
				if run > 0 && run+p >= max(repeat.Times*p, 12) {
					want = repeat.Circle{Period: p, Total: run + p}
				}
			}
			if found != (want.Period > 0) || found && c != want {
				t.Fatalf("%v: %v %+v, want %+v", text[max(0, len(text)-60):], found, c, want)
			}
			if found {
				told++
			}
		}
	}
	if told == 0 {
		t.Error("there was no circle at all")
	}
}

// TestPatched: the end is patched together where so many of its tokens end four that stood there shortly before, counted
// the long way, and the circle begins with the first of these.
func TestPatched(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	told := 0
	for range 60 {
		d := repeat.New(func(int) bool { return true }, repeat.Bounds{Phrases: 1 << 30, Others: 1 << 30, Patched: 40})
		var text []int
		var again []bool
		at := 0
		for range 1500 {
			id := rng.IntN(1000)
			if n := len(text); n > 20 { // a copy of what was said, from a place that changes now and then
				if rng.IntN(9) == 0 || at >= n {
					at = rng.IntN(n)
				}
				if rng.IntN(12) > 0 {
					id = text[at]
				}
				at++
			}
			text = append(text, id)
			n := len(text)
			said := false
			for i := max(4, n-repeat.Memory+1); i < n && n >= 4; i++ {
				said = said || [4]int(text[i-4:i]) == [4]int(text[n-4:])
			}
			again = append(again, said)
			count, since := 0, 0
			for back := 1; back <= min(n, repeat.Window); back++ {
				if again[n-back] {
					count, since = count+1, back
				}
			}
			c, found := d.Add(id)
			if found != (count >= 40) || found && c != (repeat.Circle{Total: since}) {
				t.Fatalf("after %d tokens: %v %+v, want %d said before, since %d", n, found, c, count, since)
			}
			if found {
				told++
			}
		}
	}
	if told == 0 {
		t.Error("none was patched together")
	}
}

func BenchmarkAdd(b *testing.B) {
	d := repeat.New(func(int) bool { return true }, repeat.Answers)
	for i := range b.N {
		d.Add(i % 97 * (i % 89))
	}
}

package dialog

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"kestrel/app/backend/backendtest"
	"kestrel/engine"
	"kestrel/engine/sample"
	"kestrel/engine/sample/repeat"
)

const said = "He is a man of the world, and a man of his word."

func greedy(t *testing.T) *sample.Sampler {
	t.Helper()
	s, err := sample.New(sample.Params{})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestStraight is what is left of answers that go in circles, and of those that do not.
func TestStraight(t *testing.T) {
	answers := Straight{On: true, Bounds: repeat.Answers}
	summary := Straight{On: true, Bounds: repeat.Prose, Whole: true}
	times := func(text string, n int) string { return strings.TrimSpace(strings.Repeat(text, n)) }
	for _, test := range []struct {
		name     string
		straight Straight
		asked    string
		text     string
		want     string // "" for all of it
	}{
		{"no circle", answers, "", "It is a bird.", ""},
		{"sentences", answers, "", "It begins well. " + times(said+" ", 40), "It begins well. " + said},
		{"only one", answers, "", times(said+" ", 40), said},
		{"lines", answers, "", "A list:\n\n" + times("- apples and pears, plums too\n", 40), "A list:\n\n- apples and pears, plums too"},
		{"amid a sentence", answers, "", "It begins well. He is " + times("a man who is ", 80), "It begins well. He is a man who"},
		{"amid a sentence, whole", summary, "", "It begins well. He is " + times("a man who is ", 80), "It begins well."},
		{"amid the only sentence, whole", summary, "", "He is " + times("a man who is ", 80), "He is a man who"},
		{"a quotation", summary, "", "“It begins well!” He is " + times("a man who is ", 80), "“It begins well!”"},
		{"Chinese", summary, "", "开头很好。" + times("他是一个人，", 200), "开头很好。"},
		{"varied", summary, "", "It begins well. " + times("I am not a man of the story, but it is so. I am not a woman of the story, and it is so. I am a man of the story, but it is not so. ", 3),
			"It begins well. I am not a man of the story, but it is so."},
		{"wished for", answers, "Please repeat “He is a man of the world, and a man of his word” 50 times.", times(said+"\n", 50), ""},
		{"wished for from amid", answers, "Say nothing but: he is a man of the world and a man of HIS WORD. Fifty times", "Sure! " + times(said+" ", 50), ""},
		{"wished for, but not so often", answers, said, times(said+" ", 200), said},
		{"another wish", answers, "Say that she is a woman of her word 50 times.", times(said+" ", 50), said},
		{"a long text to work on", answers, strings.Repeat("x", longWish) + said, times(said+" ", 50), said},
		{"off", Straight{}, "", times(said+" ", 40), ""},
	} {
		e := backendtest.New(test.text)
		r := reader(t, e, 10)
		p := compose(t, r, user("One"))
		read(t, r, p)
		test.straight.Asked = test.asked
		var emitted strings.Builder
		got, err := r.AnswerStraight(context.Background(), greedy(t), engine.GenerateOptions{}, test.straight, func(text string) error {
			emitted.WriteString(text)
			return nil
		})
		want := test.want
		if want == "" {
			want = test.text
		}
		if err != nil || got.Text != want || got.Circled != (test.want != "") || !strings.HasPrefix(emitted.String(), want) {
			t.Errorf("%s: %q, in a circle %v, %v; want %q", test.name, got.Text, got.Circled, err, want)
		}
		if got.Circled != (got.Reason == engine.ReasonEnough) {
			t.Errorf("%s: ended by %s", test.name, got.Reason)
		}
		// the session stands at the end of what is left: nothing of it is read again, and nothing else was
		end := ""
		if !got.Circled {
			end = "<|im_end|>"
		}
		if r.Text() != p.text+want+end || r.model.Tokenizer().Decode(r.session.(interface{ IDs() []int }).IDs()) != r.Text() {
			t.Errorf("%s: the reader stands after %q", test.name, r.Text())
		}
		next := compose(t, r, user("One"), assistant(want), user("And?"))
		before := len(e.Fed())
		read(t, r, next)
		if fed := strings.Join(e.Fed()[before:], ""); fed != strings.TrimPrefix(next.text, r.Format.String(t, "One", want)+end) {
			t.Errorf("%s: then it reads %q", test.name, fed)
		}
	}
}

// String is what the template makes of a question and the beginning of its answer.
func (f *Format) String(t *testing.T, question, answer string) string {
	t.Helper()
	p, err := f.Compose([]Message{user(question)}, true)
	if err != nil {
		t.Fatal(err)
	}
	return p.text + answer
}

// TestStraightAgain: what goes in a circle is written anew, from the same place.
func TestStraightAgain(t *testing.T) {
	circle := "It begins well. " + strings.Repeat(said+" ", 40)
	for _, test := range []struct{ name, second, want string }{
		{"another", "It is whole.", "It is whole."},
		{"a circle too", "So. " + strings.Repeat("She is a woman who is so. ", 40), "It begins well. " + said},
		{"a longer one", strings.Repeat("She is here, and so are they. ", 1) + "It goes on for longer than before it went in any circle. " + strings.Repeat("So it is said. ", 40),
			"She is here, and so are they. It goes on for longer than before it went in any circle. So it is said."},
	} {
		e := backendtest.New("")
		var places []string
		e.Reply = func(read string) string {
			places = append(places, read)
			if len(places) == 1 {
				return circle
			}
			return test.second
		}
		r := reader(t, e, 10)
		p := compose(t, r, user("One"))
		read(t, r, p)
		shown := ""
		anew := 0
		got, err := r.AnswerStraight(context.Background(), greedy(t), engine.GenerateOptions{}, Straight{On: true, Bounds: repeat.Prose, Whole: true, Again: greedy(t),
			Anew: func() { shown = ""; anew++ }}, func(text string) error { shown += text; return nil })
		if err != nil || got.Text != test.want || got.Circled != (test.second != test.want) || anew != 1 {
			t.Errorf("%s: %q, in a circle %v, %d times anew, %v; want %q", test.name, got.Text, got.Circled, anew, err, test.want)
		}
		if !got.Circled && shown != test.want {
			t.Errorf("%s: it shows %q", test.name, shown)
		}
		if len(places) != 2 || places[0] != places[1] || !strings.HasPrefix(r.Text(), p.text+test.want) {
			t.Errorf("%s: written after %q, now at %q", test.name, places, r.Text())
		}
	}
}

// TestStraightFails: where the way back fails, the session is known to stand nowhere, and what is left is told.
func TestStraightFails(t *testing.T) {
	for _, op := range []string{"state", "feed"} {
		e := backendtest.New("It begins well. " + strings.Repeat(said+" ", 40))
		r := reader(t, e, 10)
		p := compose(t, r, user("One"))
		read(t, r, p)
		if _, err := r.Mark(context.Background()); err != nil {
			t.Fatal(err)
		}
		wrote := false
		e.Before = func(_ context.Context, did string) error {
			wrote = wrote || did == "token"
			if wrote && did == op {
				return backendtest.ErrFire
			}
			return nil
		}
		got, err := r.AnswerStraight(context.Background(), greedy(t), engine.GenerateOptions{}, Straight{On: true, Bounds: repeat.Answers}, nil)
		if !errors.Is(err, backendtest.ErrFire) || got.Text != "It begins well. "+said || !got.Circled || r.Text() != "" {
			t.Errorf("%s: %+v, %v, at %q", op, got, err, r.Text())
		}
	}
}

// TestOwnTexts: nothing that people wrote for this program goes in a circle, prose or code.
func TestOwnTexts(t *testing.T) {
	m, err := backendtest.New("").Open(context.Background(), "a", engine.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	tokens := 0
	for _, pattern := range []string{"../../README.md", "*.go", "../session/*.go", "../ui/chatview/*.go", "../../engine/mamba/*.go", "../../shaders/*.comp", "../../build/run", "../../build/demo/*.py"} {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			t.Fatal(pattern, err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			circle := InCircle(m, repeat.Answers)
			for i, id := range m.Tokenizer().Encode(string(text), false) {
				if tokens++; circle(id) {
					t.Errorf("%s: in a circle after %d tokens", file, i)
					break
				}
			}
		}
	}
	if tokens < 200_000 {
		t.Errorf("only %d tokens were looked at", tokens)
	}
}

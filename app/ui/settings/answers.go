package settings

import (
	"context"
	"encoding/json"
	"strconv"
	"strings"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/container"
	"fyne.io/fyne/v2/layout"
	"fyne.io/fyne/v2/theme"
	"fyne.io/fyne/v2/widget"

	"kestrel/app/session"
	"kestrel/app/store"
	"kestrel/app/ui/look"
	"kestrel/app/ui/parts"
)

// answers edits how a conversation is answered: the system prompt, the sampling
// and presets of both. Changed is told of each change.
type answers struct {
	object fyne.CanvasObject
	system *parts.Entry
	fields []*field
	ending *parts.Check // of answers that go in circles
	preset *parts.Select

	o        Options
	sampling session.Sampling
	presets  []store.Preset
	changed  func(system string, s session.Sampling)
	filling  bool
	problem  *widget.Label
}

// field is one number of the sampling.
type field struct {
	entry *parts.Entry
	get   func(s session.Sampling) string
	set   func(s *session.Sampling, text string) bool // false for what is no number, or out of bounds
}

func newAnswers(o Options, system string, s session.Sampling, changed func(string, session.Sampling)) *answers {
	a := &answers{o: o, sampling: s, changed: changed, system: parts.NewEntry(), problem: parts.Text("")}
	a.problem.Importance = widget.DangerImportance
	a.problem.Hide()
	a.system.MultiLine, a.system.Wrapping, a.system.Scroll = true, fyne.TextWrapWord, fyne.ScrollVerticalOnly
	a.system.SetMinRowsVisible(3)
	a.system.SetPlaceHolder(look.T("settings.system.hint"))
	a.system.OnChanged = func(string) { a.change() }
	form := container.New(layout.NewFormLayout())
	number := func(name, hint string, get func(session.Sampling) string, set func(*session.Sampling, string) bool) {
		e := parts.NewEntry()
		e.OnChanged = func(string) { a.change() }
		a.fields = append(a.fields, &field{e, get, set})
		form.Add(widget.NewLabel(name))
		form.Add(container.NewBorder(nil, nil, parts.Wide(6.5, e), nil, parts.Muted(hint)))
	}
	number(look.T("settings.temperature"), look.T("settings.temperature.hint"), func(s session.Sampling) string { return decimal(s.Temperature) },
		func(s *session.Sampling, t string) bool { return readDecimal(&s.Temperature, t, 0, 5) })
	number(look.T("settings.top.p"), look.T("settings.top.p.hint"), func(s session.Sampling) string { return decimal(s.TopP) },
		func(s *session.Sampling, t string) bool { return readDecimal(&s.TopP, t, 0, 1) })
	number(look.T("settings.top.k"), look.T("settings.top.k.hint"), func(s session.Sampling) string { return strconv.Itoa(s.TopK) },
		func(s *session.Sampling, t string) bool { return readCount(&s.TopK, t, 1<<20) })
	number(look.T("settings.min.p"), look.T("settings.min.p.hint"), func(s session.Sampling) string { return decimal(s.MinP) },
		func(s *session.Sampling, t string) bool { return readDecimal(&s.MinP, t, 0, 1) })
	number(look.T("settings.repeat"), look.T("settings.repeat.hint"), func(s session.Sampling) string { return decimal(s.RepeatPenalty) },
		func(s *session.Sampling, t string) bool { return readDecimal(&s.RepeatPenalty, t, 0, 10) })
	number(look.T("settings.max"), look.T("settings.max.hint"), func(s session.Sampling) string { return strconv.Itoa(s.MaxTokens) },
		func(s *session.Sampling, t string) bool { return readCount(&s.MaxTokens, t, 1<<24) })
	number(look.T("settings.seed"), look.T("settings.seed.hint"), seedText, readSeed)
	a.ending = parts.NewCheck(look.T("settings.circles.end"), func(bool) { a.change() })
	form.Add(widget.NewLabel(look.T("settings.circles")))
	form.Add(container.NewBorder(nil, nil, a.ending, nil, parts.Muted(look.T("settings.circles.hint"))))

	a.preset = parts.NewSelect(nil, a.takePreset)
	a.preset.PlaceHolder = look.T("settings.preset.none")
	presets := container.NewBorder(nil, nil, widget.NewLabel(look.T("settings.preset")), container.NewHBox(
		parts.NewIconButton("", theme.DocumentSaveIcon(), look.T("settings.preset.save"), o.Hint, a.savePreset),
		parts.NewIconButton("", theme.DeleteIcon(), look.T("settings.preset.delete"), o.Hint, a.deletePreset),
		parts.NewButton(look.T("settings.default"), func() { a.fill(a.system.Text, session.DefaultSampling()); a.change() }),
	), a.preset)
	a.object = parts.Column(presets, widget.NewLabel(look.T("settings.system")), a.system, form, a.problem)
	a.fill(system, s)
	a.loadPresets("")
	return a
}

// fill shows values.
func (a *answers) fill(system string, s session.Sampling) {
	a.filling = true
	defer func() { a.filling = false }()
	a.sampling = s
	a.system.SetText(system)
	for _, f := range a.fields {
		f.entry.SetText(f.get(s))
	}
	a.ending.SetChecked(!s.Circles)
}

// change takes what was typed, as far as it makes sense.
func (a *answers) change() {
	if a.filling {
		return
	}
	a.problem.Hide()
	a.sampling.Circles = !a.ending.Checked
	for _, f := range a.fields {
		if text := strings.TrimSpace(f.entry.Text); !f.set(&a.sampling, text) {
			a.problem.SetText(look.T("settings.wrong", text))
			a.problem.Show()
		}
	}
	a.object.Refresh()
	a.changed(a.system.Text, a.sampling)
}

// loadPresets reads the presets and chooses the one with that name.
func (a *answers) loadPresets(chosen string) {
	a.o.Loop.Work(func() func() {
		list, err := a.o.Store.Presets(context.Background())
		return func() {
			if err != nil {
				a.o.Problem(err)
				return
			}
			a.presets = list
			names := make([]string, len(list))
			for i, p := range list {
				names[i] = p.Name
			}
			a.filling = true
			a.preset.SetOptions(names)
			if chosen != "" {
				a.preset.SetSelected(chosen)
			} else {
				a.preset.ClearSelected()
			}
			a.filling = false
		}
	})
}

func (a *answers) takePreset(string) {
	i := a.preset.SelectedIndex()
	if a.filling || i < 0 || i >= len(a.presets) {
		return
	}
	s := session.DefaultSampling()
	if p := a.presets[i]; len(p.Sampling) > 0 {
		if err := json.Unmarshal(p.Sampling, &s); err != nil {
			a.o.Problem(err)
			return
		}
	}
	a.fill(a.presets[i].System, s)
	a.change()
}

func (a *answers) savePreset() {
	name := a.preset.Selected
	title := look.T("settings.preset.save")
	parts.Ask(a.o.Window, title, name, look.T("settings.save"), func(name string) {
		sampling, err := json.Marshal(a.sampling)
		if err != nil {
			a.o.Problem(err)
			return
		}
		p := store.Preset{Name: name, System: a.system.Text, Sampling: sampling}
		for _, old := range a.presets {
			if old.Name == name {
				p.ID = old.ID
			}
		}
		a.store(func(ctx context.Context) error { _, err := a.o.Store.SavePreset(ctx, p); return err }, name)
	})
}

func (a *answers) deletePreset() {
	i := a.preset.SelectedIndex()
	if i < 0 || i >= len(a.presets) {
		return
	}
	p := a.presets[i]
	parts.Confirm(a.o.Window, look.T("settings.preset.delete"), look.T("settings.preset.delete.text", p.Name), look.T("settings.delete"), func() {
		a.store(func(ctx context.Context) error { return a.o.Store.DeletePreset(ctx, p.ID) }, "")
	})
}

func (a *answers) store(work func(context.Context) error, chosen string) {
	a.o.Loop.Work(func() func() {
		err := work(context.Background())
		return func() {
			if err != nil {
				a.o.Problem(err)
			}
			a.loadPresets(chosen)
		}
	})
}

func decimal(v float32) string { return strconv.FormatFloat(float64(v), 'f', -1, 32) }

func readDecimal(to *float32, text string, low, high float32) bool {
	v, err := strconv.ParseFloat(strings.ReplaceAll(text, ",", "."), 32)
	if err != nil || !(float32(v) >= low && float32(v) <= high) {
		return false
	}
	*to = float32(v)
	return true
}

func readCount(to *int, text string, high int) bool {
	v, err := strconv.Atoi(text)
	if err != nil || v < 0 || v > high {
		return false
	}
	*to = v
	return true
}

func seedText(s session.Sampling) string {
	if s.Seed == nil {
		return ""
	}
	return strconv.FormatUint(*s.Seed, 10)
}

func readSeed(s *session.Sampling, text string) bool {
	if text == "" {
		s.Seed = nil
		return true
	}
	v, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		return false
	}
	s.Seed = &v
	return true
}

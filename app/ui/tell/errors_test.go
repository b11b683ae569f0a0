package tell

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"kestrel/app/dialog"
	"kestrel/app/document"
	"kestrel/app/library"
	"kestrel/app/session"
	"kestrel/app/store"
	"kestrel/app/ui/look"
	"kestrel/engine"
	"kestrel/engine/chat"
	"kestrel/engine/sample"
	"kestrel/engine/tokenizer"
	"kestrel/engine/vulkan"
	"kestrel/engine/weights"
)

// sentinels are all kinds of errors of the packages below the window, by package
// and name, with their kind of problem.
var sentinels = map[string]struct {
	err  error
	kind session.Kind
}{
	"engine.ErrBadModel":          {engine.ErrBadModel, session.KindBadModel},
	"engine.ErrUnsupported":       {engine.ErrUnsupported, session.KindUnsupported},
	"engine.ErrNoLoader":          {engine.ErrNoLoader, session.KindNoLoader},
	"engine.ErrNoDevice":          {engine.ErrNoDevice, session.KindNoDevice},
	"engine.ErrDeviceLost":        {engine.ErrDeviceLost, session.KindDeviceLost},
	"engine.ErrDevice":            {engine.ErrDevice, session.KindDeviceLimit},
	"engine.ErrOutOfDeviceMemory": {engine.ErrOutOfDeviceMemory, session.KindOutOfMemory},
	"engine.ErrOutOfHostMemory":   {engine.ErrOutOfHostMemory, session.KindHostMemory},
	"engine.ErrTooLong":           {engine.ErrTooLong, session.KindTooLong},
	"engine.ErrNotFinite":         {engine.ErrNotFinite, session.KindNotFinite},
	"engine.ErrBadToken":          {engine.ErrBadToken, session.KindBadModel},
	"engine.ErrStateMismatch":     {engine.ErrStateMismatch, session.KindState},
	"engine.ErrBadState":          {engine.ErrBadState, session.KindBadState},
	"engine.ErrClosed":            {engine.ErrClosed, session.KindNoModel},
	"engine.ErrEmptyPrompt":       {engine.ErrEmptyPrompt, session.KindOther}, // of the command line: a chat template gives tokens always

	"engine/vulkan.ErrNoLoader":          {vulkan.ErrNoLoader, session.KindNoLoader},
	"engine/vulkan.ErrNoDevice":          {vulkan.ErrNoDevice, session.KindNoDevice},
	"engine/vulkan.ErrUnsupported":       {vulkan.ErrUnsupported, session.KindDeviceLimit},
	"engine/vulkan.ErrOutOfDeviceMemory": {vulkan.ErrOutOfDeviceMemory, session.KindOutOfMemory},
	"engine/vulkan.ErrOutOfHostMemory":   {vulkan.ErrOutOfHostMemory, session.KindHostMemory},
	"engine/vulkan.ErrDeviceLost":        {vulkan.ErrDeviceLost, session.KindDeviceLost},
	"engine/vulkan.ErrClosed":            {vulkan.ErrClosed, session.KindNoModel},

	"engine/weights.ErrBadModel":      {weights.ErrBadModel, session.KindBadModel},
	"engine/weights.ErrUnsupported":   {weights.ErrUnsupported, session.KindUnsupported},
	"engine/weights.ErrMissingTensor": {weights.ErrMissingTensor, session.KindNoTensor},

	"engine/tokenizer.ErrBadTokenizer": {tokenizer.ErrBadTokenizer, session.KindBadModel},
	"engine/tokenizer.ErrUnsupported":  {tokenizer.ErrUnsupported, session.KindUnsupported},
	"engine/sample.ErrParams":          {sample.ErrParams, session.KindSampling},
	"engine/sample.ErrLogits":          {sample.ErrLogits, session.KindNotFinite},
	"engine/chat.ErrTemplate":          {chat.ErrTemplate, session.KindTemplate},
	"engine/chat.ErrRefused":           {chat.ErrRefused, session.KindTemplate},
	"engine/chat.ErrLimit":             {chat.ErrLimit, session.KindTemplate},

	"app/library.ErrNotFound":    {library.ErrNotFound, session.KindNoModelFile},
	"app/library.ErrNotComplete": {library.ErrNotComplete, session.KindIncomplete},
	"app/library.ErrAmbiguous":   {library.ErrAmbiguous, session.KindAmbiguous},
	"app/library.ErrExists":      {library.ErrExists, session.KindTaken},
	"app/library.ErrBusy":        {library.ErrBusy, session.KindWriting},
	"app/library.ErrBadName":     {library.ErrBadName, session.KindBadName},
	"app/library.ErrChoice":      {library.ErrChoice, session.KindChoice},
	"app/library.ErrDenied":      {library.ErrDenied, session.KindRefused},
	"app/library.ErrHub":         {library.ErrHub, session.KindNetwork},
	"app/library.ErrUnsafe":      {library.ErrUnsafe, session.KindUnsafe},
	"app/library.ErrCorrupt":     {library.ErrCorrupt, session.KindWrongBytes},
	"app/library.ErrNoSpace":     {library.ErrNoSpace, session.KindNoSpace},
	"app/library.ErrBadManifest": {library.ErrBadManifest, session.KindManifest},

	"app/store.ErrNotFound": {store.ErrNotFound, session.KindGone},
	"app/store.ErrInvalid":  {store.ErrInvalid, session.KindInvalid},
	"app/store.ErrNewer":    {store.ErrNewer, session.KindNewer},
	"app/store.ErrDamaged":  {store.ErrDamaged, session.KindDamaged},
	"app/store.ErrNoSpace":  {store.ErrNoSpace, session.KindNoSpace},
	"app/store.ErrDenied":   {store.ErrDenied, session.KindNoRight},
	"app/store.ErrBusy":     {store.ErrBusy, session.KindLocked},
	"app/store.ErrClosed":   {store.ErrClosed, session.KindStore},

	"app/document.ErrMissing":   {document.ErrMissing, session.KindMissing},
	"app/document.ErrFolder":    {document.ErrFolder, session.KindFolder},
	"app/document.ErrEmpty":     {document.ErrEmpty, session.KindEmpty},
	"app/document.ErrFormat":    {document.ErrFormat, session.KindFormat},
	"app/document.ErrEncoding":  {document.ErrEncoding, session.KindEncoding},
	"app/document.ErrBroken":    {document.ErrBroken, session.KindBroken},
	"app/document.ErrEncrypted": {document.ErrEncrypted, session.KindEncrypted},
	"app/document.ErrNoText":    {document.ErrNoText, session.KindNoText},
	"app/document.ErrBomb":      {document.ErrBomb, session.KindBomb},
	"app/document.ErrTooLarge":  {document.ErrTooLarge, session.KindTooLarge},
	"app/document.ErrTimeout":   {document.ErrTimeout, session.KindSlow},
	"app/document.ErrChanged":   {document.ErrChanged, session.KindChanged},
	"app/document.ErrRead":      {document.ErrRead, session.KindUnread},

	"app/dialog.ErrPlace": {dialog.ErrPlace, session.KindTemplate},
	"app/dialog.ErrPart":  {dialog.ErrPart, session.KindNoPart},
	"app/dialog.ErrLost":  {dialog.ErrLost, session.KindNoPart},
	"app/dialog.ErrMoved": {dialog.ErrMoved, session.KindChanged},
}

// declared are the exported errors of a package's source.
func declared(t *testing.T, dir string) (names []string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("../../..", dir, "*.go"))
	if err != nil || len(files) == 0 {
		t.Fatalf("%v: no source in %s", err, dir)
	}
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range file.Decls {
			if g, ok := d.(*ast.GenDecl); ok && g.Tok == token.VAR {
				for _, s := range g.Specs {
					for _, n := range s.(*ast.ValueSpec).Names {
						if rest, ok := strings.CutPrefix(n.Name, "Err"); ok && n.IsExported() && rest != "" {
							names = append(names, dir+"."+n.Name)
						}
					}
				}
			}
		}
	}
	return names
}

// Every kind of error that a package below the window declares has a sentence in
// both languages, and only what nobody can meet has the one for all the rest.
func TestEverySentinel(t *testing.T) {
	var all []string
	for _, dir := range []string{"engine", "engine/vulkan", "engine/weights", "engine/checkpoint", "engine/kernel", "engine/tokenizer", "engine/sample", "engine/chat",
		"app/library", "app/store", "app/document", "app/dialog", "app/backend"} {
		all = append(all, declared(t, dir)...)
	}
	slices.Sort(all)
	if known := slices.Sorted(maps.Keys(sentinels)); !slices.Equal(all, known) {
		for _, name := range all {
			if !slices.Contains(known, name) {
				t.Errorf("%s has no place here: how is it said?", name)
			}
		}
		for _, name := range known {
			if !slices.Contains(all, name) {
				t.Errorf("%s is no more", name)
			}
		}
	}
	inEach(t, func(t *testing.T, l look.Language) {
		for name, s := range sentinels {
			p := session.ProblemOf(fmt.Errorf("do something: %w", s.err))
			if p.Kind != s.kind {
				t.Errorf("%s is of kind %q, want %q", name, p.Kind, s.kind)
			}
			sentence, details, _ := strings.Cut(Problem(p), "\n")
			if chinese(sentence) != (l == look.Chinese) || strings.Contains(sentence, "tell.") || strings.Contains(sentence, "%!") ||
				l == look.Chinese && strings.Contains(sentence, s.err.Error()) {
				t.Errorf("%s, %s: %q", l, name, sentence)
			}
			if problems[p.Kind].details && !strings.Contains(details, s.err.Error()) {
				t.Errorf("%s, %s: the details %q lack its own words", l, name, details)
			}
		}
	})
}

// refused is a device that lacks something.
func refused(kind vulkan.Refused) vulkan.DeviceInfo {
	r := vulkan.Refusal{Kind: kind, Name: "1.0.65", Has: 37, Needs: 128}
	return vulkan.DeviceInfo{Name: "GeForce 210", Refusal: r, Reason: r.String()}
}

// What an error knows, its figures and names, is in the sentence in both
// languages, when it happens and when it is shown again from the store.
func TestFigures(t *testing.T) {
	type figure struct {
		name string
		err  error
		want []string // parts of the sentence in both languages
	}
	old := refused(vulkan.RefusedVersion)
	list := []figure{
		{"a model that does not fit", &engine.MemoryError{Memory: engine.Memory{Device: 14 << 30, Budget: 7 << 30, DeviceName: "RX 7600", Advice: "use --quant q4_k",
			Smaller: []engine.Alternative{{Quant: weights.Q6_K, Device: 6 << 30}, {Quant: weights.Q4_K, Device: 4 << 30}}}},
			[]string{"14.0 GiB", "7.0 GiB", "RX 7600", "Q6_K (6.0 GiB)", "Q4_K (4.0 GiB)"}},
		{"a model that fits in no precision", &engine.MemoryError{Memory: engine.Memory{Device: 14 << 30, Budget: 1 << 30, DeviceName: "RX 7600"}}, []string{"14.0 GiB", "1.0 GiB", "RX 7600"}},
		{"an allocation", &vulkan.MemoryError{Thing: "state", Need: 38 << 20, Free: 5 << 20}, []string{"38.0 MiB", "5.0 MiB"}},
		{"a device that is not there", &vulkan.NoDeviceError{Selector: "Voodoo", All: []vulkan.DeviceInfo{old}}, []string{"Voodoo"}},
		{"the only device is unusable", &vulkan.NoDeviceError{All: []vulkan.DeviceInfo{old}, Like: []vulkan.DeviceInfo{old}}, []string{"GeForce 210", "1.0.65", "1.1"}},
		{"a damaged file", &weights.FileError{Kind: weights.ErrBadModel, File: "/models/m/model.safetensors", Problem: "too short"}, []string{"model.safetensors"}},
		{"a damaged tensor", &weights.FileError{Kind: weights.ErrBadModel, File: "m.gguf", Tensor: "blk.0.ssm_a", Problem: "NaN"}, []string{"m.gguf", "blk.0.ssm_a"}},
		{"a missing tensor", &weights.FileError{Kind: weights.ErrMissingTensor, File: "m.gguf", Tensor: "blk.0.ssm_a", Problem: "not in the file"}, []string{"m.gguf", "blk.0.ssm_a"}},
		{"a missing file", &weights.FileError{Kind: weights.ErrMissingTensor, File: "m/model-2.safetensors", Problem: "not there"}, []string{"model-2.safetensors"}},
		{"a kind of model", &weights.FileError{Kind: weights.ErrUnsupported, File: "llama/config.json", Problem: "llama"}, []string{"config.json"}},
		{"a wrong download", &library.Error{Op: "pull", Name: "a/b", File: "x/model.safetensors", Kind: library.ErrCorrupt, Problem: "another hash"}, []string{"model.safetensors"}},
		{"part of a model", &library.Error{Name: "a/b", File: "model.safetensors", Kind: library.ErrNotComplete, Problem: "cut"}, []string{"model.safetensors"}},
		{"a full disk", &library.Error{Op: "pull", Name: "a/b", Kind: library.ErrNoSpace, Problem: "p", Need: 14 << 30, Free: 3 << 30}, []string{"14.0 GiB", "3.0 GiB"}},
		{"several models", &library.ChoiceError{Repo: "a/b", Files: []library.RemoteFile{{Path: "q4.gguf"}, {Path: "q8.gguf"}}}, []string{"a/b:q4.gguf", "a/b:q8.gguf"}},
	}
	for _, kind := range slices.Sorted(maps.Keys(lacks)) {
		d := refused(kind)
		want := []string{"GeForce 210"}
		for _, part := range []string{"1.0.65", "37"} {
			if strings.Contains(d.Reason, part) {
				want = append(want, part)
			}
		}
		list = append(list, figure{"a device without " + string(kind), &vulkan.NoDeviceError{Selector: "210", All: []vulkan.DeviceInfo{d}, Like: []vulkan.DeviceInfo{d}}, want})
	}
	inEach(t, func(t *testing.T, l look.Language) {
		for _, c := range list {
			p := session.ProblemOf(fmt.Errorf("load: %w", c.err))
			sentence := Brief(p)
			for _, part := range c.want {
				if !strings.Contains(sentence, part) {
					t.Errorf("%s, %s: %q lacks %q", l, c.name, sentence, part)
				}
			}
			if sentence == look.T(problems[p.Kind].key) || chinese(sentence) != (l == look.Chinese) || strings.Contains(sentence, "tell.") || strings.Contains(sentence, "%!") {
				t.Errorf("%s, %s: %q", l, c.name, sentence)
			}
			if again := Stored(p.Note()); again != Problem(p) {
				t.Errorf("%s, %s: stored %q, new %q", l, c.name, again, Problem(p))
			}
			if without := Problem(&session.Problem{Kind: p.Kind, Text: p.Text}); !strings.HasPrefix(without, look.T(problems[p.Kind].key)) {
				t.Errorf("%s, %s: without figures %q", l, c.name, without)
			}
		}
	})
	for err, want := range map[error]session.Kind{
		&vulkan.NoDeviceError{}: session.KindNoDriver,
		&fs.PathError{Op: "open", Path: "/x", Err: syscall.EACCES}:  session.KindFile,
		&fs.PathError{Op: "write", Path: "/x", Err: syscall.ENOSPC}: session.KindNoSpace,
		errors.New("xyzzy"): session.KindOther,
	} {
		if p := session.ProblemOf(fmt.Errorf("load: %w", err)); p.Kind != want {
			t.Errorf("%v is of kind %q, want %q", err, p.Kind, want)
		}
	}
}

// Every reason why a device cannot be used is said where devices are listed.
func TestLacks(t *testing.T) {
	kinds := constantsOf(t, "../../../engine/vulkan/refusal.go", "Refused")
	inEach(t, func(t *testing.T, l look.Language) {
		for name, kind := range kinds {
			d := refused(vulkan.Refused(kind))
			text := Lacks(d)
			if chinese(text) != (l == look.Chinese) || strings.HasPrefix(text, "tell.") || strings.Contains(text, "%!") || d.Reason == kind {
				t.Errorf("%s, %s: %q (%q)", l, name, text, d.Reason)
			}
		}
		if got := Lacks(vulkan.DeviceInfo{Reason: "its words"}); got != "its words" {
			t.Errorf("%q", got)
		}
		if got := Warning("its words"); !strings.HasSuffix(got, "its words") || chinese(got) != (l == look.Chinese) {
			t.Errorf("%q", got)
		}
	})
	if len(kinds) != len(lacks) {
		t.Errorf("%d reasons are said, %d there are", len(lacks), len(kinds))
	}
}

package library

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"path"
	"regexp"
	"slices"
	"strings"

	"kestrel/engine/weights"
)

// plan is what to fetch of a repository.
type plan struct {
	format Format
	open   string       // the file that is the model; "" for the folder
	files  []RemoteFile // in the order to fetch them: what can refuse the model first
	index  string       // that of the shards, which says which of them count; "" for none
}

const (
	configName = "config.json"
	singleName = "model.safetensors"
	indexName  = "model.safetensors.index.json"
)

// companions are the files beside the weights that a model is read from.
var companions = []string{configName, "generation_config.json", "tokenizer*.json", "special_tokens_map.json", "chat_template.jinja"}

var (
	shardForm = regexp.MustCompile(`^model-\d{5}-of-\d{5}\.safetensors$`)
	splitForm = regexp.MustCompile(`-\d{5}-of-\d{5}\.(?i:gguf)$`)
)

// companionLimit is how many bytes a companion may have.
func companionLimit(name string) int64 {
	if strings.HasPrefix(name, "tokenizer") {
		return 256 << 20
	}
	return 16 << 20
}

func isCompanion(name string) bool {
	return slices.ContainsFunc(companions, func(pattern string) bool {
		ok, _ := path.Match(pattern, name)
		return ok
	})
}

func isWeights(name string) bool {
	return strings.HasSuffix(name, ".safetensors") || strings.HasSuffix(name, ".safetensors.index.json") || isGGUF(name)
}

// choose picks the files of a model out of a repository: the GGUF file that
// is named, else its safetensors with what lies beside them, else its only
// GGUF file. The error is ErrNotFound, ErrChoice, ErrUnsafe or
// weights.ErrUnsupported.
func choose(l *listing, ref Ref) (*plan, error) {
	var root, ggufs []RemoteFile
	for _, f := range l.files {
		if isWeights(path.Base(f.Path)) || isCompanion(path.Base(f.Path)) {
			if err := checkPath(f.Path); err != nil {
				return nil, err // a sound repository has no such name, least of all here
			}
		} else {
			continue
		}
		if !strings.Contains(f.Path, "/") {
			root = append(root, f)
		}
		if isGGUF(f.Path) && !splitForm.MatchString(f.Path) && !strings.HasPrefix(path.Base(f.Path), "mmproj") {
			ggufs = append(ggufs, f)
		}
	}
	slices.SortFunc(ggufs, func(a, b RemoteFile) int {
		if a.Size != b.Size {
			return int(max(-1, min(1, a.Size-b.Size)))
		}
		return strings.Compare(a.Path, b.Path)
	})
	if ref.File != "" {
		return chooseGGUF(l, ref, ggufs)
	}
	p, err := chooseSafetensors(root)
	if p != nil || err != nil {
		return p, err
	}
	switch {
	case len(ggufs) == 1:
		return &plan{format: GGUF, open: ggufs[0].Path, files: ggufs}, nil
	case len(ggufs) > 1:
		return nil, &ChoiceError{Repo: ref.Repo, Files: ggufs}
	case slices.ContainsFunc(l.files, func(f RemoteFile) bool { return isTorch(f.Path) }):
		return nil, &Error{Kind: weights.ErrUnsupported, Problem: "it has PyTorch pickle files only, which can run code when opened, so Kestrel does not read them",
			Way: "look for a copy in safetensors, or convert it in Python and import it"}
	case slices.ContainsFunc(l.files, func(f RemoteFile) bool { return splitForm.MatchString(f.Path) }):
		return nil, &Error{Kind: weights.ErrUnsupported, Problem: "it has only GGUF files that were split", Way: "download the parts, join them with llama-gguf-split --merge, and import the file"}
	}
	return nil, &Error{Kind: ErrNotFound, Problem: "it has neither .safetensors nor .gguf files"}
}

func isTorch(name string) bool {
	return strings.HasSuffix(name, ".bin") || strings.HasSuffix(name, ".pt") || strings.HasSuffix(name, ".pth")
}

func chooseGGUF(l *listing, ref Ref, ggufs []RemoteFile) (*plan, error) {
	f, ok := l.find(ref.File)
	if !ok {
		var names []string
		for _, g := range ggufs {
			names = append(names, g.Path)
		}
		way := "it has no .gguf file at all"
		if len(names) > 0 {
			way = "it has " + strings.Join(names, ", ")
		}
		return nil, &Error{Kind: ErrNotFound, File: ref.File, Problem: "not in the repository", Way: way}
	}
	if splitForm.MatchString(f.Path) {
		return nil, &Error{Kind: weights.ErrUnsupported, File: f.Path, Problem: "one part of a model that was split", Way: "join the parts with llama-gguf-split --merge, and import the file"}
	}
	return &plan{format: GGUF, open: f.Path, files: []RemoteFile{f}}, nil
}

// chooseSafetensors returns nil where the repository has none.
func chooseSafetensors(root []RemoteFile) (*plan, error) {
	p := &plan{format: Safetensors}
	var small, tensors, shards []RemoteFile
	has := map[string]bool{}
	for _, f := range root {
		has[f.Path] = true
		switch {
		case isCompanion(f.Path):
			if f.Size > companionLimit(f.Path) {
				return nil, &Error{Kind: ErrHub, File: f.Path, Problem: sizeText(f.Size) + " are too many for such a file"}
			}
			small = append(small, f)
		case shardForm.MatchString(f.Path):
			shards = append(shards, f)
		case strings.HasSuffix(f.Path, ".safetensors"):
			tensors = append(tensors, f)
		}
	}
	switch {
	case has[singleName]:
		tensors = slices.DeleteFunc(tensors, func(f RemoteFile) bool { return f.Path != singleName })
	case has[indexName]:
		i := slices.IndexFunc(root, func(f RemoteFile) bool { return f.Path == indexName })
		if root[i].Size > companionLimit(indexName) {
			return nil, &Error{Kind: ErrHub, File: indexName, Problem: sizeText(root[i].Size) + " are too many for such a file"}
		}
		small, tensors, p.index = append(small, root[i]), shards, indexName
	case len(shards) > 0:
		return nil, &Error{Kind: ErrNotFound, File: indexName, Problem: "the repository has shards of a model but not their index"}
	case len(tensors) > 1:
		var names []string
		for _, f := range tensors {
			names = append(names, f.Path)
		}
		return nil, &Error{Kind: ErrChoice, Problem: "several .safetensors files, none of them " + singleName + ": " + strings.Join(names, ", "), Way: "download the one you want and import it"}
	case len(tensors) == 1:
		p.open = tensors[0].Path
	default:
		return nil, nil
	}
	if !has[configName] {
		return nil, &Error{Kind: ErrNotFound, File: configName, Problem: "not in the repository, so nothing says what kind of model this is"}
	}
	slices.SortStableFunc(small, func(a, b RemoteFile) int { return rank(a.Path) - rank(b.Path) })
	p.files = append(small, tensors...)
	return p, nil
}

// rank puts what can refuse a model first.
func rank(name string) int {
	switch name {
	case configName:
		return 0
	case indexName:
		return 1
	}
	return 2
}

// shards returns the files that an index of shards names.
func shards(index []byte) ([]string, error) {
	var ix struct {
		Map map[string]string `json:"weight_map"`
	}
	if err := json.Unmarshal(index, &ix); err != nil {
		return nil, &Error{Kind: weights.ErrBadModel, File: indexName, Problem: "not valid JSON", Cause: err}
	}
	var names []string
	for _, name := range ix.Map {
		names = append(names, name)
	}
	slices.Sort(names)
	names = slices.Compact(names)
	if len(names) == 0 {
		return nil, &Error{Kind: weights.ErrBadModel, File: indexName, Problem: "it names no file"}
	}
	for _, name := range names {
		if err := checkPath(name); err != nil {
			return nil, err
		}
	}
	return names, nil
}

// narrow leaves out the shards that the index does not name, and fails where
// it names one that the repository lacks.
func (p *plan) narrow(index []byte) error {
	names, err := shards(index)
	if err != nil {
		return err
	}
	for _, name := range names {
		if !slices.ContainsFunc(p.files, func(f RemoteFile) bool { return f.Path == name }) {
			return &Error{Kind: weights.ErrMissingTensor, File: name, Problem: indexName + " names it, but the repository does not have it"}
		}
	}
	p.files = slices.DeleteFunc(p.files, func(f RemoteFile) bool { return shardForm.MatchString(f.Path) && !slices.Contains(names, f.Path) })
	return nil
}

// ggufHead is how much of a GGUF file is looked at before all of it is
// fetched: the architecture is one of its first keys.
const ggufHead = 64 << 10

// checkGGUF refuses a file that is no GGUF, or says of itself that it is not
// a Mamba. Where the head does not reach the key it lets the file pass: its
// opening will tell.
func checkGGUF(head []byte) error {
	if len(head) < 24 || string(head[:4]) != "GGUF" {
		return &Error{Kind: weights.ErrBadModel, Problem: "no GGUF file, whatever its name says"}
	}
	arch, ok := ggufArchitecture(head)
	if ok && arch != "mamba" {
		return &Error{Kind: weights.ErrUnsupported, Problem: "this is " + quote(show(arch)) + "; Kestrel runs Mamba-family models (falcon_mamba, mamba)"}
	}
	return nil
}

// ggufArchitecture reads general.architecture out of the beginning of a GGUF
// file of version 2 or 3.
func ggufArchitecture(head []byte) (string, bool) {
	if v := binary.LittleEndian.Uint32(head[4:]); v != 2 && v != 3 {
		return "", false
	}
	c := cursor{head[8:]}
	c.uint64() // tensors
	for range min(c.uint64(), 1<<16) {
		key := c.text()
		kind := c.uint32()
		if key == "general.architecture" && kind == 8 {
			return c.text(), c.data != nil
		}
		if c.skip(kind); c.data == nil {
			break
		}
	}
	return "", false
}

// cursor reads little-endian values; data is nil after its end.
type cursor struct{ data []byte }

func (c *cursor) take(n uint64) []byte {
	if n > uint64(len(c.data)) {
		c.data = nil
		return make([]byte, min(n, 8))
	}
	out := c.data[:n]
	c.data = c.data[n:]
	return out
}

func (c *cursor) uint32() uint32 { return binary.LittleEndian.Uint32(c.take(4)) }
func (c *cursor) uint64() uint64 { return binary.LittleEndian.Uint64(c.take(8)) }
func (c *cursor) text() string   { return string(c.take(c.uint64())) }

// skip passes over a value of a GGUF type.
func (c *cursor) skip(kind uint32) {
	sizes := []uint64{1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8}
	switch {
	case kind == 8:
		c.take(c.uint64())
	case kind == 9:
		elem, n := c.uint32(), c.uint64()
		switch {
		case elem == 8:
			for ; n > 0 && c.data != nil; n-- {
				c.take(c.uint64())
			}
		case uint64(elem) < uint64(len(sizes)) && sizes[elem] > 0 && n < 1<<40:
			c.take(n * sizes[elem])
		default:
			c.data = nil
		}
	case uint64(kind) < uint64(len(sizes)):
		c.take(sizes[kind])
	default:
		c.data = nil
	}
}

// errStalled is why a connection was given up.
var errStalled = errors.New("no data came for a long time")

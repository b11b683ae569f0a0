package checkpoint

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"kestrel/engine/weights"
)

// role is one tensor of a layer: its names and its shape. One list serves
// finding, checking, hashing and writing.
type role struct {
	hf, gguf string // after "backbone.layers.N." and "blk.N."
	matrix   bool   // may be quantized
	shape    func(Config) []int
	of       func(*Layer) *weights.Tensor
}

var layerRoles = []role{
	{"norm.weight", "attn_norm.weight", false, func(c Config) []int { return []int{c.Hidden} }, func(l *Layer) *weights.Tensor { return &l.Norm }},
	{"mixer.in_proj.weight", "ssm_in.weight", true, func(c Config) []int { return []int{2 * c.Inner, c.Hidden} }, func(l *Layer) *weights.Tensor { return &l.InProj }},
	{"mixer.conv1d.weight", "ssm_conv1d.weight", false, func(c Config) []int { return []int{c.Inner, c.Conv} }, func(l *Layer) *weights.Tensor { return &l.ConvW }},
	{"mixer.conv1d.bias", "ssm_conv1d.bias", false, func(c Config) []int { return []int{c.Inner} }, func(l *Layer) *weights.Tensor { return &l.ConvB }},
	{"mixer.x_proj.weight", "ssm_x.weight", true, func(c Config) []int { return []int{c.DtRank + 2*c.State, c.Inner} }, func(l *Layer) *weights.Tensor { return &l.XProj }},
	{"mixer.dt_proj.weight", "ssm_dt.weight", true, func(c Config) []int { return []int{c.Inner, c.DtRank} }, func(l *Layer) *weights.Tensor { return &l.DtProj }},
	{"mixer.dt_proj.bias", "ssm_dt.bias", false, func(c Config) []int { return []int{c.Inner} }, func(l *Layer) *weights.Tensor { return &l.DtBias }},
	{"mixer.A_log", "ssm_a", false, func(c Config) []int { return []int{c.Inner, c.State} }, func(l *Layer) *weights.Tensor { return &l.A }},
	{"mixer.D", "ssm_d", false, func(c Config) []int { return []int{c.Inner} }, func(l *Layer) *weights.Tensor { return &l.D }},
	{"mixer.out_proj.weight", "ssm_out.weight", true, func(c Config) []int { return []int{c.Hidden, c.Inner} }, func(l *Layer) *weights.Tensor { return &l.OutProj }},
}

// naming is how one format spells the names of the tensors.
type naming struct {
	embed  []string // accepted spellings
	layer  string   // prefix before the layer's number
	role   func(role) string
	normF  string
	head   string
	ignore []string // layer tensors that hold nothing the model needs
}

// hfNaming has the names of transformers; prefix is "backbone.", or "" for a
// file saved from the bare model.
func hfNaming(prefix string) naming {
	return naming{
		embed: []string{prefix + "embeddings.weight", prefix + "embedding.weight"},
		layer: prefix + "layers.", role: func(r role) string { return r.hf },
		normF: prefix + "norm_f.weight", head: "lm_head.weight",
		// Constant ones that early versions of transformers saved.
		ignore: []string{"mixer.b_c_rms", "mixer.dt_rms"},
	}
}

var ggufNaming = naming{
	embed: []string{"token_embd.weight"},
	layer: "blk.", role: func(r role) string { return r.gguf },
	normF: "output_norm.weight", head: "output.weight",
}

// load finds all tensors, takes the sizes from their shapes and checks that
// they agree with each other and with want, where want states them.
func (c *Checkpoint) load(src weights.Source, nm naming, want sizes) error {
	l := loader{src: src, nm: nm}
	cfg := &c.Config
	var err error
	if c.Embed, err = l.embedding(c.Tied); err != nil {
		return err
	}
	if err := l.measure(cfg, c.Embed); err != nil {
		return err
	}
	l.countLayers(cfg, want)
	if err := want.check(*cfg, src.Path()); err != nil {
		return err
	}
	if err := cfg.checkIDs(src.Path()); err != nil {
		return err
	}
	for i := range cfg.Layers {
		layer := Layer{negated: nm.layer == ggufNaming.layer}
		for _, r := range layerRoles {
			name := nm.layerName(i, r)
			t, err := l.tensor(name, r.matrix, r.shape(*cfg))
			if r.hf == "mixer.conv1d.bias" && !want.convBias {
				t, err = l.noBias(t, err, name, cfg.Inner)
			}
			if err != nil {
				return err
			}
			*r.of(&layer) = t
		}
		c.Layers = append(c.Layers, layer)
	}
	if c.NormF, err = l.tensor(nm.normF, false, []int{cfg.Hidden}); err != nil {
		return err
	}
	if err := c.loadHead(l); err != nil {
		return err
	}
	return l.refuseUnknown()
}

// noBias stands in zeros for the bias of a convolution that has none.
func (l loader) noBias(found weights.Tensor, err error, name string, n int) (weights.Tensor, error) {
	switch {
	case errors.Is(err, weights.ErrMissingTensor):
		return weights.Tensor{Name: name, DType: weights.F32, Shape: []int{n}, Data: make([]byte, 4*n), File: l.src.Path()}, nil
	case err != nil:
		return found, err
	}
	return found, &weights.FileError{Kind: weights.ErrBadModel, File: found.File, Tensor: name,
		Problem: "in the file, but the configuration has use_conv_bias false"}
}

// loadHead follows transformers: where the configuration ties the head but the
// file holds one of its own, that one counts.
func (c *Checkpoint) loadHead(l loader) error {
	t, err := l.tensor(l.nm.head, true, []int{c.Vocab, c.Hidden})
	if errors.Is(err, weights.ErrMissingTensor) && c.Tied {
		c.Head = c.Embed
		return nil
	}
	if err != nil {
		return err
	}
	c.Tied = c.Tied && !t.Computed() && t.DType == c.Embed.DType && bytes.Equal(t.Data, c.Embed.Data)
	if c.Head = t; c.Tied {
		c.Head = c.Embed
	}
	return nil
}

type loader struct {
	src weights.Source
	nm  naming
}

func (nm naming) layerName(i int, r role) string {
	return nm.layer + strconv.Itoa(i) + "." + nm.role(r)
}

// raw returns a tensor of a type Kestrel computes with.
func (l loader) raw(name string) (weights.Tensor, error) {
	t, err := l.src.Tensor(name)
	if err != nil {
		return t, err
	}
	if !t.DType.Decodable() {
		return t, &weights.FileError{Kind: weights.ErrUnsupported, File: t.File, Tensor: name,
			Problem: fmt.Sprintf("stored as %v", t.DType), Way: "convert the model to F32, F16 or BF16"}
	}
	return t, nil
}

// tensor returns a tensor of the shape; only a matrix may be quantized.
func (l loader) tensor(name string, matrix bool, shape []int) (weights.Tensor, error) {
	t, err := l.raw(name)
	if err != nil {
		return t, err
	}
	if !matrix && t.DType.Quantized() {
		return t, &weights.FileError{Kind: weights.ErrUnsupported, File: t.File, Tensor: name,
			Problem: fmt.Sprintf("quantized as %v, which Kestrel reads for matrices only", t.DType),
			Way:     "norms, the convolution, A, D and biases must be F32, F16 or BF16, as llama-quantize leaves them"}
	}
	found := t.Shape
	if len(found) == 3 && len(shape) == 2 && found[1] == 1 { // conv1d's [I, 1, K]
		t.Shape = []int{found[0], found[2]}
	}
	if !slices.Equal(t.Shape, shape) {
		return t, l.shapeError(t, found, weights.ShapeString(shape))
	}
	return t, nil
}

func (l loader) shapeError(t weights.Tensor, found []int, expected string) error {
	return &weights.FileError{Kind: weights.ErrBadModel, File: t.File, Tensor: t.Name,
		Problem: fmt.Sprintf("expected shape %s, found %s", expected, weights.ShapeString(found))}
}

// embedding finds the embedding; a tied model may have it as its head alone.
func (l loader) embedding(tied bool) (weights.Tensor, error) {
	names := l.nm.embed
	if tied {
		names = append(slices.Clone(names), l.nm.head)
	}
	for _, name := range names {
		if t, err := l.raw(name); !errors.Is(err, weights.ErrMissingTensor) {
			return t, err
		}
	}
	return l.raw(names[0]) // the error names the usual spelling
}

// measure takes the sizes from the embedding and layer 0.
func (l loader) measure(cfg *Config, embed weights.Tensor) error {
	dims := func(t weights.Tensor, rank int, expected string) error {
		if len(t.Shape) != rank || slices.Contains(t.Shape, 0) {
			return l.shapeError(t, t.Shape, expected)
		}
		return nil
	}
	if err := dims(embed, 2, "[vocabulary, hidden]"); err != nil {
		return err
	}
	cfg.Vocab, cfg.Hidden = embed.Shape[0], embed.Shape[1]
	for _, m := range []struct {
		role     string
		expected string
		take     func(shape []int)
	}{
		{"mixer.conv1d.weight", "[inner, 1, taps]", func(s []int) { cfg.Inner, cfg.Conv = s[0], s[1] }},
		{"mixer.A_log", "[inner, state]", func(s []int) { cfg.State = s[1] }},
		{"mixer.dt_proj.weight", "[inner, dt rank]", func(s []int) { cfg.DtRank = s[1] }},
	} {
		i := slices.IndexFunc(layerRoles, func(r role) bool { return r.hf == m.role })
		t, err := l.raw(l.nm.layerName(0, layerRoles[i]))
		if err != nil {
			return err
		}
		if len(t.Shape) == 3 && t.Shape[1] == 1 && m.role == "mixer.conv1d.weight" {
			t.Shape = []int{t.Shape[0], t.Shape[2]}
		}
		if err := dims(t, 2, m.expected); err != nil {
			return err
		}
		m.take(t.Shape)
	}
	return nil
}

// countLayers takes the number of layers from the names of the tensors.
func (l loader) countLayers(cfg *Config, want sizes) {
	for _, name := range l.src.Names() {
		if n, _, ok := l.nm.splitLayer(name); ok {
			cfg.Layers = max(cfg.Layers, n+1)
		}
	}
	if want.layers > cfg.Layers {
		cfg.Layers = want.layers // so that the first missing tensor is named
	}
}

// splitLayer takes "blk.7.ssm_a" apart.
func (nm naming) splitLayer(name string) (layer int, rest string, ok bool) {
	s, ok := strings.CutPrefix(name, nm.layer)
	if !ok {
		return 0, "", false
	}
	num, rest, ok := strings.Cut(s, ".")
	if !ok {
		return 0, "", false
	}
	n, err := strconv.Atoi(num)
	if err != nil || n < 0 || n > 1<<20 || strconv.Itoa(n) != num {
		return 0, "", false
	}
	return n, rest, true
}

// refuseUnknown rejects a file with further tensors, such as the bias of a
// projection: leaving them out would compute something else.
func (l loader) refuseUnknown() error {
	for _, name := range l.src.Names() {
		if l.nm.knows(name) {
			continue
		}
		return &weights.FileError{Kind: weights.ErrUnsupported, File: l.src.Path(), Tensor: name,
			Problem: "not part of a Mamba model as Kestrel computes it", Way: "Kestrel runs mamba and falcon_mamba as published, without projection biases"}
	}
	return nil
}

func (nm naming) knows(name string) bool {
	if _, rest, ok := nm.splitLayer(name); ok {
		return slices.Contains(nm.ignore, rest) || slices.ContainsFunc(layerRoles, func(r role) bool { return nm.role(r) == rest })
	}
	return name == nm.normF || name == nm.head || slices.Contains(nm.embed, name)
}

// sizes is what the configuration states; 0 where it is silent.
type sizes struct {
	hidden, layers, inner, state, conv, dtRank, vocab int
	convBias                                          bool
	fourBit                                           string // how matrices are quantized, "nf4" or "fp4"
}

func (s sizes) check(c Config, file string) error {
	for _, v := range []struct {
		what          string
		stated, found int
	}{
		{"hidden size", s.hidden, c.Hidden}, {"number of layers", s.layers, c.Layers}, {"intermediate size", s.inner, c.Inner},
		{"state size", s.state, c.State}, {"convolution kernel", s.conv, c.Conv}, {"time step rank", s.dtRank, c.DtRank},
	} {
		if v.stated != 0 && v.stated != v.found {
			return &weights.FileError{Kind: weights.ErrBadModel, File: file,
				Problem: fmt.Sprintf("the configuration states a %s of %d, the tensors have %d", v.what, v.stated, v.found)}
		}
	}
	if s.vocab > c.Vocab { // rows may be padded, never fewer
		return &weights.FileError{Kind: weights.ErrBadModel, File: file,
			Problem: fmt.Sprintf("the configuration states a vocabulary of %d, the embedding has %d rows", s.vocab, c.Vocab)}
	}
	return nil
}

// checkIDs sees that the ids the model may be fed lie in its vocabulary. The
// padding is never fed: some publishers name one the embedding has no row for.
func (c *Config) checkIDs(file string) error {
	for what, ids := range map[string][]int{"bos": {c.BOS}, "eos": c.EOS} {
		for _, id := range ids {
			if id >= c.Vocab || id < 0 && what == "eos" {
				return &weights.FileError{Kind: weights.ErrBadModel, File: file,
					Problem: fmt.Sprintf("%s_token_id is %d, outside the vocabulary of %d", what, id, c.Vocab)}
			}
		}
	}
	if c.Pad >= c.Vocab {
		c.Pad = -1
	}
	return nil
}

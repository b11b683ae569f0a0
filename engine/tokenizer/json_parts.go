package tokenizer

import "encoding/json"

// partJSON holds the fields of all the normalizers, pre-tokenizers,
// post-processors and decoders that are read here.
type partJSON struct {
	Type             string            `json:"type"`
	Normalizers      []json.RawMessage `json:"normalizers"`
	PreTokenizers    []json.RawMessage `json:"pretokenizers"`
	Processors       []json.RawMessage `json:"processors"`
	Decoders         []json.RawMessage `json:"decoders"`
	AddPrefixSpace   *bool             `json:"add_prefix_space"`
	UseRegex         *bool             `json:"use_regex"`
	Behavior         *string           `json:"behavior"`
	Invert           bool              `json:"invert"`
	IndividualDigits bool              `json:"individual_digits"`
	Pattern          struct {
		String *string
		Regex  *string
	} `json:"pattern"`
	Single        []templateJSON `json:"single"`
	SpecialTokens map[string]struct {
		IDs []int `json:"ids"`
	} `json:"special_tokens"`
}

type templateJSON struct {
	SpecialToken *struct {
		ID string `json:"id"`
	}
	Sequence *struct {
		ID string `json:"id"`
	}
}

// maxParts bounds the parts of a pipeline; files have at most a handful.
const maxParts = 64

// parts reads a part and, where it is a Sequence, the parts of it in order.
func parts(raw json.RawMessage, what string, list func(partJSON) []json.RawMessage) ([]partJSON, error) {
	var all []partJSON
	var read func(raw json.RawMessage, depth int) error
	read = func(raw json.RawMessage, depth int) error {
		var p partJSON
		if isNull(raw) {
			return nil
		}
		if err := decodeJSON(raw, what, &p); err != nil {
			return err
		}
		if len(all) >= maxParts || depth >= maxParts {
			return unsupported("%s: a Sequence of more than %d parts", what, maxParts)
		}
		if p.Type != "Sequence" {
			all = append(all, p)
			return nil
		}
		for _, sub := range list(p) {
			if err := read(sub, depth+1); err != nil {
				return err
			}
		}
		return nil
	}
	return all, read(raw, 0)
}

func readNormalizer(raw json.RawMessage) (useNFC bool, err error) {
	all, err := parts(raw, "normalizer", func(p partJSON) []json.RawMessage { return p.Normalizers })
	if err != nil {
		return false, err
	}
	for _, p := range all {
		if p.Type != "NFC" {
			return false, unsupported("normalizer: %s", clip(p.Type))
		}
		useNFC = true
	}
	return useNFC, nil
}

func readPreTokenizer(raw json.RawMessage) ([]step, error) {
	all, err := parts(raw, "pre_tokenizer", func(p partJSON) []json.RawMessage { return p.PreTokenizers })
	if err != nil {
		return nil, err
	}
	var steps []step
	behind := false // a ByteLevel came before
	for _, p := range all {
		switch p.Type {
		case "ByteLevel":
			if behind {
				return nil, unsupported("pre_tokenizer: ByteLevel twice")
			}
			behind = true
			if p.AddPrefixSpace == nil {
				return nil, bad("pre_tokenizer: ByteLevel without add_prefix_space")
			}
			if *p.AddPrefixSpace {
				steps = append(steps, step{prefix: true})
			}
			if p.UseRegex == nil || *p.UseRegex {
				steps = append(steps, step{find: gpt2{}, behavior: isolated})
			}
		case "Punctuation":
			how := isolated
			if p.Behavior != nil {
				if how, err = readBehavior(*p.Behavior); err != nil {
					return nil, err
				}
			}
			steps = append(steps, classStep(classPunct, how, behind))
		case "Digits":
			how := contiguous
			if p.IndividualDigits {
				how = isolated
			}
			steps = append(steps, classStep(classDigit, how, behind))
		case "Split":
			st, err := readSplit(p, behind)
			if err != nil {
				return nil, err
			}
			steps = append(steps, st)
		default:
			return nil, unsupported("pre_tokenizer: %s", clip(p.Type))
		}
	}
	if !behind {
		return nil, unsupported("pre_tokenizer: none that is ByteLevel")
	}
	return steps, nil
}

func readBehavior(name string) (behavior, error) {
	how, ok := behaviors[name]
	if !ok {
		return 0, unsupported("pre_tokenizer: behavior %s", clip(name))
	}
	return how, nil
}

// classStep splits at the characters of a class, of which each is a match.
func classStep(mask uint8, how behavior, behind bool) step {
	if how == contiguous { // the same as whole runs, each by itself, and faster
		return step{find: classRun{mask: mask, behind: behind}, behavior: isolated}
	}
	return step{find: classRun{mask: mask, most: 1, behind: behind}, behavior: how}
}

func readSplit(p partJSON, behind bool) (st step, err error) {
	if p.Behavior == nil {
		return st, bad("pre_tokenizer: Split without behavior")
	}
	if st.behavior, err = readBehavior(*p.Behavior); err != nil {
		return st, err
	}
	st.invert = p.Invert
	switch {
	case p.Pattern.Regex != nil:
		st.find, err = findRegex(*p.Pattern.Regex, behind)
		return st, err
	case p.Pattern.String == nil:
		return st, bad("pre_tokenizer: Split without a pattern")
	case *p.Pattern.String == "":
		return st, unsupported("pre_tokenizer: Split on an empty string")
	case !behind:
		st.find = literal(*p.Pattern.String)
	default:
		if raw, ok := fromAlphabet(*p.Pattern.String); ok {
			st.find = literal(raw)
		} else {
			st.find = nothing{}
		}
	}
	return st, nil
}

func readDecoder(raw json.RawMessage) error {
	all, err := parts(raw, "decoder", func(p partJSON) []json.RawMessage { return p.Decoders })
	if err != nil {
		return err
	}
	if len(all) != 1 || all[0].Type != "ByteLevel" {
		name := "none"
		for _, p := range all {
			if p.Type != "ByteLevel" || len(all) > 1 {
				name = p.Type
			}
		}
		return unsupported("decoder: %s, not ByteLevel alone", clip(name))
	}
	return nil
}

// readPostProcessor returns the ids that a template puts before the text. Other
// processors read here touch only offsets.
func readPostProcessor(raw json.RawMessage, size int) (prefix []int, err error) {
	all, err := parts(raw, "post_processor", func(p partJSON) []json.RawMessage { return p.Processors })
	if err != nil {
		return nil, err
	}
	templates := 0
	for _, p := range all {
		switch p.Type {
		case "ByteLevel":
		case "TemplateProcessing":
			if templates++; templates > 1 {
				return nil, unsupported("post_processor: two templates")
			}
			if prefix, err = readTemplate(p, size); err != nil {
				return nil, err
			}
		default:
			return nil, unsupported("post_processor: %s", clip(p.Type))
		}
	}
	return prefix, nil
}

func readTemplate(p partJSON, size int) (prefix []int, err error) {
	text := false
	for _, piece := range p.Single {
		switch {
		case piece.Sequence != nil && !text && piece.Sequence.ID == "A":
			text = true
		case piece.SpecialToken != nil && text:
			return nil, unsupported("post_processor: a template that adds %q after the text", clip(piece.SpecialToken.ID))
		case piece.SpecialToken != nil:
			token, ok := p.SpecialTokens[piece.SpecialToken.ID]
			if !ok {
				return nil, bad("post_processor: the template's token %q has no ids", clip(piece.SpecialToken.ID))
			}
			for _, id := range token.IDs {
				if id < 0 || id >= size {
					return nil, bad("post_processor: the template's token %q has id %d of %d", clip(piece.SpecialToken.ID), id, size)
				}
			}
			if prefix = append(prefix, token.IDs...); len(prefix) > maxParts {
				return nil, unsupported("post_processor: a template that adds more than %d tokens", maxParts)
			}
		default:
			return nil, unsupported("post_processor: a template that is not fixed tokens and one text")
		}
	}
	if !text {
		return nil, bad("post_processor: a template without the text")
	}
	return prefix, nil
}

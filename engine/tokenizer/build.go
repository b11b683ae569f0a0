package tokenizer

import (
	"bufio"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
)

// maxGap bounds the ids that no token has, so that a file cannot ask for more
// memory than its size warrants.
const maxGap = 1 << 16

// builder makes a Tokenizer in the order of its methods; both file formats end in
// it.
type builder struct {
	t     *Tokenizer
	size  int    // tokens of the model's own vocabulary
	made  []bool // by id: merging can give it
	added map[int32]addedToken
}

func newBuilder(n int) *builder {
	return &builder{
		t: &Tokenizer{
			tokens: make([]token, n), ids: make(map[string]int32, n),
			verbatim: newAddedSet(), added: newAddedSet(),
		},
		added: make(map[int32]addedToken),
	}
}

// put enters a token of the model's own vocabulary.
func (b *builder) put(text string, id int32) {
	raw, ok := fromAlphabet(text)
	if !ok {
		raw = text
	}
	b.t.tokens[id] = token{text: text, raw: raw, present: true}
	b.t.ids[text] = id
	b.size++
}

// expect makes room for n merges.
func (b *builder) expect(n int) {
	b.t.bpe.pairs = newPairTable(n)
	b.t.merges = make([]merge, 0, n)
}

// merge enters the next merge, of two tokens of the model's own vocabulary.
func (b *builder) merge(left, right string) error {
	rank := len(b.t.merges)
	l, okL := b.t.ids[left]
	r, okR := b.t.ids[right]
	id, ok := b.t.ids[left+right]
	if !ok || !okL || !okR {
		miss := left + right
		switch {
		case !okL:
			miss = left
		case !okR:
			miss = right
		}
		return bad("merge %d (%q with %q) needs the token %q, which the vocabulary does not have; fetch the file again",
			rank, clip(left), clip(right), clip(miss))
	}
	b.t.bpe.pairs.set(l, r, uint32(rank), id)
	b.t.merges = append(b.t.merges, merge{l, r, id})
	return nil
}

// seal ends the model's own vocabulary.
func (b *builder) seal(ignoreMerges bool) error {
	p := &b.t.bpe
	p.cache = newWordCache()
	b.made = make([]bool, len(b.t.tokens))
	spelled := 0
	for i := range p.bytes {
		p.bytes[i] = -1
		if id, ok := b.t.ids[string(byteToRune[i])]; ok {
			p.bytes[i] = id
			b.made[id] = true
			spelled++
		}
	}
	for _, m := range b.t.merges {
		b.made[m.id] = true
	}
	if spelled < 128 {
		return unsupported("the vocabulary spells only %d of the 256 bytes, so it is not byte-level", spelled)
	}
	if ignoreMerges {
		p.whole = make(map[string]int32, len(b.t.ids))
		for text, id := range b.t.ids {
			if raw, ok := fromAlphabet(text); ok {
				p.whole[raw] = id
			}
		}
	}
	return nil
}

// add enters an added token, in place of what the vocabulary has under that id. It
// stands for its own text, unless merging gives it too: then for those bytes. (The
// reference reads every added token in the byte alphabet if it can, which turns
// "é" into U+FFFD.)
func (b *builder) add(a addedToken) {
	for int(a.id) >= len(b.t.tokens) {
		b.t.tokens = append(b.t.tokens, token{})
	}
	raw := a.content
	if int(a.id) < len(b.made) && b.made[a.id] {
		raw = b.t.tokens[a.id].raw
	}
	b.t.tokens[a.id] = token{text: a.content, raw: raw, present: true, special: a.special}
	b.t.ids[a.content] = a.id
	b.added[a.id] = a
}

// finish needs all fields but the added tokens and the hash to be set.
func (b *builder) finish() *Tokenizer {
	t := b.t
	var list []addedToken
	for _, id := range slices.Sorted(maps.Keys(b.added)) {
		a := b.added[id]
		list = append(list, a)
		switch {
		case !a.normalized:
			t.verbatim.add(a.content, a)
		case t.normalize:
			t.added.add(nfc(a.content), a)
		default:
			t.added.add(a.content, a)
		}
	}
	t.sum(list)
	return t
}

// sum computes the hash: everything that ids and text depend on.
func (t *Tokenizer) sum(added []addedToken) {
	sha := sha256.New()
	w := bufio.NewWriterSize(sha, 1<<15)
	str := func(s string) {
		var n [8]byte
		binary.LittleEndian.PutUint64(n[:], uint64(len(s)))
		w.Write(n[:])
		w.WriteString(s)
	}
	num := func(n int32) {
		w.Write(binary.LittleEndian.AppendUint32(w.AvailableBuffer(), uint32(n)))
	}
	str("kestrel tokenizer 1")
	str(fmt.Sprintf("nfc=%v steps=%v ignore_merges=%v prefix=%v", t.normalize, t.steps, t.bpe.whole != nil, t.prefix))
	num(int32(len(t.tokens)))
	for i := range t.tokens {
		tok := &t.tokens[i]
		str(tok.text)
		str(tok.raw)
		flags := int32(0)
		if tok.present {
			flags = 1
		}
		if tok.special {
			flags |= 2
		}
		num(flags)
	}
	for _, id := range t.bpe.bytes {
		num(id)
	}
	num(int32(len(t.merges)))
	for _, m := range t.merges {
		num(m.left)
		num(m.right)
		num(m.id)
	}
	for _, a := range added {
		str(fmt.Sprintf("%+v", a))
	}
	w.Flush()
	sha.Sum(t.hash[:0])
	t.merges = nil // not needed any more
}

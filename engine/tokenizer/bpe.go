package tokenizer

import (
	"hash/maphash"
	"sync/atomic"
)

// bpe is byte-pair encoding (Sennrich et al., 2016): of all neighbouring tokens
// that merge, the pair of the lowest rank does, the leftmost of equals first,
// until none merges.
type bpe struct {
	bytes [256]int32 // the token of each byte, -1 if it has none
	pairs *pairTable
	whole map[string]int32 // ignore_merges: words that are tokens as they stand; else nil
	cache wordCache
}

// shortWord is the longest word, in bytes, that is merged by plain search and
// kept in the cache.
const shortWord = 64

// word appends the tokens of one word to out.
func (b *bpe) word(out []int, w string) []int {
	if len(w) == 1 {
		if id := b.bytes[w[0]]; id >= 0 {
			out = append(out, int(id))
		}
		return out
	}
	if len(w) > shortWord {
		return b.mergeLong(out, w)
	}
	slot := b.cache.slot(w)
	if e := slot.Load(); e != nil && e.word == w {
		for _, id := range e.ids {
			out = append(out, int(id))
		}
		return out
	}
	e := b.cache.entry(w, b.mergeShort(w))
	slot.Store(e)
	for _, id := range e.ids {
		out = append(out, int(id))
	}
	return out
}

// mergeShort takes quadratic time, which for short words is the fastest.
func (b *bpe) mergeShort(w string) []int32 {
	if id, ok := b.whole[w]; ok {
		return []int32{id}
	}
	var (
		ids  [shortWord]int32
		rank [shortWord]uint32 // of the merge of ids[i] and ids[i+1]
		into [shortWord]int32  // and what it gives
		n    int
	)
	for i := range len(w) {
		if id := b.bytes[w[i]]; id >= 0 {
			ids[n] = id
			n++
		}
	}
	for i := 0; i+1 < n; i++ {
		rank[i], into[i] = b.pairs.get(ids[i], ids[i+1])
	}
	for n > 1 {
		best := 0
		for i := 1; i < n-1; i++ {
			if rank[i] < rank[best] {
				best = i
			}
		}
		if rank[best] == noRank {
			break
		}
		ids[best] = into[best]
		n--
		copy(ids[best+1:n], ids[best+2:n+1])
		copy(rank[best+1:n], rank[best+2:n+1])
		copy(into[best+1:n], into[best+2:n+1])
		if best > 0 {
			rank[best-1], into[best-1] = b.pairs.get(ids[best-1], ids[best])
		}
		if best+1 < n {
			rank[best], into[best] = b.pairs.get(ids[best], ids[best+1])
		}
	}
	return append([]int32(nil), ids[:n]...)
}

// mergeLong does the same with a heap of candidate merges over a linked list, in
// O(n log n).
func (b *bpe) mergeLong(out []int, w string) []int {
	if id, ok := b.whole[w]; ok {
		return append(out, int(id))
	}
	// Positions are held in 32 bits; a longer word is cut.
	const most = 1 << 30
	for len(w) > most {
		out = b.mergeLong(out, w[:most])
		w = w[most:]
	}
	const gone = -1
	ids := make([]int32, 0, len(w))
	for i := range len(w) {
		if id := b.bytes[w[i]]; id >= 0 {
			ids = append(ids, id)
		}
	}
	n := int32(len(ids))
	prev, next := make([]int32, n), make([]int32, n) // prev[0] is -1, the last next is n
	queue := make(mergeHeap, 0, n)
	for i := range n {
		prev[i], next[i] = i-1, i+1
		if i+1 < n {
			if rank, _ := b.pairs.get(ids[i], ids[i+1]); rank != noRank {
				queue = append(queue, uint64(rank)<<32|uint64(i))
			}
		}
	}
	queue.init()
	offer := func(i int32) {
		if i < 0 || next[i] >= n {
			return
		}
		if rank, _ := b.pairs.get(ids[i], ids[next[i]]); rank != noRank {
			queue.push(uint64(rank)<<32 | uint64(i))
		}
	}
	for len(queue) > 0 {
		top := queue.pop()
		i := int32(uint32(top))
		if ids[i] == gone || next[i] >= n {
			continue
		}
		j := next[i]
		rank, id := b.pairs.get(ids[i], ids[j])
		if rank != uint32(top>>32) {
			continue // what stood here has merged with something else since
		}
		ids[i], ids[j] = id, gone
		next[i] = next[j]
		if next[i] < n {
			prev[next[i]] = i
		}
		offer(prev[i])
		offer(i)
	}
	for _, id := range ids {
		if id != gone {
			out = append(out, int(id))
		}
	}
	return out
}

// mergeHeap is a binary min-heap of rank<<32 | position.
type mergeHeap []uint64

func (h mergeHeap) init() {
	for i := len(h)/2 - 1; i >= 0; i-- {
		h.down(i)
	}
}

func (h *mergeHeap) push(v uint64) {
	*h = append(*h, v)
	s := *h
	i := len(s) - 1
	for i > 0 {
		up := (i - 1) / 2
		if s[up] <= v {
			break
		}
		s[i] = s[up]
		i = up
	}
	s[i] = v
}

func (h *mergeHeap) pop() uint64 {
	s := *h
	top := s[0]
	s[0] = s[len(s)-1]
	*h = s[:len(s)-1]
	if len(*h) > 1 {
		h.down(0)
	}
	return top
}

func (h mergeHeap) down(i int) {
	v := h[i]
	for {
		c := 2*i + 1
		if c >= len(h) {
			break
		}
		if c+1 < len(h) && h[c+1] < h[c] {
			c++
		}
		if v <= h[c] {
			break
		}
		h[i] = h[c]
		i = c
	}
	h[i] = v
}

// wordCache remembers the tokens of words: one entry a slot, the latest wins, so
// its size is bounded (at most some 12 MB). Readers and writers share no lock.
type wordCache struct {
	seed  maphash.Seed
	slots []atomic.Pointer[cacheEntry]
}

type cacheEntry struct {
	word string
	ids  []int32
}

const cacheSlots = 1 << 15

func newWordCache() wordCache {
	return wordCache{maphash.MakeSeed(), make([]atomic.Pointer[cacheEntry], cacheSlots)}
}

func (c *wordCache) slot(w string) *atomic.Pointer[cacheEntry] {
	return &c.slots[maphash.String(c.seed, w)%cacheSlots]
}

// entry copies the word, lest the cache keep a whole text alive.
func (c *wordCache) entry(w string, ids []int32) *cacheEntry {
	return &cacheEntry{string(append([]byte(nil), w...)), ids}
}

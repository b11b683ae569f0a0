package tokenizer

// pairTable maps two neighbouring tokens to the token they merge into and the
// rank of that merge (0 is merged first). Open addressing, at most half full.
type pairTable struct {
	slots []pairSlot
	shift uint
	n     int
}

type pairSlot struct {
	left, right int32 // left == -1: empty
	rank        uint32
	id          int32
}

// noRank is the rank of two tokens that do not merge.
const noRank = ^uint32(0)

func newPairTable(n int) *pairTable {
	t := &pairTable{shift: 64 - 4}
	for size := 16; ; size *= 2 {
		if size >= 2*n {
			t.slots = make([]pairSlot, size)
			break
		}
		t.shift--
	}
	for i := range t.slots {
		t.slots[i].left = -1
	}
	return t
}

// slot returns the place of a pair, empty if the table does not have it.
func (t *pairTable) slot(left, right int32) *pairSlot {
	key := uint64(uint32(left))<<32 | uint64(uint32(right))
	i := key * 0x9E3779B97F4A7C15 >> t.shift
	for {
		s := &t.slots[i]
		if s.left == left && s.right == right || s.left < 0 {
			return s
		}
		if i++; i == uint64(len(t.slots)) {
			i = 0
		}
	}
}

// set records a merge; a later one of the same pair replaces it.
func (t *pairTable) set(left, right int32, rank uint32, id int32) {
	s := t.slot(left, right)
	if s.left < 0 {
		t.n++
	}
	*s = pairSlot{left, right, rank, id}
}

// get returns noRank if the two do not merge.
func (t *pairTable) get(left, right int32) (rank uint32, id int32) {
	if s := t.slot(left, right); s.left >= 0 {
		return s.rank, s.id
	}
	return noRank, 0
}

package repeat

const (
	// Window is how many tokens at a text's end are looked at for whether it is patched together.
	Window = 100
	// Memory is how many tokens back it is known what was said.
	Memory = 512
)

// four tokens in a row.
type four [4]int

// patches counts how much of a text's end was said before.
type patches struct {
	n     int
	now   four
	fours [Memory]four // a ring of those that ended with a token each
	said  map[four]int // how often each of them
	again [Window]bool // a ring: of the tokens, whether the four that each ended had been said
	count int          // of again
}

// add takes the next token and returns how many of the last Window ended four that had been said.
func (p *patches) add(id int) int {
	copy(p.now[:], p.now[1:])
	p.now[3] = id
	if p.n++; p.n < len(p.now) {
		return 0
	}
	if p.said == nil {
		p.said = map[four]int{}
	}
	old := &p.fours[p.n%Memory]
	if p.n >= Memory+len(p.now) {
		if p.said[*old]--; p.said[*old] == 0 {
			delete(p.said, *old)
		}
	}
	if p.again[p.n%Window] {
		p.count--
	}
	p.again[p.n%Window] = p.said[p.now] > 0
	if p.again[p.n%Window] {
		p.count++
	}
	p.said[p.now]++
	*old = p.now
	return p.count
}

// since is how many tokens there are from the first of the last Window that ended four that had been said.
func (p *patches) since() int {
	for back := Window - 1; back > 0; back-- {
		if p.n >= back && p.again[(p.n-back)%Window] {
			return back + 1
		}
	}
	return 1
}

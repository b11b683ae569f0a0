package weights

// Ahead has the system read the data of tensors from the disk before they are used, as far as a window reaches. A mapped
// file that is only read where it is touched comes in small pieces, between which the disk waits.
type Ahead struct {
	pieces []piece
	window int64
	wanted chan []byte
	ended  chan struct{}
}

// piece is data to ask for once as much before it was used.
type piece struct {
	data  []byte
	after int64
}

// aheadPiece is how much is asked for at once.
const aheadPiece = 8 << 20

// NewAhead prepares to read tensors in the order given, window bytes ahead of what [Ahead.Used] tells. Close must be called
// before their source is closed.
func NewAhead(window int64, tensors ...Tensor) *Ahead { return newAhead(adviseAhead, window, tensors) }

// newAhead asks by advise, which may wait for the disk when that has enough to do.
func newAhead(advise func([]byte), window int64, tensors []Tensor) *Ahead {
	a := &Ahead{window: window, ended: make(chan struct{})}
	var before int64
	for _, t := range tensors {
		for _, data := range t.files() {
			for at := 0; at < len(data); at += aheadPiece {
				a.pieces = append(a.pieces, piece{data[at:min(at+aheadPiece, len(data))], before})
			}
		}
		before += t.Size()
	}
	a.wanted = make(chan []byte, len(a.pieces))
	go func() {
		defer close(a.ended)
		for data := range a.wanted {
			advise(data)
		}
	}()
	a.Used(0)
	return a
}

// Used tells how many bytes of the tensors have been used so far, in the sense of [Tensor.Size].
func (a *Ahead) Used(n int64) {
	for len(a.pieces) > 0 && a.pieces[0].after < n+a.window {
		a.wanted <- a.pieces[0].data // there is room for all
		a.pieces = a.pieces[1:]
	}
}

// Close ends the reading ahead and waits for what was asked for.
func (a *Ahead) Close() {
	close(a.wanted)
	for range a.wanted { // what was not asked for yet need not be
	}
	<-a.ended
}

// files are the bytes of files that t is made of.
func (t Tensor) files() [][]byte {
	if !t.Computed() {
		return [][]byte{t.Data}
	}
	var all [][]byte
	for _, from := range t.From {
		all = append(all, from.files()...)
	}
	return all
}

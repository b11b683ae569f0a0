package document

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
)

const (
	spoolMemory = 4 << 20 // what OpenReader keeps in memory
	spoolMost   = 8 << 30 // what it takes at all
)

// source is the bytes of a document.
type source struct {
	name string
	at   io.ReaderAt
	size int64
	path string // of a temporary file, to be removed

	mu   sync.Mutex
	file *os.File // nil while the bytes are in memory
}

// reader reads from the start. A file that has become shorter ends in
// io.ErrUnexpectedEOF.
func (s *source) reader() io.Reader {
	return &wholeReader{io.NewSectionReader(s.at, 0, s.size), s.size}
}

type wholeReader struct {
	r    io.Reader
	left int64
}

func (w *wholeReader) Read(p []byte) (int, error) {
	n, err := w.r.Read(p)
	w.left -= int64(n)
	if err == io.EOF && w.left > 0 {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

// error is a failed read of the source.
func (s *source) error(err error) error {
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
		return &Error{Name: s.name, Kind: ErrChanged, What: "the file became shorter while it was read", Way: "open it again"}
	}
	return readError(s.name, err)
}

// spool reads r to its end.
func spool(ctx context.Context, r io.Reader, name string) (*source, error) {
	r = contextReader{ctx, r}
	var head bytes.Buffer
	n, err := io.Copy(&head, io.LimitReader(r, spoolMemory+1))
	if err != nil {
		return nil, spoolError(ctx, name, err)
	}
	if n <= spoolMemory {
		return &source{name: name, at: bytes.NewReader(head.Bytes()), size: n}, nil
	}
	s := &source{name: name}
	if err := s.toFile(&head); err != nil {
		return nil, err
	}
	more, err := io.Copy(s.file, io.LimitReader(r, spoolMost-n+1))
	if err != nil {
		s.close()
		return nil, spoolError(ctx, name, err)
	}
	if s.size = n + more; s.size > spoolMost {
		s.close()
		return nil, &Error{Name: name, Kind: ErrTooLarge, What: fmt.Sprintf("there is no end after %d GiB", spoolMost>>30), Way: "save it as a file and open that"}
	}
	return s, nil
}

func spoolError(ctx context.Context, name string, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return readError(name, err)
}

// toFile writes r to a temporary file that only this process can reach.
func (s *source) toFile(r io.Reader) error {
	f, err := os.CreateTemp("", "kestrel-*")
	if err != nil {
		return fmt.Errorf("%s: make a temporary file: %w", s.name, err)
	}
	if os.Remove(f.Name()) != nil { // where open files have to keep their names
		s.path = f.Name()
	}
	s.file, s.at = f, f
	if _, err := io.Copy(f, r); err != nil {
		s.close()
		return fmt.Errorf("%s: write a temporary file: %w", s.name, err)
	}
	return nil
}

// asFile is the source as a file, for another process.
func (s *source) asFile() (*os.File, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.file == nil {
		if err := s.toFile(s.reader()); err != nil {
			return nil, err
		}
	}
	return s.file, nil
}

func (s *source) close() error {
	if s.file == nil {
		return nil
	}
	err := s.file.Close()
	if s.path != "" {
		err = errors.Join(err, os.Remove(s.path))
	}
	return err
}

// contextReader stops between reads.
type contextReader struct {
	ctx context.Context
	r   io.Reader
}

func (c contextReader) Read(p []byte) (int, error) {
	if c.ctx.Err() != nil {
		return 0, context.Cause(c.ctx)
	}
	return c.r.Read(p)
}

package document

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

const (
	// startTimeout is for the first start of all, which compiles the PDF reader.
	startTimeout = 5 * time.Minute
	pageTimeout  = time.Minute
	frameBytes   = 64 << 20 // most of a page's text
)

// openPDF starts an extractor, which also finds out whether there is any text.
func (d *Document) openPDF(ctx context.Context, o Options) error {
	if len(o.Extractor) == 0 {
		self, err := os.Executable()
		if err != nil {
			return fmt.Errorf("%s: find this program to start the PDF reader: %w", d.Name, err)
		}
		o.Extractor = []string{self, extractor}
	}
	if o.CacheDir == "" {
		dir, err := os.UserCacheDir()
		if err != nil {
			return fmt.Errorf("%s: find a folder for the compiled PDF reader: %w", d.Name, err)
		}
		o.CacheDir = filepath.Join(dir, "kestrel")
	}
	if o.PageTimeout == 0 {
		o.PageTimeout = pageTimeout
	}
	found := false
	d.read = func(ctx context.Context, yield func(Section) bool) error {
		return d.readPDF(ctx, o, nil, yield)
	}
	err := d.readPDF(ctx, o, func(f frame) { d.Pages, d.Title = f.Pages, f.Title }, func(s Section) bool {
		found = strings.TrimSpace(s.Text) != ""
		return !found && ctx.Err() == nil
	})
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err == nil && !found {
		return d.fail(ErrNoText, fmt.Sprintf("there is no text on its %d pages, only pictures (a scan?)", d.Pages), "run text recognition over it first: ocrmypdf FILE text.pdf")
	}
	return err
}

// readPDF runs an extractor on the file and passes its pages on. However the
// extractor ends, crashes, hangs or floods, readPDF returns.
func (d *Document) readPDF(ctx context.Context, o Options, head func(frame), yield func(Section) bool) error {
	in, err := d.src.asFile()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	args := append(append([]string(nil), o.Extractor[1:]...), "--cache", filepath.Join(o.CacheDir, "pdf"))
	cmd := exec.CommandContext(ctx, o.Extractor[0], args...)
	cmd.Stdin = in
	var said tail
	cmd.Stderr = &said
	cmd.WaitDelay = 5 * time.Second
	out, err := cmd.StdoutPipe()
	if err != nil {
		return fmt.Errorf("%s: start the PDF reader: %w", d.Name, err)
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("%s: start the PDF reader: %w", d.Name, err)
	}
	p := pages{d: d, o: o, in: bufio.NewReaderSize(out, 64<<10), cancel: cancel, head: head, yield: yield}
	err = p.read()
	cancel()
	wait := cmd.Wait()
	if errors.Is(err, errCrashed) {
		return &Error{Name: d.Name, Kind: ErrBroken, What: fmt.Sprintf("the PDF reader broke down on it after page %d of %d", p.page, p.total),
			Way: "open and save it with another program, or print it to a new PDF", Err: fmt.Errorf("%w %s", wait, strings.TrimSpace(said.String()))}
	}
	return err
}

var errCrashed = errors.New("the PDF reader ended early")

// pages reads what an extractor writes.
type pages struct {
	d      *Document
	o      Options
	in     *bufio.Reader
	cancel func()
	head   func(frame)
	yield  func(Section) bool

	page, total int
	unread      int // pages that failed
	why         string
}

func (p *pages) read() error {
	limit := startTimeout
	for {
		f, err := p.next(limit)
		if err != nil {
			return err
		}
		limit = p.o.PageTimeout
		switch {
		case f.Ready:
		case f.Kind == "encrypted":
			return p.d.fail(ErrEncrypted, "this PDF is protected by a password", "save it without one, for instance: qpdf --decrypt --password=PASSWORD FILE open.pdf")
		case f.Kind == "broken":
			return &Error{Name: p.d.Name, Kind: ErrBroken, What: "this PDF is damaged or cut short", Way: "fetch it again, or open it in another program and print it to a new PDF", Err: errors.New(f.Error)}
		case f.Kind != "":
			return &Error{Name: p.d.Name, Kind: ErrRead, What: "the PDF reader failed", Way: "open it in another program and print it to a new PDF", Err: errors.New(f.Error)}
		case f.Pages > 0 && p.total == 0:
			p.total = f.Pages
			if p.head != nil {
				p.head(f)
			}
		case f.Page == p.page+1 && f.Page <= p.total:
			p.page = f.Page
			if f.Error != "" {
				p.unread++
				p.why = f.Error
			}
			s := Section{Page: f.Page, Text: f.Text, Problem: f.Error, Done: int64(f.Page), Total: int64(p.total)}
			if s.Text != "" {
				s.Text += "\n\n"
			}
			if !p.yield(s) {
				return nil
			}
		case f.Done && p.page == p.total && p.total > 0:
			if p.unread == p.total {
				return &Error{Name: p.d.Name, Kind: ErrBroken, What: "none of its pages could be read",
					Way: "open it in another program and print it to a new PDF", Err: errors.New(p.why)}
			}
			return nil
		default:
			return errCrashed
		}
	}
}

// next waits for a frame. Only the waiting is limited: the one who reads the
// pages may take hours for each.
func (p *pages) next(limit time.Duration) (frame, error) {
	late := false
	done := make(chan struct{})
	timer := time.AfterFunc(limit, func() {
		late = true
		p.cancel()
		close(done)
	})
	var f frame
	line, err := p.line()
	if !timer.Stop() {
		<-done
	}
	switch {
	case late:
		return f, p.d.fail(ErrTimeout, fmt.Sprintf("page %d took longer than %v to read", p.page+1, limit), "open it in another program and print it to a new PDF")
	case errors.Is(err, errLong):
		return f, p.d.fail(ErrTooLarge, fmt.Sprintf("page %d has more than %d MiB of text", p.page+1, frameBytes>>20), "split it into several files")
	case err != nil || json.Unmarshal(line, &f) != nil:
		return f, errCrashed
	}
	return f, nil
}

var errLong = errors.New("a line without end")

// line reads a line of bounded length.
func (p *pages) line() ([]byte, error) {
	var line []byte
	for {
		part, err := p.in.ReadSlice('\n')
		line = append(line, part...)
		switch {
		case err == nil:
			return line, nil
		case err != bufio.ErrBufferFull:
			return nil, err
		case len(line) > frameBytes:
			return nil, errLong
		}
	}
}

// tail keeps the last of what is written to it.
type tail struct{ bytes.Buffer }

func (t *tail) Write(p []byte) (int, error) {
	n := len(p)
	if t.Len() > 4096 {
		t.Reset()
	}
	t.Buffer.Write(p[max(0, len(p)-4096):])
	return n, nil
}

var _ io.Writer = (*tail)(nil)

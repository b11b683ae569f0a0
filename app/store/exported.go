package store

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"
)

// readExport reads an export conversation by conversation and checks it. each is
// given every one as the store may keep it, and how many bytes were read by then.
func readExport(r *source, each func(e *exportedConversation, read int64) error) error {
	d := json.NewDecoder(r)
	var head exported
	if err := expect(d, r, '{'); err != nil {
		return err
	}
	seen := map[string]bool{}
	for d.More() {
		token, err := d.Token()
		if err != nil {
			return badJSON(r.err, err, 0)
		}
		key, _ := token.(string) // as all keys are
		switch at := d.InputOffset(); key {
		case "format":
			err = badJSON(r.err, d.Decode(&head.Format), at)
		case "version":
			err = badJSON(r.err, d.Decode(&head.Version), at)
		case "exported":
			err = badJSON(r.err, d.Decode(&head.Exported), at)
		case "conversations":
			if seen[key] {
				return invalid("the conversations stand in it twice")
			}
			if seen["format"] && seen["version"] { // else it is checked at the end
				err = head.check()
			}
			if err == nil {
				err = readConversations(d, r, each)
			}
		default:
			err = skip(d, r)
		}
		if err != nil {
			return err
		}
		seen[key] = true
	}
	if err := expect(d, r, '}'); err != nil {
		return err
	}
	if _, err := d.Token(); err != io.EOF {
		if r.err != nil {
			return r.err
		}
		return invalid("something follows the conversations")
	}
	return head.check()
}

// check says whether this program knows the form of an export.
func (in *exported) check() error {
	switch {
	case in.Format != exportFormat:
		return &Error{Kind: ErrInvalid, Problem: "the file is not one of Kestrel's conversations", Way: "choose a .json file that Kestrel exported"}
	case in.Version > exportVersion:
		return &Error{Kind: ErrNewer, Problem: fmt.Sprintf("a newer Kestrel wrote the file (form %d; this program knows up to %d)", in.Version, exportVersion),
			Way: "update Kestrel"}
	case in.Version < 1:
		return invalid(fmt.Sprintf("form %d is unknown", in.Version))
	}
	return nil
}

func readConversations(d *json.Decoder, r *source, each func(e *exportedConversation, read int64) error) error {
	token, err := d.Token()
	if err != nil {
		return badJSON(r.err, err, 0)
	}
	if token == nil { // null: there are none
		return nil
	}
	if token != json.Delim('[') {
		return invalid(fmt.Sprintf("at byte %d something else was expected", d.InputOffset()))
	}
	for n := 1; d.More(); n++ {
		var e exportedConversation
		at := d.InputOffset()
		if err := d.Decode(&e); err != nil {
			return badJSON(r.err, err, at)
		}
		if err := e.normalize(); err != nil {
			return invalid(fmt.Sprintf("conversation %d: %v", n, err))
		}
		if err := each(&e, d.InputOffset()); err != nil {
			return err
		}
	}
	return expect(d, r, ']')
}

// expect reads a bracket.
func expect(d *json.Decoder, r *source, want json.Delim) error {
	token, err := d.Token()
	if err != nil {
		return badJSON(r.err, err, 0)
	}
	if token != want {
		return invalid(fmt.Sprintf("at byte %d something else was expected", d.InputOffset()))
	}
	return nil
}

// skip reads past a value, however large.
func skip(d *json.Decoder, r *source) error {
	for depth := 0; ; {
		token, err := d.Token()
		if err != nil {
			return badJSON(r.err, err, 0)
		}
		switch token {
		case json.Delim('{'), json.Delim('['):
			depth++
		case json.Delim('}'), json.Delim(']'):
			depth--
		}
		if depth == 0 {
			return nil
		}
	}
}

// source reads until its context ends, and remembers why nothing more came, to
// tell a file that cannot be read from one that makes no sense.
type source struct {
	ctx context.Context
	r   io.Reader
	err error
}

func (s *source) Read(p []byte) (int, error) {
	if s.err = s.ctx.Err(); s.err != nil {
		return 0, s.err
	}
	n, err := s.r.Read(p)
	if err != nil && err != io.EOF {
		s.err = err
	}
	return n, err
}

// badJSON says where a text is wrong, and nothing of what it says; at is where
// what was to be read began.
func badJSON(reading, err error, at int64) error {
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	switch {
	case err == nil:
		return nil
	case reading != nil:
		return reading
	case errors.As(err, &syntax):
		return invalid(fmt.Sprintf("the file is damaged at byte %d", syntax.Offset))
	case errors.As(err, &kind):
		return invalid(fmt.Sprintf("at byte %d something else was expected", at+kind.Offset))
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return invalid("the file ends too early")
	}
	return invalid("a time in it is none") // the only type here that reads itself
}

// normalize checks a conversation and brings times and states of work to what
// the store keeps.
func (c *exportedConversation) normalize() error {
	if bytes.Equal(c.Sampling, []byte("null")) {
		c.Sampling = nil
	}
	if len(c.Sampling) > 0 {
		var compact bytes.Buffer
		if err := json.Compact(&compact, c.Sampling); err != nil {
			return errors.New("its sampling settings are damaged")
		}
		c.Sampling = compact.Bytes()
	}
	at := map[string]int{}
	for i := range c.Messages {
		m := &c.Messages[i]
		if _, ok := at[m.ID]; ok || m.ID == "" {
			return fmt.Errorf("message %d has no id of its own", i+1)
		}
		at[m.ID] = i
		switch {
		case m.Role != User && m.Role != Assistant && m.Role != System:
			return fmt.Errorf("message %d is by nobody", i+1)
		case m.Status == Pending || m.Status == Streaming:
			m.Status = Stopped
		case m.Status != Done && m.Status != Stopped && m.Status != Failed:
			return fmt.Errorf("message %d has no status", i+1)
		}
		if m.Tokens < 0 || m.FirstToken < 0 || m.Duration < 0 {
			return fmt.Errorf("message %d has a count below zero", i+1)
		}
	}
	if err := c.checkTree(at); err != nil {
		return err
	}
	for i, m := range c.Messages {
		if _, ok := at[m.Answers]; !ok && m.Answers != "" {
			return fmt.Errorf("message %d answers one that is not there", i+1)
		}
	}
	for i := range c.Documents {
		d := &c.Documents[i]
		if _, ok := at[d.Message]; !ok && d.Message != "" {
			return fmt.Errorf("document %d came with a message that is not there", i+1)
		}
		if d.Status == DocumentWaiting || d.Status == DocumentReading {
			d.Status = DocumentPaused
		}
		if !validDocument(d.Status) {
			return fmt.Errorf("document %d has no status", i+1)
		}
		if min(d.Size, int64(d.Pages), int64(d.Words), int64(d.Tokens), int64(d.TokensRead), int64(d.SummaryWords), int64(d.Trained)) < 0 {
			return fmt.Errorf("document %d has a count below zero", i+1)
		}
	}
	times := []*time.Time{&c.Created, &c.Updated}
	for i := range c.Messages {
		times = append(times, &c.Messages[i].Created)
	}
	for i := range c.Documents {
		times = append(times, &c.Documents[i].Created)
	}
	for _, t := range times {
		*t = timeOf(t.UnixMilli())
		if y := t.Year(); y < 0 || y > 9999 { // JSON has no others: it could not be exported again
			return errors.New("it has a time that is none")
		}
	}
	return nil
}

// checkTree makes sure that every message leads to a first one, and that the
// leaf is one of them.
func (c *exportedConversation) checkTree(at map[string]int) error {
	rooted := make([]bool, len(c.Messages))
	for i := range c.Messages {
		var way []int
		for k := i; !rooted[k]; {
			way = append(way, k)
			if len(way) > len(c.Messages) {
				return fmt.Errorf("message %d answers itself", i+1)
			}
			parent := c.Messages[k].Parent
			if parent == "" {
				break
			}
			next, ok := at[parent]
			if !ok {
				return fmt.Errorf("message %d answers one that is not there", k+1)
			}
			k = next
		}
		for _, k := range way {
			rooted[k] = true
		}
	}
	if _, ok := at[c.Leaf]; !ok && c.Leaf != "" {
		return errors.New("its last message is not there")
	}
	if c.Leaf == "" && len(c.Messages) > 0 {
		c.Leaf = c.Messages[len(c.Messages)-1].ID
	}
	return nil
}

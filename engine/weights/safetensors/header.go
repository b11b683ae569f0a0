package safetensors

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"unicode/utf8"

	"kestrel/engine/weights"
)

const (
	maxHeader = 100_000_000 // as the reference implementation
	maxDims   = 16
	maxCount  = 1 << 18 // tensors of one file, more than any model's
)

// parse reads a file's header and returns its tensors in the order of their
// bytes, and its __metadata__.
func parse(file string, data []byte) ([]weights.Tensor, map[string]string, error) {
	fail := func(format string, args ...any) error {
		return &weights.FileError{Kind: weights.ErrBadModel, File: file, Problem: fmt.Sprintf(format, args...),
			Way: "the file is damaged or not in the safetensors format; download it again"}
	}
	if len(data) < 8 {
		return nil, nil, fail("%d bytes, too short for a safetensors file", len(data))
	}
	length, rest := binary.LittleEndian.Uint64(data), data[8:]
	switch {
	case length > maxHeader:
		return nil, nil, fail("header of %d bytes, more than the %d allowed", length, maxHeader)
	case length > uint64(len(rest)):
		return nil, nil, fail("header of %d bytes, but only %d follow: the file is cut short", length, len(rest))
	}
	header, body := rest[:length], rest[length:]
	if !utf8.Valid(header) {
		return nil, nil, fail("header is not UTF-8")
	}
	if len(header) == 0 || header[0] != '{' {
		return nil, nil, fail("header is not a JSON object")
	}

	var entries []entry
	var meta map[string]string
	err := eachMember(header, func(dec *json.Decoder, name string) error {
		if name == "__metadata__" {
			if meta != nil {
				return errors.New("__metadata__ is there twice")
			}
			if err := dec.Decode(&meta); err != nil {
				return fmt.Errorf("__metadata__: %w", err)
			}
			return nil
		}
		e := entry{name: name}
		if err := e.read(dec); err != nil {
			return fmt.Errorf("tensor %s: %w", show(name), err)
		}
		if entries = append(entries, e); len(entries) > maxCount {
			return fmt.Errorf("more than %d tensors", maxCount)
		}
		return nil
	})
	if err != nil {
		return nil, nil, fail("header: %v", err)
	}
	if name, ok := duplicate(entries); ok {
		return nil, nil, fail("header: %s is there twice", show(name))
	}

	slices.SortStableFunc(entries, func(a, b entry) int {
		if a.begin != b.begin {
			return compare(a.begin, b.begin)
		}
		return compare(a.end, b.end)
	})
	tensors := make([]weights.Tensor, 0, len(entries))
	var at int64 // everything before it is taken
	for _, e := range entries {
		t, err := e.tensor(file, body, at)
		if err != nil {
			return nil, nil, &weights.FileError{Kind: weights.ErrBadModel, File: file, Tensor: e.name, Problem: err.Error(),
				Way: "download the file again"}
		}
		tensors = append(tensors, t)
		at = e.end
	}
	if at != int64(len(body)) {
		return nil, nil, fail("tensors take %d bytes, but the file has %d for them", at, len(body))
	}
	return tensors, meta, nil
}

// duplicate finds a name that two entries have.
func duplicate(entries []entry) (string, bool) {
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = e.name
	}
	slices.Sort(names)
	for i := 1; i < len(names); i++ {
		if names[i] == names[i-1] {
			return names[i], true
		}
	}
	return "", false
}

// entry is one tensor as the header states it.
type entry struct {
	name, dtype string
	shape       []int64
	begin, end  int64
}

func (e *entry) read(dec *json.Decoder) error {
	var offsets []int64
	var dtypes, shapes, ranges int // how often each member is there
	err := members(dec, func(key string) (err error) {
		count := new(int)
		switch key {
		case "dtype":
			count, err = &dtypes, dec.Decode(&e.dtype)
		case "shape":
			count = &shapes
			e.shape, err = integers(dec, maxDims)
		case "data_offsets":
			count = &ranges
			offsets, err = integers(dec, 2)
		default:
			err = fmt.Errorf("unknown member %s", show(key))
		}
		if *count++; err == nil && *count > 1 {
			err = fmt.Errorf("%s is there twice", show(key))
		}
		return err
	})
	switch {
	case err != nil:
		return err
	case e.dtype == "" || e.shape == nil || offsets == nil:
		return errors.New("needs dtype, shape and data_offsets")
	case len(offsets) != 2:
		return fmt.Errorf("data_offsets has %d numbers, expected 2", len(offsets))
	}
	e.begin, e.end = offsets[0], offsets[1]
	return nil
}

// integers reads an array of at most limit numbers; nil for null.
func integers(dec *json.Decoder, limit int) (list []int64, err error) {
	var text json.RawMessage
	if err := dec.Decode(&text); err != nil {
		return nil, err
	}
	if n := bytes.Count(text, []byte{','}) + 1; n > limit {
		return nil, fmt.Errorf("%d numbers where at most %d are allowed", n, limit)
	}
	err = json.Unmarshal(text, &list)
	return list, err
}

// tensor checks the entry against the bytes it names. The tensors before it
// end at offset at.
func (e *entry) tensor(file string, body []byte, at int64) (weights.Tensor, error) {
	t := weights.Tensor{Name: e.name, File: file}
	var ok bool
	if t.DType, ok = weights.ParseDType(e.dtype); !ok || t.DType.Quantized() {
		return t, fmt.Errorf("unknown dtype %s", show(e.dtype))
	}
	elements := int64(1)
	for _, d := range e.shape {
		if d < 0 || d > math.MaxInt32 || d > 0 && elements > math.MaxInt64/16/d {
			return t, fmt.Errorf("impossible shape %v", e.shape)
		}
		elements *= d
		t.Shape = append(t.Shape, int(d))
	}
	switch {
	case e.begin < 0 || e.end < e.begin || e.end > int64(len(body)):
		return t, fmt.Errorf("bytes %d to %d lie outside the file, which has %d for tensors", e.begin, e.end, len(body))
	case e.begin < at:
		return t, fmt.Errorf("bytes %d to %d overlap the tensor before, which ends at %d", e.begin, e.end, at)
	case e.begin > at:
		return t, fmt.Errorf("begins at byte %d, but the tensor before ends at %d", e.begin, at)
	}
	if want := elements * int64(t.DType.BlockBytes()); want != e.end-e.begin {
		return t, fmt.Errorf("shape %s of %v takes %d bytes, found %d", weights.ShapeString(t.Shape), t.DType, want, e.end-e.begin)
	}
	t.Data = body[e.begin:e.end:e.end]
	return t, nil
}

// eachMember calls f with the decoder before the value of each member of the
// one JSON object that data must be.
func eachMember(data []byte, f func(dec *json.Decoder, name string) error) error {
	dec := json.NewDecoder(bytes.NewReader(data))
	if err := members(dec, func(key string) error { return f(dec, key) }); err != nil {
		return err
	}
	if rest := bytes.TrimRight(data[dec.InputOffset():], " \t\r\n"); len(rest) != 0 {
		return fmt.Errorf("%d bytes follow the JSON object", len(rest))
	}
	return nil
}

// members reads an object by its tokens: unlike decoding to a map, this sees
// a name that is there twice.
func members(dec *json.Decoder, f func(key string) error) error {
	if tok, err := dec.Token(); err != nil {
		return err
	} else if tok != json.Delim('{') {
		return fmt.Errorf("expected a JSON object, found %v", tok)
	}
	for dec.More() {
		tok, err := dec.Token()
		if err != nil {
			return err
		}
		if err := f(tok.(string)); err != nil { // the decoder allows only strings here
			return err
		}
	}
	_, err := dec.Token()
	return err
}

func compare(a, b int64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

func show(s string) string {
	if len(s) > 120 {
		return fmt.Sprintf("%q…", s[:120])
	}
	return fmt.Sprintf("%q", s)
}

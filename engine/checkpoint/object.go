package checkpoint

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"kestrel/engine/weights"
)

// object is a JSON object with typed access. The first error is kept in err;
// after it every getter returns its default.
type object struct {
	file   string
	fields map[string]json.RawMessage
	err    error
}

func parseObject(file string, data []byte) (*object, error) {
	o := &object{file: file}
	if err := json.Unmarshal(plainJSON(data), &o.fields); err != nil || o.fields == nil {
		if err == nil {
			err = errors.New("expected an object, found null")
		}
		return nil, &weights.FileError{Kind: weights.ErrBadModel, File: file, Problem: "not valid JSON", Cause: err, Way: "download it again"}
	}
	return o, nil
}

// readObject is parseObject for a file that need not be there: then nil.
func readObject(folder weights.Folder, name string) (*object, error) {
	data, err := folder.Read(name, maxConfig)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return parseObject(folder.File(name), data)
}

// plainJSON turns the literals NaN and Infinity, which Python writes and JSON
// lacks, into null: no key that Kestrel reads can hold them.
func plainJSON(data []byte) []byte {
	var out []byte // nil until something is replaced
	inString, last := false, 0
	for i := 0; i < len(data); i++ {
		switch c := data[i]; {
		case inString && c == '\\':
			i++
		case c == '"':
			inString = !inString
		case !inString && (c == 'N' || c == 'I' || c == '-'):
			for _, word := range []string{"NaN", "Infinity", "-Infinity"} {
				if strings.HasPrefix(string(data[i:min(len(data), i+len(word))]), word) {
					out = append(append(out, data[last:i]...), "null"...)
					i += len(word) - 1
					last = i + 1
					break
				}
			}
		}
	}
	if out == nil {
		return data
	}
	return append(out, data[last:]...)
}

func (o *object) fail(kind error, problem, way string) {
	if o.err == nil {
		o.err = &weights.FileError{Kind: kind, File: o.file, Problem: problem, Way: way}
	}
}

// has reports whether the key is there and not null.
func (o *object) has(key string) bool {
	v, ok := o.fields[key]
	return ok && string(v) != "null"
}

// get decodes the key's value into v, which is left alone when it is absent.
func (o *object) get(key, expected string, v any) bool {
	if o.err != nil || !o.has(key) {
		return false
	}
	if err := json.Unmarshal(o.fields[key], v); err != nil {
		o.fail(weights.ErrBadModel, fmt.Sprintf("%s: expected %s, found %s", key, expected, shorten(o.fields[key])), "")
		return false
	}
	return true
}

func shorten(v []byte) string {
	if len(v) > 60 {
		return string(v[:60]) + "…"
	}
	return string(v)
}

func (o *object) integer(key string, absent int) int {
	n := absent
	if !o.get(key, "an integer", &n) {
		return absent
	}
	return n
}

// size is a positive integer; 0 when absent.
func (o *object) size(key string) int {
	n := o.integer(key, 0)
	if o.err == nil && o.has(key) && n <= 0 {
		o.fail(weights.ErrBadModel, fmt.Sprintf("%s: expected a positive integer, found %d", key, n), "")
	}
	return n
}

// rank is a size that "auto" leaves to the tensors.
func (o *object) rank(key string) int {
	if string(o.fields[key]) == `"auto"` {
		return 0
	}
	return o.size(key)
}

// tokenID is an id; -1, for none, where the key is there and null.
func (o *object) tokenID(key string, absent int) int {
	if v, ok := o.fields[key]; ok && string(v) == "null" {
		return -1
	}
	return max(-1, o.integer(key, absent))
}

// tokenIDs is an id or a list of them; empty where the key is there and null.
func (o *object) tokenIDs(key string, absent []int) []int {
	v, ok := o.fields[key]
	switch {
	case !ok:
		return absent
	case strings.HasPrefix(string(v), "["):
		var list []int
		o.get(key, "an id or a list of ids", &list)
		return list
	}
	if id := o.tokenID(key, -1); id >= 0 {
		return []int{id}
	}
	return nil
}

func (o *object) number(key string) (v float64, ok bool) {
	ok = o.get(key, "a number", &v)
	return v, ok
}

func (o *object) epsilon(key string, absent float32) float32 {
	v, ok := o.number(key)
	if !ok {
		return absent
	}
	if !(v >= 0 && v < 1) {
		o.fail(weights.ErrBadModel, fmt.Sprintf("%s: expected a number from 0 up to 1, found %v", key, v), "")
		return absent
	}
	return float32(v)
}

func (o *object) boolean(key string, absent bool) bool {
	b := absent
	if !o.get(key, "true or false", &b) {
		return absent
	}
	return b
}

func (o *object) text(key, absent string) string {
	s := absent
	if !o.get(key, "a string", &s) {
		return absent
	}
	return s
}

func (o *object) texts(key string) []string {
	var list []string
	o.get(key, "a list of strings", &list)
	return list
}

// object returns a nested object, empty when absent.
func (o *object) object(key string) *object {
	sub := &object{file: o.file}
	o.get(key, "an object", &sub.fields)
	return sub
}

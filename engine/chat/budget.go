package chat

import (
	"fmt"
	"io"
	"reflect"
	"time"

	"github.com/nikolalohinski/gonja/v2/exec"
)

// Bounds on one rendering. Published templates stay far below all of them.
const (
	maxSteps  = 1 << 18         // statements, filters and calls executed
	maxTime   = 5 * time.Second // of the clock
	maxItems  = 1 << 16         // items of one list
	maxDepth  = 32              // nested values, nested macro calls
	baseBytes = 1 << 20         // output and values of any conversation …
	perByte   = 16              // … and this much for each byte of it
)

// budget counts what one rendering has used up. Every hook into the library
// asks it, so no loop, macro or filter goes on without it.
type budget struct {
	steps    int
	written  int
	bytes    int // the most that may be written, and that values may hold
	depth    int
	deadline time.Time
	loops    int // names for loop values
}

func newBudget(msgs []Message) *budget {
	n := 0
	for _, m := range msgs {
		n += len(m.Role) + len(m.Content)
	}
	return &budget{bytes: baseBytes + perByte*n, deadline: time.Now().Add(maxTime)}
}

// The methods below end the rendering by stop where a bound is passed.

// step takes n steps.
func (b *budget) step(n int) {
	b.steps += n
	if b.steps > maxSteps {
		stop(fmt.Errorf("%w: more than %d steps; the template may loop without end", ErrLimit, maxSteps))
	}
	if time.Now().After(b.deadline) {
		stop(fmt.Errorf("%w: more than %v; the template may loop without end", ErrLimit, maxTime))
	}
}

// fits checks the size of the values given, and that none contains itself.
func (b *budget) fits(values ...*exec.Value) {
	left := b.bytes
	for _, v := range values {
		b.measure(v, &left, 0)
	}
}

func (b *budget) measure(v *exec.Value, left *int, depth int) {
	if v == nil || v.IsNil() || v.IsError() {
		return
	}
	if depth > maxDepth {
		stop(fmt.Errorf("%w: a value nested more than %d deep", ErrLimit, maxDepth))
	}
	// 16 bytes an item, whatever it holds: empty items are not free
	*left -= 16
	var items []*exec.Value
	switch x := v.Interface().(type) {
	case string:
		*left -= len(x)
	case *exec.Dict:
		for _, p := range x.Pairs {
			items = append(items, p.Key, p.Value)
		}
	default:
		r := reflect.Indirect(v.Val)
		switch r.Kind() {
		case reflect.String:
			*left -= r.Len()
		case reflect.Slice, reflect.Array:
			b.length(r.Len())
			for i := range r.Len() {
				items = append(items, exec.ToValue(r.Index(i)))
			}
		case reflect.Map:
			for it := r.MapRange(); it.Next(); {
				items = append(items, exec.ToValue(it.Key()), exec.ToValue(it.Value()))
			}
		}
	}
	if *left < 0 {
		stop(fmt.Errorf("%w: a value of more than %d bytes", ErrLimit, b.bytes))
	}
	for _, item := range items {
		b.measure(item, left, depth+1)
	}
}

// length checks the length of a list.
func (b *budget) length(n int) {
	if n > maxItems {
		stop(fmt.Errorf("%w: a list of more than %d items", ErrLimit, maxItems))
	}
}

// grow checks the size of a text before it is made.
func (b *budget) grow(n int) {
	if n < 0 || n > b.bytes {
		stop(fmt.Errorf("%w: a value of more than %d bytes", ErrLimit, b.bytes))
	}
}

// refusal is a reason to end the rendering. It travels as a panic, since the
// library reports errors as text and takes some of them for values.
type refusal struct{ error }

// stop ends the rendering from within the library; rescue takes it up.
func stop(err error) { panic(refusal{err}) }

// rescue turns a panic into an error: one of stop's, or the library's own (an
// index or a conversion it did not expect).
func rescue(err *error) {
	switch r := recover().(type) {
	case nil:
	case refusal:
		*err = r.error
	default:
		*err = fmt.Errorf("%w: the template engine failed on it: %v", ErrTemplate, r)
	}
}

// writer bounds what is written, of the final text and of macros' results.
type writer struct {
	to     io.Writer
	budget *budget
}

func (w *writer) Write(p []byte) (int, error) {
	w.budget.written += len(p)
	if w.budget.written > w.budget.bytes {
		stop(fmt.Errorf("%w: more than %d bytes of output", ErrLimit, w.budget.bytes))
	}
	return w.to.Write(p)
}

// bounded returns to, bounded by the budget.
func (b *budget) bounded(to io.Writer) io.Writer {
	if _, ok := to.(*writer); ok {
		return to
	}
	return &writer{to, b}
}

package engine

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"kestrel/engine/tokenizer"
)

// output makes text of the tokens of one generation, and knows when it ends.
type output struct {
	start   time.Time
	stops   []int
	max     int
	decoder *tokenizer.Decoder
	text    stopper
	enough  func(id int) bool // may be nil
	r       Result
	emitErr error
}

func (m *Model) newOutput(o GenerateOptions, emit func(string) error) *output {
	out := &output{start: time.Now(), stops: slices.Clone(o.StopIDs), max: o.Max, decoder: m.tokenizer.NewDecoder(true),
		text: stopper{stops: o.StopStrings, emit: emit}, enough: o.Enough}
	if !o.IgnoreEOS {
		out.stops = append(out.stops, m.StopIDs()...)
	}
	return out
}

// ended reports whether no more tokens are wanted.
func (o *output) ended() bool {
	if o.r.Reason == "" && o.max > 0 && o.r.Tokens >= o.max {
		o.r.Reason = ReasonLength
	}
	return o.r.Reason != "" || o.emitErr != nil
}

// wanted is how many more tokens there may be.
func (o *output) wanted() int {
	if o.max <= 0 {
		return math.MaxInt
	}
	return o.max - o.r.Tokens
}

// take takes the next token.
func (o *output) take(id int) {
	o.r.Tokens++
	if o.r.Tokens == 1 {
		o.r.FirstToken = time.Since(o.start)
	}
	if slices.Contains(o.stops, id) {
		o.r.Reason = ReasonStop
		return
	}
	var found bool
	if found, o.emitErr = o.text.write(o.decoder.Next(id)); found && o.emitErr == nil {
		o.r.Reason = ReasonStopString
	} else if !found && o.emitErr == nil && o.enough != nil && o.enough(id) {
		o.r.Reason = ReasonEnough
	}
}

// finish is what Generate returns; err is why it ended before it was to.
func (o *output) finish(ctx context.Context, err error) (Result, error) {
	if o.r.Reason != ReasonStopString && o.emitErr == nil {
		rest := ""
		if o.r.Reason == ReasonStop {
			rest = o.decoder.Flush()
		}
		var found bool
		if found, o.emitErr = o.text.flush(rest); found {
			o.r.Reason = ReasonStopString
		}
	}
	if o.emitErr != nil {
		o.r.Reason = ""
		err = errors.Join(err, fmt.Errorf("emit: %w", o.emitErr))
	}
	o.r.Text, o.r.Duration = o.text.text.String(), time.Since(o.start)
	if err != nil && ctx.Err() != nil {
		o.r.Reason, err = ReasonCancelled, ctx.Err()
	}
	return o.r, err
}

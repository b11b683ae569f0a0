package library

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"time"

	"kestrel/engine/weights"
)

// statusError is an answer that is no success.
type statusError struct {
	status         int
	host           string
	home, hasToken bool
	code, message  string        // the hub's own words
	after          time.Duration // Retry-After; 0 for none
}

func (e *statusError) Error() string {
	s := fmt.Sprintf("%s answers %d %s", e.host, e.status, http.StatusText(e.status))
	if e.message != "" {
		s += ": " + e.message
	} else if e.code != "" {
		s += ": " + e.code
	}
	return s
}

func (e *statusError) Unwrap() error {
	switch {
	case !e.home:
		return ErrHub
	case e.code == "GatedRepo" || e.status == http.StatusForbidden:
		return ErrDenied
	case e.status == http.StatusNotFound || e.code == "RepoNotFound":
		return ErrNotFound
	case e.status == http.StatusUnauthorized && e.hasToken:
		return ErrDenied
	case e.status == http.StatusUnauthorized: // a hidden repository, or none at all
		return ErrNotFound
	}
	return ErrHub
}

// way is what can be done about it.
func (e *statusError) way(h *hub, repo string) string {
	if !e.home {
		return ""
	}
	switch {
	case e.code == "GatedRepo":
		return "accept its terms at " + h.base.String() + "/" + repo + " and set HF_TOKEN to a token of that account"
	case e.code == "RevisionNotFound" || e.code == "EntryNotFound":
		return "look at " + h.base.String() + "/" + repo
	case e.status == http.StatusNotFound, e.status == http.StatusUnauthorized:
		if e.hasToken {
			return "check the name, and that the token may read it"
		}
		return "check the name; if it is private or gated, set HF_TOKEN"
	case e.status == http.StatusForbidden:
		return "check what the token may read"
	case e.status == http.StatusTooManyRequests:
		return "wait a while, or set HF_TOKEN for a higher limit"
	}
	return ""
}

// retryAfter reads Retry-After, seconds or a date, or else the time that a
// RateLimit header gives until the window ends.
func retryAfter(header http.Header, now time.Time) time.Duration {
	text := strings.TrimSpace(header.Get("Retry-After"))
	if s, err := strconv.ParseInt(text, 10, 32); err == nil {
		return max(0, time.Duration(s)*time.Second)
	}
	if at, err := http.ParseTime(text); err == nil {
		return max(0, at.Sub(now))
	}
	for part := range strings.SplitSeq(header.Get("RateLimit"), ";") {
		if t, ok := strings.CutPrefix(strings.TrimSpace(part), "t="); ok {
			if s, err := strconv.ParseInt(t, 10, 32); err == nil {
				return max(0, time.Duration(s)*time.Second)
			}
		}
	}
	return 0
}

// temporary reports whether another try may do better. The end of the
// context is for the caller to see: time-outs of connections look like it.
func temporary(err error) bool {
	var status *statusError
	if errors.As(err, &status) {
		switch status.status {
		case http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests, http.StatusRequestedRangeNotSatisfiable:
			return status.after <= maxRetry
		case http.StatusNotImplemented:
			return false
		}
		if status.status < 400 { // no answer to what was asked
			return true
		}
		// Elsewhere than at the endpoint addresses expire; the endpoint gives a new one.
		return status.status >= 500 && status.after <= maxRetry || !status.home
	}
	var (
		unknown  x509.UnknownAuthorityError
		hostname x509.HostnameError
		cert     *tls.CertificateVerificationError
		own      *Error
	)
	switch {
	case errors.As(err, &own):
		return own.Kind == ErrHub
	case errors.As(err, &unknown), errors.As(err, &hostname), errors.As(err, &cert):
		return false
	}
	return true
}

// wait pauses before the next try: try 1 is the second. It ends early, with
// the context's cause, when that ends.
func (h *hub) wait(ctx context.Context, try int, err error) error {
	pause := min(h.pause<<min(try-1, 20), maxPause)
	pause = pause/2 + rand.N(pause/2+1) // so that parallel files do not come back together
	var status *statusError
	if errors.As(err, &status) && status.after > pause {
		pause = status.after
	}
	if pause >= time.Second {
		h.waits(Wait{Err: fmt.Errorf("%w: %w", ErrHub, err), Pause: pause.Round(time.Second)})
	}
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C:
		return nil
	}
}

// again runs f until it succeeds, fails for good, or has failed tries times.
func (h *hub) again(ctx context.Context, tries int, f func() error) error {
	for try := 1; ; try++ {
		err := f()
		if err == nil || ctx.Err() != nil || !temporary(err) || try >= tries {
			if err != nil && ctx.Err() != nil {
				return context.Cause(ctx)
			}
			return err
		}
		if err := h.wait(ctx, try, err); err != nil {
			return err
		}
	}
}

// explain makes an error of the hub one for the user.
func (h *hub) explain(ctx context.Context, err error, repo string) error {
	if err == nil || ctx.Err() != nil {
		return context.Cause(ctx)
	}
	var status *statusError
	if errors.As(err, &status) {
		return &Error{Kind: status.Unwrap(), Problem: status.Error(), Way: status.way(h, repo)}
	}
	var own *Error
	if errors.As(err, &own) || errors.Is(err, ErrChoice) || errors.Is(err, weights.ErrUnsupported) || errors.Is(err, weights.ErrBadModel) {
		return err
	}
	return &Error{Kind: ErrHub, Problem: "no answer from " + h.base.Host, Cause: err, Way: "check the connection, and HTTPS_PROXY if you need one; what is here already is kept"}
}

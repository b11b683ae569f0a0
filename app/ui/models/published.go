package models

import (
	"path"
	"strings"

	"kestrel/app/session"
)

// asPublished is a request for the memory of a model that is not here yet: one
// of random weights in its published sizes and precision takes as much. ok is
// false where these are not known.
func asPublished(c session.Choice, r session.LoadRequest) (_ session.LoadRequest, ok bool) {
	if c.Source != session.Published {
		return r, true
	}
	if c.Known == nil {
		return r, false
	}
	shape := strings.TrimSuffix(strings.ToLower(path.Base(c.Known.Ref.Repo)), "-hf")
	if strings.Contains(shape, "mamba-7b") {
		shape = "falcon-mamba-7b" // its tuned ones and Falcon3-Mamba have the same sizes
	}
	precision := r.Quant
	if precision == "" {
		precision = strings.TrimSuffix(strings.ToLower(c.Known.Precision), "_m") // a mixture, mostly of that
	}
	r.Model, r.Quant = "random:"+shape+":"+precision, ""
	return r, true
}

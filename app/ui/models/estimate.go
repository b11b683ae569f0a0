package models

import (
	"fmt"
	"strings"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/widget"

	"kestrel/app/session"
	"kestrel/app/ui/look"
	"kestrel/app/ui/parts"
)

// estimateRows is the memory a model takes, by purpose, and whether it fits.
func estimateRows(e session.Estimate) fyne.CanvasObject {
	rows := parts.Column()
	add := func(what string, bytes int64, bold bool) {
		style := fyne.TextStyle{Bold: bold}
		rows.Add(parts.Pair(parts.Bare(widget.NewLabelWithStyle(what, fyne.TextAlignLeading, style)),
			parts.Bare(widget.NewLabelWithStyle(look.Bytes(bytes), fyne.TextAlignTrailing, style))))
	}
	add(look.T("models.weights"), e.Weights, false)
	add(look.T("models.state"), e.State, false)
	add(look.T("models.scratch"), e.Scratch, false)
	add(look.T("models.staging"), e.Staging, false)
	add(look.T("models.total"), e.Total, true)
	add(look.T("models.reader"), e.Reader, false)
	add(look.T("models.free", DeviceName(e.Device)), e.Budget, true)
	return rows
}

// verdict says in words whether a model fits, and what would where it does not.
func verdict(e session.Estimate) *widget.Label {
	text, importance := look.T("models.fits", look.Bytes(e.Budget-e.OnDevice)), widget.SuccessImportance
	if !e.Fits {
		text, importance = look.T("models.too.big", look.Bytes(e.OnDevice-e.Budget)), widget.WarningImportance
		var smaller []string
		for _, a := range e.Smaller {
			smaller = append(smaller, fmt.Sprintf("%v (%s)", a.Quant, look.Bytes(a.Device)))
		}
		if len(smaller) > 0 {
			text += look.T("models.smaller", strings.Join(smaller, ", "))
		} else {
			text += look.T("models.smaller.none")
		}
	}
	l := parts.Text(text)
	l.Importance = importance
	return l
}

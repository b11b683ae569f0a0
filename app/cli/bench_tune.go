package cli

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// tune measures how the device decodes fastest, and says what was found and where it is kept.
func (a *app) tune(ctx context.Context, mf modelFlags) error {
	o, err := mf.options(a)
	if err != nil {
		return err
	}
	bar := a.progress("tune", "trials")
	t, err := a.Engine.Tune(ctx, o, func(done, total int) { bar.set(int64(done), int64(total)) })
	bar.done()
	if err != nil {
		return err
	}
	var rows []string
	for _, name := range slices.Sorted(maps.Keys(t.Rows)) {
		rows = append(rows, fmt.Sprintf("%s %d", name, t.Rows[name]))
	}
	finer := ""
	if t.Groups > 0 {
		finer = fmt.Sprintf(", fewer where that makes less than %d workgroups", t.Groups)
	}
	_, err = fmt.Fprintf(a.Out, "%s (%s)\n%d lanes a weight row; rows a workgroup: %s%s; several tokens by tiles of %d rows and %d tokens\nkept in %s; delete it to go back\n",
		t.Device, t.Driver, t.Local, strings.Join(rows, ", "), finer, t.ThinRows, t.ThinTokens, t.Path)
	return err
}

package cli

import (
	"context"
	"strings"

	"kestrel/app/document"
)

// openDocument opens a document of any format that is read, or the text on
// standard input for "-", and tells what its reader should know.
func (a *app) openDocument(ctx context.Context, path string, options document.Options) (*document.Document, error) {
	type opened struct {
		d   *document.Document
		err error
	}
	done := make(chan opened, 1)
	go func() {
		var o opened
		if path == "-" {
			o.d, o.err = document.OpenReader(ctx, a.In, "standard input", document.Options{Format: document.Text})
		} else {
			o.d, o.err = document.Open(ctx, path, options)
		}
		done <- o
	}()
	select {
	case o := <-done:
		if o.err != nil {
			return nil, o.err
		}
		for _, note := range o.d.Notes {
			a.note("%s: %s", o.d.Name, note)
		}
		return o.d, nil
	case <-ctx.Done(): // a read that waits goes on, and ends with the program
		return nil, ctx.Err()
	}
}

// wholeText reads all of a text file, or of standard input for "-".
func (a *app) wholeText(ctx context.Context, path string) (string, error) {
	d, err := a.openDocument(ctx, path, document.Options{Format: document.Text})
	if err != nil {
		return "", err
	}
	defer d.Close()
	var text strings.Builder
	for part, err := range d.Sections(ctx) {
		if err != nil {
			return "", err
		}
		text.WriteString(part.Text)
	}
	return text.String(), nil
}

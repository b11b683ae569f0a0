package document

import "context"

// openPDF refuses: PDF comes with the next commit.
func (d *Document) openPDF(context.Context, Options) error {
	return d.fail(ErrFormat, "PDF is not read yet", "turn it into text: pdftotext FILE text.txt")
}

package document

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"time"

	"github.com/klippa-app/go-pdfium"
	pdferrors "github.com/klippa-app/go-pdfium/errors"
	"github.com/klippa-app/go-pdfium/requests"
	"github.com/klippa-app/go-pdfium/webassembly"
	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"
)

// Limits of the process that reads a PDF.
const (
	extractMemory = 1 << 30          // bytes that PDFium may use
	extractCPU    = 30 * time.Minute // even if nobody is left to end it
	memoryPage    = 64 << 10         // of WebAssembly
)

// frame is a line that the extractor writes: the start, a page, or the end.
type frame struct {
	Ready bool   `json:"ready,omitempty"` // the reader has started
	Pages int    `json:"pages,omitempty"` // the file is open
	Title string `json:"title,omitempty"`
	Page  int    `json:"page,omitempty"` // a page, from 1
	Text  string `json:"text,omitempty"`
	Error string `json:"error,omitempty"` // of the page, or of the file
	Kind  string `json:"kind,omitempty"`  // of the file's error: "encrypted", "broken", "internal"
	Done  bool   `json:"done,omitempty"`  // every page was written
}

// extractor is the argument that makes a program the reader of a PDF.
const extractor = "extract-pdf"

// RunExtractor does nothing, unless this process was started to read a PDF: then
// it does so and ends the process. main calls it first, and TestMain of tests
// that open PDFs.
func RunExtractor() {
	if len(os.Args) > 1 && os.Args[1] == extractor {
		// Ctrl-C goes to the whole group; the process that reads us ends us
		signal.Ignore(os.Interrupt)
		os.Exit(serveExtractor(context.Background(), os.Args[2:], os.Stdin, os.Stdout))
	}
}

// serveExtractor is the body of the process that reads a PDF from in, which is a
// file, and writes frames to out; args are the command's. It returns the exit
// code. PDFium runs in WebAssembly without access to files or network.
func serveExtractor(ctx context.Context, args []string, in *os.File, out io.Writer) int {
	flags := flag.NewFlagSet("extract-pdf", flag.ContinueOnError)
	cache := flags.String("cache", "", "folder of the compiled PDF reader")
	if flags.Parse(args) != nil {
		return 2
	}
	limitCPU(extractCPU)
	w := bufio.NewWriter(out)
	enc := json.NewEncoder(w)
	put := func(f frame) error { return errors.Join(enc.Encode(f), w.Flush()) }
	err := extract(ctx, in, *cache, put)
	if err == nil {
		return 0
	}
	f := frame{Error: err.Error(), Kind: "internal"}
	switch {
	case errors.Is(err, pdferrors.ErrPassword), errors.Is(err, pdferrors.ErrSecurity):
		f.Kind = "encrypted"
	case errors.Is(err, pdferrors.ErrFormat), errors.Is(err, pdferrors.ErrFile), errors.Is(err, pdferrors.ErrUnknown), errors.Is(err, pdferrors.ErrPage):
		f.Kind = "broken"
	}
	_ = put(f) // nobody may be left to read it
	return 1
}

func extract(ctx context.Context, in *os.File, cache string, put func(frame) error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("the PDF reader failed: %v", p)
		}
	}()
	info, err := in.Stat()
	if err != nil {
		return err
	}
	config := wazero.NewRuntimeConfig().WithMemoryLimitPages(extractMemory / memoryPage).
		WithCoreFeatures(api.CoreFeaturesV2 | experimental.CoreFeaturesExceptionHandling)
	if cache != "" {
		c, err := wazero.NewCompilationCacheWithDir(cache)
		if err != nil {
			return fmt.Errorf("open the cache of the PDF reader: %w", err)
		}
		defer c.Close(ctx)
		config = config.WithCompilationCache(c)
	}
	pool, err := webassembly.Init(webassembly.Config{
		Context: experimental.WithCompilationWorkers(ctx, 2), MinIdle: 1, MaxIdle: 1, MaxTotal: 1,
		FSConfig: wazero.NewFSConfig(), RuntimeConfig: config, Stdout: io.Discard, Stderr: io.Discard,
	})
	if err != nil {
		return fmt.Errorf("start the PDF reader: %w", err)
	}
	p, err := pool.GetInstance(time.Minute)
	if err != nil {
		return fmt.Errorf("start the PDF reader: %w", err)
	}
	if err := put(frame{Ready: true}); err != nil {
		return err
	}
	opened, err := p.OpenDocument(&requests.OpenDocument{FileReader: io.NewSectionReader(in, 0, info.Size()), FileReaderSize: info.Size()})
	if err != nil {
		return err
	}
	count, err := p.FPDF_GetPageCount(&requests.FPDF_GetPageCount{Document: opened.Document})
	if err != nil {
		return err
	}
	if count.PageCount < 1 {
		return fmt.Errorf("%w: no pages", pdferrors.ErrFormat)
	}
	head := frame{Pages: count.PageCount}
	if meta, err := p.FPDF_GetMetaText(&requests.FPDF_GetMetaText{Document: opened.Document, Tag: "Title"}); err == nil {
		head.Title = meta.Value
	}
	if err := put(head); err != nil {
		return err
	}
	for i := range count.PageCount {
		f := frame{Page: i + 1}
		page := requests.Page{ByIndex: &requests.PageByIndex{Document: opened.Document, Index: i}}
		if f.Text, err = pageText(p, page); err != nil {
			f.Error = err.Error()
		}
		if err := put(f); err != nil {
			return err
		}
	}
	return put(frame{Done: true})
}

// pageText is a page's text as PDFium orders it.
func pageText(p pdfium.Pdfium, page requests.Page) (string, error) {
	loaded, err := p.FPDF_LoadPage(&requests.FPDF_LoadPage{Document: page.ByIndex.Document, Index: page.ByIndex.Index})
	if err != nil {
		return "", err
	}
	defer p.FPDF_ClosePage(&requests.FPDF_ClosePage{Page: loaded.Page})
	text, err := p.FPDFText_LoadPage(&requests.FPDFText_LoadPage{Page: requests.Page{ByReference: &loaded.Page}})
	if err != nil {
		return "", err
	}
	defer p.FPDFText_ClosePage(&requests.FPDFText_ClosePage{TextPage: text.TextPage})
	n, err := p.FPDFText_CountChars(&requests.FPDFText_CountChars{TextPage: text.TextPage})
	if err != nil || n.Count <= 0 {
		return "", err
	}
	got, err := p.FPDFText_GetText(&requests.FPDFText_GetText{TextPage: text.TextPage, StartIndex: 0, Count: n.Count})
	if err != nil {
		return "", err
	}
	return tidyPage(got.Text), nil
}

// tidyPage joins words that a hyphen parts at the end of a line (PDFium marks
// those with U+0002 or U+FFFE) and drops control characters.
func tidyPage(s string) string {
	s = strings.ReplaceAll(strings.ReplaceAll(s, "\r\n", "\n"), "\r", "\n")
	for _, mark := range []string{"\x02", "\ufffe"} {
		s = strings.ReplaceAll(strings.ReplaceAll(s, mark+"\n", ""), mark, "")
	}
	s = strings.Map(func(r rune) rune {
		if r < ' ' && r != '\n' && r != '\t' || r == 0x7f || r == 0xffff {
			return -1
		}
		return r
	}, s)
	lines := strings.Split(s, "\n")
	for i, line := range lines {
		lines[i] = strings.TrimRight(line, " \t")
	}
	return strings.Trim(strings.Join(lines, "\n"), "\n")
}

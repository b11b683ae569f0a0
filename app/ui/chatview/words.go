package chatview

import (
	"fmt"
	"strings"
	"time"

	"kestrel/app/document"
	"kestrel/app/session"
	"kestrel/app/ui/look"
)

// separator stands between the parts of a line.
const separator = " · "

// dotted is a line of parts; empty ones are left out.
func dotted(parts ...string) string {
	kept := parts[:0:0]
	for _, p := range parts {
		if p != "" {
			kept = append(kept, p)
		}
	}
	return strings.Join(kept, separator)
}

// statsText says how fast an answer was written.
func statsText(m *session.Message) string {
	s := m.Stats
	if s.Tokens == 0 {
		return ""
	}
	rate, first := "", ""
	if s.Rate > 0 {
		rate = look.Rate(s.Rate)
	}
	if s.FirstToken > 0 {
		first = look.T("chat.firstToken", look.Duration(s.FirstToken))
	}
	return dotted(rate, look.T("chat.tokens", s.Tokens, look.Count(s.Tokens)), first, m.Model)
}

// progressText says how far something is that is counted in tokens.
func progressText(p session.Progress) string {
	text := ""
	if p.Total > 0 {
		text = look.T("chat.tokensOf", look.Count(p.Done), look.Count(p.Total))
	}
	rate := ""
	if p.Rate > 0 {
		rate = look.Rate(p.Rate)
	}
	return dotted(text, rate, leftText(p.ETA))
}

// leftText says how long something still takes.
func leftText(eta time.Duration) string {
	if eta <= 0 {
		return ""
	}
	return look.T("chat.left", look.Duration(eta))
}

// formatName is the name of a format of documents.
func formatName(f document.Format) string {
	switch f {
	case document.Text:
		return look.T("chat.format.text")
	case document.Markdown:
		return "Markdown"
	case document.Code:
		return look.T("chat.format.code")
	case document.HTML:
		return "HTML"
	case document.Word:
		return "Word"
	case document.EPUB:
		return "EPUB"
	case document.PDF:
		return "PDF"
	}
	return string(f)
}

// documentFacts say what is known of a document.
func documentFacts(d *session.Document) string {
	pages, words, tokens := "", "", ""
	if d.Pages > 0 {
		pages = look.T("chat.pages", d.Pages, look.Count(d.Pages))
	}
	if d.Words > 0 {
		words = look.T("chat.words", d.Words, look.Count(d.Words))
	}
	switch d.Stage {
	case session.ReadingText, session.Paused, session.Interrupted: // the progress says it
	default:
		if d.Tokens > 0 {
			tokens = look.T("chat.tokens", d.Tokens, look.Count(d.Tokens))
		}
	}
	encoding := ""
	if d.Encoding != "" && d.Encoding != "UTF-8" {
		encoding = d.Encoding
	}
	return dotted(formatName(d.Format), look.Bytes(d.Size), encoding, pages, words, tokens)
}

// share writes a part of a whole, 0 to 1.
func share(x float64) string { return fmt.Sprintf("%.0f%%", 100*min(max(x, 0), 1)) }

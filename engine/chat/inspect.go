package chat

import (
	"fmt"
	"strings"
)

// Bounds on a template's text, checked before the library sees it.
const (
	maxSource  = 128 << 10 // bytes of a template
	maxTag     = 8 << 10   // bytes of one {% %} or {{ }}
	maxNesting = 48        // brackets within brackets, blocks within blocks
	maxConcat  = 64        // + and ~ in one tag
)

// inspect refuses a template whose parsing alone could exhaust memory or whose
// operators build values faster than statements are counted. It returns the
// template with white space as jinja2 takes it (trim_blocks, lstrip_blocks,
// and the signs - and +) and without comments: the library strips a space too
// many where a tag follows another on its line.
//
// The rules are those of jinja2's lexer.
func inspect(src string) (string, error) {
	if len(src) > maxSource {
		return "", fmt.Errorf("%w: %d bytes long; at most %d", ErrTemplate, len(src), maxSource)
	}
	src = strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(src)
	s := scanner{src: src, rest: strings.TrimSuffix(src, "\n"), lineStart: true}
	for s.rest != "" {
		if err := s.next(); err != nil {
			line := 1 + strings.Count(src[:len(src)-len(s.rest)], "\n")
			return "", fmt.Errorf("%w: near line %d: %v", ErrTemplate, line, err)
		}
	}
	return s.out.String(), nil
}

type scanner struct {
	src, rest string
	out       strings.Builder
	blocks    int  // open ones
	lineStart bool // whether what was read last ended with a line feed
}

// next copies the text up to the next tag, and that tag.
func (s *scanner) next() error {
	at := strings.IndexByte(s.rest, '{')
	for at >= 0 && (at+1 == len(s.rest) || !strings.ContainsRune("{%#", rune(s.rest[at+1]))) {
		next := strings.IndexByte(s.rest[at+1:], '{')
		if next < 0 {
			at = -1
			break
		}
		at += 1 + next
	}
	if at < 0 {
		s.out.WriteString(s.rest)
		s.rest = ""
		return nil
	}
	text, kind := s.rest[:at], s.rest[at+1]
	s.rest = s.rest[at:]
	sign := byte(0)
	if len(s.rest) > 2 {
		sign = s.rest[2]
	}
	switch {
	case sign == '-':
		text = strings.TrimRightFunc(text, whitespace)
	case sign != '+' && kind != '{':
		line := strings.LastIndexByte(text, '\n') + 1
		if (line > 0 || s.lineStart) && strings.TrimFunc(text[line:], whitespace) == "" {
			text = text[:line]
		}
	}
	s.out.WriteString(text)
	if kind == '#' {
		return s.comment()
	}
	return s.tag()
}

func (s *scanner) comment() error {
	body, rest, found := strings.Cut(s.rest[2:], "#}")
	if !found {
		return fmt.Errorf("a comment is never closed")
	}
	sign := byte(0)
	if len(body) > 1 || body != "" && body[0] != '-' && body[0] != '+' { // else it opens the comment
		sign = body[len(body)-1]
	}
	s.after(rest, sign, true)
	return nil
}

// after goes on behind a tag, whose closing sign says what follows it.
func (s *scanner) after(rest string, sign byte, block bool) {
	before := len(rest)
	switch {
	case sign == '-':
		rest = strings.TrimLeftFunc(rest, whitespace)
	case block && sign != '+':
		rest = strings.TrimPrefix(rest, "\n")
	}
	eaten := s.rest[len(s.rest)-before : len(s.rest)-len(rest)]
	s.lineStart = strings.HasSuffix(eaten, "\n")
	s.rest = rest
}

// closes lists the statements that an end… closes.
var closes = map[string]bool{"if": true, "for": true, "macro": true, "generation": true}

func (s *scanner) tag() error {
	opener := s.rest[:2]
	body, n, err := tagBody(s.rest)
	if err != nil {
		return err
	}
	body = strings.TrimPrefix(body, "-")
	block := opener == "{%"
	if block || body == "" || body[0] != '+' {
		body = strings.TrimPrefix(body, "+")
	}
	sign := byte(0)
	if i := len(body) - 1; i >= 0 && (body[i] == '-' || block && body[i] == '+') {
		sign, body = body[i], body[:i]
	}
	rest := s.rest[n:]
	closer := "}}"
	if block {
		closer = "%}"
		words := strings.Fields(body)
		switch {
		case len(words) == 0:
			return fmt.Errorf("an empty tag")
		case words[0] == "raw":
			return s.raw(rest, sign)
		case words[0] == "for" && words[len(words)-1] == "recursive":
			return fmt.Errorf("recursive loops are not supported")
		case strings.HasPrefix(words[0], "end"):
			s.blocks--
		case closes[words[0]]:
			s.blocks++
		}
		if s.blocks > maxNesting {
			return fmt.Errorf("blocks nested more than %d deep", maxNesting)
		}
	}
	s.out.WriteString(opener + " " + body + " " + closer)
	s.after(rest, sign, block)
	return nil
}

// raw copies what stands between {% raw %} and {% endraw %}.
func (s *scanner) raw(rest string, sign byte) error {
	if sign == '-' {
		rest = strings.TrimLeftFunc(rest, whitespace)
	}
	for at := 0; ; {
		open := strings.Index(rest[at:], "{%")
		if open < 0 {
			return fmt.Errorf("raw is never closed")
		}
		at += open
		body, n, ok := strings.Cut(rest[at+2:], "%}")
		if name := strings.Trim(strings.Trim(body, "+-"), " \t\n"); !ok || name != "endraw" {
			at += 2
			continue
		}
		_ = n
		text := rest[:at]
		switch {
		case strings.HasPrefix(body, "-"):
			text = strings.TrimRightFunc(text, whitespace)
		case !strings.HasPrefix(body, "+"):
			line := strings.LastIndexByte(text, '\n') + 1
			if line > 0 && strings.TrimFunc(text[line:], whitespace) == "" {
				text = text[:line]
			}
		}
		if text != "" {
			s.out.WriteString("{% raw %}" + text + "{% endraw %}")
		}
		s.after(rest[at+2+len(body)+2:], body[len(body)-1], true)
		return nil
	}
}

// tagBody returns the text within the tag that s starts with, and the tag's
// length.
func tagBody(s string) (body string, n int, err error) {
	closer := "}}"
	if s[1] == '%' {
		closer = "%}"
	}
	nesting, concat := 0, 0
	var quote byte
	for i := 2; i < len(s); i++ {
		if i > maxTag {
			return "", 0, fmt.Errorf("a tag of more than %d bytes", maxTag)
		}
		c := s[i]
		switch {
		case quote != 0:
			switch c {
			case '\\':
				i++
			case quote:
				quote = 0
			}
			continue
		case c == '"' || c == '\'':
			quote = c
			continue
		case nesting == 0 && strings.HasPrefix(s[i:], closer):
			return s[2:i], i + 2, nil
		case c == '(' || c == '[' || c == '{':
			nesting++
		case c == ')' || c == ']' || c == '}':
			nesting--
		case c == '+' || c == '~':
			concat++
		case c == '*':
			return "", 0, fmt.Errorf("the operator %q is not supported", c)
		}
		if nesting > maxNesting {
			return "", 0, fmt.Errorf("brackets nested more than %d deep", maxNesting)
		}
		if nesting < 0 {
			return "", 0, fmt.Errorf("%q closes nothing", c)
		}
		if concat > maxConcat {
			return "", 0, fmt.Errorf("more than %d concatenations in one tag", maxConcat)
		}
	}
	return "", 0, fmt.Errorf("a tag is never closed")
}

package store

import (
	"context"
	"database/sql"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Hit is a place a search found.
type Hit struct {
	Conversation ID
	Title        string // of the conversation
	Message      ID     // "" where the title itself is what matches
	Role         Role
	Created      time.Time // of the message or the conversation
	Text         string    // the title, or a piece of the message around its first match, on one line
	Matches      [][2]int  // from and to, in bytes of Text, in order; letters that only SQLite holds for equal are not marked
}

// Search finds the conversations whose title has every word of the query, the
// last updated first, then the messages that have, the last kept first: at
// most limit of each. Words are parted by blanks and stand anywhere, within
// longer words too, so Chinese needs no blanks; upper and lower case are the
// same. Deleted conversations and answers that still grow are not searched.
func (s *Store) Search(ctx context.Context, query string, limit int) ([]Hit, error) {
	const op = "search"
	words := searchWords(query)
	if len(words) == 0 || limit <= 0 {
		return nil, nil
	}
	hits, err := s.searchTitles(ctx, words, limit)
	if err != nil {
		return nil, s.failed(op, err)
	}
	messages, err := s.searchMessages(ctx, words, limit)
	return append(hits, messages...), s.failed(op, err)
}

// searchWords gives the words of a query, folded, each once.
func searchWords(query string) []string {
	query = strings.ToValidUTF8(strings.ReplaceAll(query, "\x00", " "), " ")
	words := strings.FieldsFunc(query, unicode.IsSpace)
	for i, w := range words {
		words[i] = strings.Map(unicode.ToLower, w)
	}
	slices.Sort(words)
	return slices.Compact(words)
}

func (s *Store) searchTitles(ctx context.Context, words []string, limit int) ([]Hit, error) {
	r, err := s.reader.QueryContext(ctx, `SELECT id, title, created FROM conversations WHERE deleted IS NULL ORDER BY updated DESC, id DESC`)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	var hits []Hit
	for len(hits) < limit && r.Next() {
		var h Hit
		var created int64
		if err := r.Scan(&h.Conversation, &h.Title, &created); err != nil {
			return nil, err
		}
		h.Created = timeOf(created)
		h.Text = oneLine(h.Title)
		if h.Matches = matches(h.Text, words); h.Matches != nil {
			hits = append(hits, h)
		}
	}
	return hits, r.Err()
}

// mostTrigrams is how many trigrams a short word may begin before it is looked
// for in the messages themselves: a word that common is soon found.
const mostTrigrams = 300

// trigrams lists those that begin with ?1 and are not above ?2, at most ?3. Each
// is sought behind the one before: all have three characters.
const trigrams = `
WITH RECURSIVE found(term) AS (
  SELECT (SELECT term FROM message_trigrams WHERE term >= ?1 AND term <= ?2 LIMIT 1)
  UNION ALL
  SELECT (SELECT term FROM message_trigrams WHERE term >= found.term || char(1) AND term <= ?2 LIMIT 1) FROM found WHERE found.term IS NOT NULL LIMIT ?3)
SELECT term FROM found WHERE term IS NOT NULL`

func (s *Store) searchMessages(ctx context.Context, words []string, limit int) ([]Hit, error) {
	var parts, unindexed []string
	for _, w := range words {
		if utf8.RuneCountInString(w) >= 3 {
			parts = append(parts, quote(w))
			continue
		}
		// An index of trigrams has no entry for less than three characters, but
		// it has all trigrams that begin with them.
		terms, err := rows(ctx, s.reader, value[string], trigrams, w, w+string(unicode.MaxRune)+string(unicode.MaxRune), mostTrigrams+2)
		if err != nil || len(terms) == 0 {
			return nil, err
		}
		if len(terms) > mostTrigrams {
			unindexed = append(unindexed, w)
			continue
		}
		for i, t := range terms {
			terms[i] = quote(t)
		}
		parts = append(parts, "("+strings.Join(terms, " OR ")+")")
	}
	from, args := `messages m`, []any{}
	if len(parts) > 0 {
		from, args = `message_index i JOIN messages m ON m.number = i.rowid`, append(args, strings.Join(parts, " AND "))
	}
	query := `SELECT m.id, m.conversation, c.title, m.role, m.content, m.created FROM ` + from + ` JOIN conversations c ON c.id = m.conversation
		WHERE c.deleted IS NULL AND `
	if len(parts) > 0 {
		query += `message_index MATCH ? ORDER BY i.rowid DESC`
	} else {
		query += `m.status NOT IN ('pending', 'streaming') ORDER BY m.number DESC`
	}
	r, err := s.reader.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	var hits []Hit
	for len(hits) < limit && r.Next() {
		var h Hit
		var created int64
		var content sql.RawBytes
		if err := r.Scan(&h.Message, &h.Conversation, &h.Title, &h.Role, &content, &created); err != nil {
			return nil, err
		}
		h.Created = timeOf(created)
		text := string(content)
		if len(unindexed) > 0 && !containsAll(strings.Map(unicode.ToLower, text), unindexed) {
			continue
		}
		h.Text, h.Matches = excerpt(text, words)
		hits = append(hits, h)
	}
	return hits, r.Err()
}

// quote makes a string of FTS5's query language.
func quote(s string) string { return `"` + strings.ReplaceAll(s, `"`, `""`) + `"` }

// oneLine puts blanks for line ends and the like, of the same length.
func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' {
			return ' '
		}
		return r
	}, s)
}

// Runes that an excerpt shows before and after the beginning of its match.
const excerptBefore, excerptAfter = 30, 130

// excerpt gives the piece of a text around the first match of any word.
func excerpt(text string, words []string) (string, [][2]int) {
	first := -1
	lower, at := folded(text)
	for _, w := range words {
		if i := strings.Index(lower, w); i >= 0 && (first < 0 || i < first) {
			first = i
		}
	}
	from := 0
	if first >= 0 {
		from = at[first]
	}
	begin, end := from, from
	for n := 0; n < excerptBefore && begin > 0; n++ {
		_, size := utf8.DecodeLastRuneInString(text[:begin])
		begin -= size
	}
	for n := 0; n < excerptAfter && end < len(text); n++ {
		_, size := utf8.DecodeRuneInString(text[end:])
		end += size
	}
	piece := oneLine(text[begin:end])
	if begin > 0 {
		piece = "…" + piece
	}
	if end < len(text) {
		piece += "…"
	}
	return piece, anyMatches(piece, words)
}

// matches gives where a text has the words, nil unless it has them all.
func matches(text string, words []string) [][2]int {
	if !containsAll(strings.Map(unicode.ToLower, text), words) {
		return nil
	}
	return anyMatches(text, words)
}

func containsAll(lower string, words []string) bool {
	return !slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(lower, w) })
}

// anyMatches gives where a text has any of the words; what touches is one.
func anyMatches(text string, words []string) [][2]int {
	lower, at := folded(text)
	var found [][2]int
	for _, w := range words {
		for from := 0; ; {
			i := strings.Index(lower[from:], w)
			if i < 0 {
				break
			}
			i += from
			from = i + len(w)
			found = append(found, [2]int{at[i], at[from]})
		}
	}
	slices.SortFunc(found, func(a, b [2]int) int { return a[0] - b[0] })
	var merged [][2]int
	for _, f := range found {
		if n := len(merged); n > 0 && f[0] <= merged[n-1][1] {
			merged[n-1][1] = max(merged[n-1][1], f[1])
			continue
		}
		merged = append(merged, f)
	}
	return merged
}

// folded gives a text in lower case, and for each of its bytes and its end the
// place in the text: lower case may be of another length.
func folded(text string) (string, []int) {
	lower := make([]byte, 0, len(text))
	at := make([]int, 0, len(text)+1)
	for i, r := range text {
		lower = utf8.AppendRune(lower, unicode.ToLower(r))
		for len(at) < len(lower) {
			at = append(at, i)
		}
	}
	return string(lower), append(at, len(text))
}

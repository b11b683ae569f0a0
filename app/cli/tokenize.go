package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"kestrel/app/backend"
	"kestrel/engine/tokenizer"
	"kestrel/engine/weights/gguf"
)

// tokenizerFlags choose a tokenizer: a file of its own, or a model's.
type tokenizerFlags struct {
	model modelFlags
	file  string
}

func (f *tokenizerFlags) add(cmd *cobra.Command) {
	f.model.nameFlag(cmd)
	cmd.Flags().StringVar(&f.file, "tokenizer", "", "tokenizer.json or .gguf file to take instead of the model's tokenizer")
}

func (f *tokenizerFlags) open(a *app) (t *tokenizer.Tokenizer, err error) {
	if f.file != "" {
		t, err = openTokenizer(f.file)
	} else {
		t, err = modelTokenizer(f.model.name(a))
	}
	if err != nil {
		return nil, err
	}
	for _, w := range t.Warnings() {
		a.note("warning: %s", w)
	}
	return t, nil
}

func modelTokenizer(name string) (*tokenizer.Tokenizer, error) {
	ck, err := backend.OpenCheckpoint(name)
	if err != nil {
		return nil, err
	}
	defer ck.Close()
	switch {
	case ck.Files.TokenizerJSON != nil:
		return tokenizer.FromJSON(ck.Files.TokenizerJSON)
	case ck.Files.Vocab != nil:
		return tokenizer.FromVocab(*ck.Files.Vocab)
	}
	return nil, fmt.Errorf("model %q has no tokenizer.json beside its weights; name one by --tokenizer", name)
}

// openTokenizer reads a tokenizer.json, or the vocabulary of a .gguf file of
// any model.
func openTokenizer(path string) (*tokenizer.Tokenizer, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	head := make([]byte, 4)
	n, err := io.ReadFull(f, head)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("tokenizer: %w", err)
	}
	if bytes.Equal(head[:n], []byte("GGUF")) {
		return ggufTokenizer(path)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	t, err := tokenizer.FromJSON(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return t, nil
}

func ggufTokenizer(path string) (*tokenizer.Tokenizer, error) {
	f, err := gguf.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	const prefix = "tokenizer.ggml."
	var failed error
	keep := func(err error) {
		if failed == nil {
			failed = err
		}
	}
	text := func(key string) string {
		s, _, err := f.String(prefix + key)
		keep(err)
		return s
	}
	list := func(key string) []string {
		l, _, err := f.Strings(prefix + key)
		keep(err)
		return l
	}
	id := func(key string) int {
		n, ok, err := f.Int(prefix + key)
		keep(err)
		if !ok {
			return -1
		}
		return int(n)
	}
	v := tokenizer.Vocab{
		Model: text("model"), Pre: text("pre"), Tokens: list("tokens"), Merges: list("merges"),
		BOS: id("bos_token_id"), EOS: id("eos_token_id"), Pad: id("padding_token_id"),
	}
	v.Types, _, err = f.Int32s(prefix + "token_type")
	keep(err)
	v.AddBOS, _, err = f.Bool(prefix + "add_bos_token")
	keep(err)
	if failed != nil {
		return nil, failed
	}
	if v.Tokens == nil {
		return nil, fmt.Errorf("%s: there is no vocabulary in it", path)
	}
	t, err := tokenizer.FromVocab(v)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return t, nil
}

func (a *app) tokenizeCommand() *cobra.Command {
	var tf tokenizerFlags
	var idsOnly, plain, asJSON bool
	cmd := &cobra.Command{
		Use:   "tokenize",
		Short: "Turn standard input into token ids",
		Long: `Turn standard input, taken byte for byte, into token ids: with --ids one id a
line, else a table of ids and what they stand for. Nothing is put before or after
the text. Special tokens that it spells count as such unless --plain is given.`,
		Example: `  echo -n "Hello today" | kestrel tokenize --ids
  kestrel tokenize --tokenizer tokenizer.json < README.md
  kestrel tokenize --ids < text | kestrel detokenize | cmp - text`,
		Args: none,
		RunE: a.command(func(ctx context.Context, _ []string) error {
			if idsOnly && asJSON {
				return usagef("--ids and --json exclude each other")
			}
			t, err := tf.open(a)
			if err != nil {
				return err
			}
			data, err := a.readAll(ctx)
			if err != nil {
				return err
			}
			ids := t.Encode(string(data), !plain)
			switch {
			case asJSON:
				return a.printJSON(struct {
					IDs []int `json:"ids"`
				}{append([]int{}, ids...)})
			case idsOnly:
				var out []byte
				for _, id := range ids {
					out = append(strconv.AppendInt(out, int64(id), 10), '\n')
				}
				_, err := a.Out.Write(out)
				return err
			}
			w := a.table()
			fmt.Fprintln(w, "id\ttoken\tbytes")
			for _, id := range ids {
				_, special, _ := t.Token(id)
				raw := t.Decode([]int{id})
				mark := ""
				if special {
					mark = " special"
				}
				fmt.Fprintf(w, "%d\t%s%s\t%d\n", id, strconv.Quote(raw), mark, len(raw))
			}
			if err := w.Flush(); err != nil {
				return err
			}
			a.detail("%d bytes, %d tokens", len(data), len(ids))
			return nil
		}),
	}
	tf.add(cmd)
	cmd.Flags().BoolVar(&idsOnly, "ids", false, "print one id a line")
	cmd.Flags().BoolVar(&plain, "plain", false, "take special tokens in the text for ordinary text")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func (a *app) detokenizeCommand() *cobra.Command {
	var tf tokenizerFlags
	cmd := &cobra.Command{
		Use:   "detokenize",
		Short: "Turn token ids into text",
		Long: `Turn token ids from standard input, between white space or commas, into the bytes
they stand for, special tokens included. Nothing is added, no line feed either.`,
		Example: `  echo "9856, 1722" | kestrel detokenize --tokenizer tokenizer.json
  kestrel tokenize --ids < text | kestrel detokenize | cmp - text`,
		Args: none,
		RunE: a.command(func(ctx context.Context, _ []string) error {
			t, err := tf.open(a)
			if err != nil {
				return err
			}
			data, err := a.readAll(ctx)
			if err != nil {
				return err
			}
			ids, err := parseIDs(string(data))
			if err != nil {
				return err
			}
			for i, id := range ids {
				if _, _, ok := t.Token(id); !ok {
					return fmt.Errorf("token id %d of %d is %d, which the vocabulary of %d lacks", i+1, len(ids), id, t.VocabSize())
				}
			}
			_, err = io.Copy(a.Out, strings.NewReader(t.Decode(ids)))
			return err
		}),
	}
	tf.add(cmd)
	return cmd
}

package document

import (
	"archive/zip"
	"bytes"
	"path/filepath"
	"strings"
)

// sniffBytes of a file tell what it is.
const sniffBytes = 64 << 10

// known are files that look like text to nobody, by how they begin.
var known = []struct{ magic, what, way string }{
	{"\x1f\x8b", "this is compressed by gzip", "unpack it first: gunzip FILE"},
	{"BZh", "this is compressed by bzip2", "unpack it first: bunzip2 FILE"},
	{"\xfd7zXZ\x00", "this is compressed by xz", "unpack it first: unxz FILE"},
	{"\x28\xb5\x2f\xfd", "this is compressed by zstd", "unpack it first: unzstd FILE"},
	{"7z\xbc\xaf\x27\x1c", "this is a 7-Zip archive", "unpack it and open the documents in it"},
	{"Rar!\x1a\x07", "this is a RAR archive", "unpack it and open the documents in it"},
	{"{\\rtf", "this is an RTF file", "save it as .docx or plain text first"},
	{"GGUF", "this is a model", "open it as the model, not as a document"},
	{"\x89PNG", "this is a picture", "run text recognition (OCR) over it first"},
	{"\xff\xd8\xff", "this is a picture", "run text recognition (OCR) over it first"},
	{"GIF8", "this is a picture", "run text recognition (OCR) over it first"},
	{"II*\x00", "this is a picture", "run text recognition (OCR) over it first"},
	{"MM\x00*", "this is a picture", "run text recognition (OCR) over it first"},
	{"AT&TFORM", "this is a DjVu file", "turn it into a PDF first"},
	{"\x7fELF", "this is a program", "open a document"},
	{"SQLite format 3\x00", "this is a database", "export its text first"},
	{"ID3", "this is a sound file", "open a document"},
	{"OggS", "this is a sound file", "open a document"},
	{"fLaC", "this is a sound file", "open a document"},
	{"RIFF", "this is a sound, video or picture file", "open a document"},
}

// readable says what can be opened, for messages.
const readable = "Kestrel reads text, Markdown, source code, HTML, PDF, .docx and .epub"

// code are the endings of source code; text whose ending is not known is Text.
var code = func() map[string]bool {
	m := map[string]bool{}
	for _, e := range strings.Fields(`asm awk bash bat c cc clj cmake cmd comp cpp cs css csv cu cuh cxx d dart diff el erl ex exs f f90 frag fs fsx
		glsl go gradle groovy h hh hlsl hpp hs hxx ini ipynb java jl js json jsonl jsx kt kts lisp log lua m metal mjs mk ml mli mm nim nix patch php
		pl pm proto ps1 py pyi r rb rs sass scala scm scss sh sql sv svelte swift tcl tex toml ts tsv tsx v vb vert vhd vue wgsl xml xsd xsl yaml yml
		zig zsh`) {
		m["."+e] = true
	}
	return m
}()

// detect tells a document's format by how it begins, and where that is text, by
// its name.
func (d *Document) detect(head []byte) (Format, error) {
	ext := strings.ToLower(filepath.Ext(d.Name))
	switch {
	case bytes.Contains(head[:min(len(head), 1024)], []byte("%PDF-")): // junk may stand before it
		return PDF, nil
	case bytes.HasPrefix(head, []byte("PK\x03\x04")), bytes.HasPrefix(head, []byte("PK\x05\x06")):
		return d.detectZip(ext)
	case bytes.HasPrefix(head, []byte("\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1")):
		return "", d.oldOffice(head)
	}
	for _, k := range known {
		if bytes.HasPrefix(head, []byte(k.magic)) {
			return "", d.fail(ErrFormat, k.what, k.way)
		}
	}
	switch ext {
	case ".pdf", ".docx", ".epub":
		return "", d.fail(ErrBroken, "the name ends in "+ext+", but this is no "+strings.ToUpper(ext[1:])+" file", "fetch or export it again; if it is plain text, rename it to .txt")
	case ".html", ".htm", ".xhtml":
		return HTML, nil
	case ".md", ".markdown", ".mdown", ".mkd":
		return Markdown, nil
	}
	if code[ext] {
		return Code, nil
	}
	start := strings.ToLower(string(bytes.TrimLeft(bytes.TrimPrefix(head[:min(len(head), 1024)], []byte("\xef\xbb\xbf")), " \t\r\n")))
	if ext != ".txt" && (strings.HasPrefix(start, "<!doctype html") || strings.HasPrefix(start, "<html")) {
		return HTML, nil
	}
	return Text, nil
}

// detectZip tells formats that are zip files apart.
func (d *Document) detectZip(ext string) (Format, error) {
	z, err := d.openArchive()
	if err != nil {
		return "", err
	}
	has := func(name string) bool { return z.find(name) != nil }
	switch {
	case has("META-INF/container.xml"):
		return EPUB, nil
	case has("word/document.xml"), has("_rels/.rels") && strings.HasPrefix(ext, ".doc"):
		return Word, nil
	case has("xl/workbook.xml"):
		return "", d.fail(ErrFormat, "this is an Excel workbook", "save it as .csv or PDF first")
	case has("ppt/presentation.xml"):
		return "", d.fail(ErrFormat, "this is a PowerPoint file", "save it as PDF first")
	case has("content.xml"):
		return "", d.fail(ErrFormat, "this is an OpenDocument file", "save it as .docx or PDF first")
	case ext == ".docx", ext == ".epub":
		return "", d.fail(ErrBroken, "the name ends in "+ext+", but parts of the file are missing", "fetch or export it again")
	}
	return "", d.fail(ErrFormat, "this is a zip archive", "unpack it and open the documents in it")
}

// oldOffice tells an encrypted .docx from other compound files.
func (d *Document) oldOffice(head []byte) error {
	// names of streams are UTF-16 and stand in a directory that may be anywhere
	name := []byte("E\x00n\x00c\x00r\x00y\x00p\x00t\x00e\x00d\x00P\x00a\x00c\x00k\x00a\x00g\x00e\x00")
	tail := make([]byte, min(d.Size, 1<<20))
	n, _ := d.src.at.ReadAt(tail, d.Size-int64(len(tail)))
	if bytes.Contains(head, name) || bytes.Contains(tail[:n], name) {
		return d.fail(ErrEncrypted, "this document is protected by a password", "open it in Word or LibreOffice and save it without the password")
	}
	return d.fail(ErrFormat, "this is an old Office file", "save it as .docx or PDF first")
}

// find returns the entry of that name, whatever its case.
func (z *archive) find(name string) *zip.File {
	if f := z.files[name]; f != nil {
		return f
	}
	return z.folded[strings.ToLower(name)]
}

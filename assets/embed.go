// Package assets holds what is built into the program.
package assets

import (
	"embed"
	"io/fs"
)

//go:embed demo
var files embed.FS

// Fonts are the typefaces of the window, in the folder fonts: single-face
// OpenType files that cover Latin and Chinese.
//
//go:embed fonts/*.otf
var Fonts embed.FS

// Icon is the program's, as SVG.
//
//go:embed icons/kestrel.svg
var Icon []byte

// Icons are those of the window's buttons, in the folder icons: SVG in one
// colour, which the theme replaces.
//
//go:embed icons/sliders.svg icons/memory.svg
var Icons embed.FS

// Translations are the texts of the window: translations/LANGUAGE/*.json.
//
//go:embed translations
var Translations embed.FS

// Demo returns the folder of the built-in model: a tiny trained Falcon-Mamba
// in the Hugging Face layout (config.json, model.safetensors, tokenizer.json
// and their companions at the root of the returned file system).
func Demo() fs.FS {
	sub, err := fs.Sub(files, "demo")
	if err != nil { // only for a malformed constant path
		panic(err)
	}
	return sub
}

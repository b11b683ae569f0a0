// Package assets holds what is built into the program.
package assets

import "embed"

// Demo is the built-in model: a tiny trained Falcon-Mamba as a GGUF file, its
// tokenizer and chat template in it. It is made of the floats in the folder
// demo, which are not in the program (build/demo/pack). Not to be written to.
//
//go:embed demo.gguf
var Demo []byte

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

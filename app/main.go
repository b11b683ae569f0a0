// Kestrel runs Falcon-Mamba language models on the graphics card.
package main

import (
	"os"

	"kestrel/app/cli"
	"kestrel/app/document"
)

func main() {
	document.RunExtractor()
	os.Exit(cli.Run(cli.System(), os.Args[1:]))
}

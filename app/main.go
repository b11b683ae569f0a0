// Kestrel runs Falcon-Mamba language models on the graphics card.
package main

import (
	"os"

	"kestrel/app/cli"
)

func main() { os.Exit(cli.Run(cli.System(), os.Args[1:])) }

// Command compile brings shaders/spv up to date with shaders/variants.txt.
// It is what build/shaders runs.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"

	"kestrel/build/glslc"
)

func main() {
	all := flag.Bool("all", false, "compile every variant, not only what changed")
	dir := flag.String("dir", "shaders", "folder with variants.txt")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	res, err := glslc.Build(ctx, *dir, *all, os.Stderr)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Printf("shaders: %d compiled, %d up to date, %d removed\n", res.Compiled, res.Current, res.Removed)
}

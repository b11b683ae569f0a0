//go:build !unix && !windows

package weights

import "os"

func mapFile(*os.File, int) ([]byte, func() error, error) { return nil, nil, errNoMap }

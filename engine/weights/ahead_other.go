//go:build !unix

package weights

// adviseAhead does nothing: the system reads mapped files as they are used.
func adviseAhead([]byte) {}

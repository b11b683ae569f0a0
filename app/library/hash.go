package library

import (
	"context"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"os"
)

// sums are the hashes of a file's contents.
type sums struct {
	size         int64
	sha256, blob string
}

// hashFile reads a file, telling each how many bytes it has read since it was
// last called, and hashes it; blob asks for git's hash of a file of size bytes
// as well.
func hashFile(ctx context.Context, path string, size int64, blob bool, each func(int64)) (sums, error) {
	f, err := os.Open(path)
	if err != nil {
		return sums{}, err
	}
	defer f.Close()
	return hashing(ctx, f, nil, size, blob, each)
}

// hashing hashes what it reads from r and writes it to w, which may be nil.
func hashing(ctx context.Context, r io.Reader, w io.Writer, size int64, blob bool, each func(int64)) (s sums, err error) {
	sum := sha256.New()
	var git hash.Hash
	if blob {
		git = sha1.New()
		fmt.Fprintf(git, "blob %d\x00", size)
	}
	buf := make([]byte, buffer)
	for {
		if ctx.Err() != nil {
			return s, context.Cause(ctx)
		}
		n, err := r.Read(buf)
		if n > 0 {
			sum.Write(buf[:n])
			if git != nil {
				git.Write(buf[:n])
			}
			if w != nil {
				if _, err := w.Write(buf[:n]); err != nil {
					return s, diskError(err)
				}
			}
			s.size += int64(n)
			each(int64(n))
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			return s, err
		}
	}
	s.sha256 = hex.EncodeToString(sum.Sum(nil))
	if git != nil {
		s.blob = hex.EncodeToString(git.Sum(nil))
	}
	return s, nil
}

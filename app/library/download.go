package library

import (
	"context"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"os"
	"path"
	"strconv"
	"strings"
	"time"
)

// part is the name of a file's part. It is named after the contents that the
// file will have, so that what is there of one file is never continued with
// bytes of another, and after the file's own name, for two files may be alike.
func (f File) part() string {
	key := f.SHA256
	if f.Blob != "" {
		key = "git-" + f.Blob
	}
	sum := sha256.Sum256([]byte(f.Name))
	return key + "-" + hex.EncodeToString(sum[:4]) + ".part"
}

// download fetches one file into its part and, once that is whole and right,
// gives it its name. All it writes is below root.
type download struct {
	hub   *hub
	root  *os.Root // the model's folder
	file  *File    // SHA256 and ETag are filled in
	dest  string   // its place below root
	repo  string
	at    string // commit
	meter *meter

	f    *os.File // the part
	got  int64    // bytes of it
	sum  hash.Hash
	blob hash.Hash // git's, for a file that is in git itself; else nil
	seen validator // of the part
}

const (
	goodGain = 64 << 10 // bytes that make a try one that got somewhere
	corrupt  = 2        // how often all bytes may be wrong before they are refused
	buffer   = 256 << 10
)

// run fetches the file, resuming and retrying as far as that helps. When it
// fails the part stays, unless it is wrong.
func (d *download) run(ctx context.Context) (err error) {
	if d.f, err = d.root.OpenFile(path.Join(partsFolder, d.file.part()), os.O_RDWR|os.O_CREATE, 0o644); err != nil {
		return inFile(d.file.Name, diskError(err))
	}
	defer func() {
		if d.f != nil {
			_ = d.f.Close() // it is not whole anyway
		}
		err = inFile(d.file.Name, err)
	}()
	if err := d.resume(ctx); err != nil {
		return err
	}
	wrong, fails := 0, 0
	for {
		if d.got == d.file.Size {
			if d.right() {
				return d.finish()
			}
			if wrong++; wrong > corrupt {
				if err := d.restart(); err != nil {
					return err
				}
				return d.wrongBytes()
			}
			if err := d.restart(); err != nil {
				return err
			}
		}
		before := d.got
		err := d.try(ctx)
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case err == nil || d.got == d.file.Size:
			fails = 0
			continue
		case !temporary(err):
			return err
		}
		if fails++; d.got-before >= goodGain {
			fails = 1
		}
		if fails >= d.hub.tries {
			return err
		}
		if err := d.hub.wait(ctx, fails, err); err != nil {
			return err
		}
	}
}

func (d *download) wrongBytes() error {
	return &Error{Kind: ErrCorrupt, Problem: "what comes is not what the hub's index says: its hash is another", Way: "try again later, or another HF_ENDPOINT"}
}

// resume takes up the part that is there.
func (d *download) resume(ctx context.Context) error {
	info, err := d.f.Stat()
	if err != nil {
		return diskError(err)
	}
	if info.Size() > d.file.Size {
		return d.restart()
	}
	d.begin()
	d.seen = d.readValidator()
	if info.Size() == 0 {
		return nil
	}
	d.meter.waits(Wait{Checks: d.file.Name})
	buf := make([]byte, buffer)
	for d.got < info.Size() {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		n, err := d.f.ReadAt(buf[:min(int64(len(buf)), info.Size()-d.got)], d.got)
		if err != nil && err != io.EOF || n == 0 {
			return diskError(err)
		}
		d.take(buf[:n])
		d.meter.there(d.file.Name, int64(n))
	}
	d.meter.waits(Wait{})
	return nil
}

// begin sets the hashes to those of no bytes.
func (d *download) begin() {
	d.got, d.sum, d.blob = 0, sha256.New(), nil
	if d.file.Blob != "" {
		d.blob = sha1.New()
		fmt.Fprintf(d.blob, "blob %d\x00", d.file.Size)
	}
}

func (d *download) take(p []byte) {
	d.sum.Write(p)
	if d.blob != nil {
		d.blob.Write(p)
	}
	d.got += int64(len(p))
}

// restart throws away what is there.
func (d *download) restart() error {
	d.meter.there(d.file.Name, -d.got)
	d.begin()
	if err := d.f.Truncate(0); err != nil {
		return diskError(err)
	}
	d.seen = validator{}
	return nil
}

// try asks once for the bytes that are missing.
func (d *download) try(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	watch := time.AfterFunc(d.hub.stall, func() { cancel(errStalled) })
	defer watch.Stop()

	a, err := d.hub.ask(ctx, request{url: d.hub.file(d.repo, d.at, d.file.Name), from: d.got, seen: d.seen})
	if err != nil {
		return d.refused(stalled(ctx, err))
	}
	defer a.Body.Close()
	if err := d.sameFile(a); err != nil {
		return err
	}
	etag := a.Header.Get("ETag")
	if strings.HasPrefix(etag, "W/") { // says nothing about bytes
		etag = ""
	}
	now := validator{etag, a.host}
	if a.StatusCode == http.StatusPartialContent {
		if err := d.checkRange(a.Header.Get("Content-Range")); err != nil {
			return err
		}
		// A server may ignore If-Range.
		if now.ETag != "" && d.seen.ETag != "" && now.Host == d.seen.Host && now.ETag != d.seen.ETag {
			if err := d.restart(); err != nil {
				return err
			}
			return &Error{Kind: ErrHub, Problem: "the file changed on " + a.host + " while it was fetched"}
		}
	} else if d.got > 0 { // all of it comes, because it changed or because it must
		if err := d.restart(); err != nil {
			return err
		}
	}
	if d.seen != now && (d.got == 0 || now.ETag != "") {
		if err := d.writeValidator(now); err != nil {
			return err
		}
		d.seen = now
	}
	d.file.ETag = plainETag(etag)
	return d.copy(ctx, a.Body, watch)
}

// refused handles an answer without bytes: 416 means that the part is longer
// than the file, so it is not of that file.
func (d *download) refused(err error) error {
	var status *statusError
	if errors.As(err, &status) && status.status == http.StatusRequestedRangeNotSatisfiable && d.got > 0 {
		if err := d.restart(); err != nil {
			return err
		}
		return &Error{Kind: ErrHub, Problem: status.Error()}
	}
	return err
}

// sameFile compares what the endpoint says beside the bytes with its index.
func (d *download) sameFile(a *answer) error {
	if a.linkedSize >= 0 && a.linkedSize != d.file.Size {
		return &Error{Kind: ErrHub, Problem: fmt.Sprintf("the hub says it has %d bytes, its index says %d", a.linkedSize, d.file.Size)}
	}
	if d.file.Blob == "" && sha256Form.MatchString(a.linkedETag) && a.linkedETag != d.file.SHA256 {
		return &Error{Kind: ErrHub, Problem: "the hub says its hash is another than in its index"}
	}
	return nil
}

// checkRange holds a 206 to what was asked for.
func (d *download) checkRange(header string) error {
	var first, last int64
	var total string
	if n, _ := fmt.Sscanf(header, "bytes %d-%d/%s", &first, &last, &total); n != 3 || first != d.got || last < first {
		return &Error{Kind: ErrHub, Problem: "asked for the bytes from " + strconv.FormatInt(d.got, 10) + ", got the range " + quote(show(header))}
	}
	if total != "*" && total != strconv.FormatInt(d.file.Size, 10) {
		return &Error{Kind: ErrHub, Problem: "it has " + show(total) + " bytes there, its index says " + strconv.FormatInt(d.file.Size, 10)}
	}
	return nil
}

// copy appends the body to the part, at most up to the file's size. What came
// before an error is kept.
func (d *download) copy(ctx context.Context, body io.Reader, watch *time.Timer) error {
	buf := make([]byte, min(buffer, d.file.Size-d.got))
	for d.got < d.file.Size {
		n, err := body.Read(buf[:min(int64(len(buf)), d.file.Size-d.got)])
		if n > 0 {
			watch.Reset(d.hub.stall)
			if _, err := d.f.WriteAt(buf[:n], d.got); err != nil {
				return diskError(err)
			}
			d.take(buf[:n])
			d.meter.add(d.file.Name, int64(n))
		}
		switch {
		case err == io.EOF && d.got < d.file.Size:
			return fmt.Errorf("the connection ended after %d of %d bytes: %w", d.got, d.file.Size, io.ErrUnexpectedEOF)
		case err != nil && d.got < d.file.Size:
			return stalled(ctx, err)
		}
	}
	return nil
}

// right compares the hash of all bytes with the hub's.
func (d *download) right() bool {
	if d.blob != nil {
		return hex.EncodeToString(d.blob.Sum(nil)) == d.file.Blob
	}
	return hex.EncodeToString(d.sum.Sum(nil)) == d.file.SHA256
}

// finish brings the bytes to the disk and gives the file its name.
func (d *download) finish() error {
	if err := d.f.Sync(); err != nil {
		return diskError(err)
	}
	if err := d.f.Close(); err != nil {
		return diskError(err)
	}
	d.f = nil
	if err := d.root.MkdirAll(path.Dir(d.dest), 0o755); err != nil {
		return diskError(err)
	}
	part := path.Join(partsFolder, d.file.part())
	if err := d.root.Rename(part, d.dest); err != nil {
		return diskError(err)
	}
	syncFolder(d.root, path.Dir(d.dest))
	d.file.SHA256 = hex.EncodeToString(d.sum.Sum(nil))
	_ = d.root.Remove(part + ".etag") // else it is swept with the rest
	return nil
}

// syncFolder makes a new name last through a power cut; where folders cannot
// be synced the file itself is still whole.
func syncFolder(root *os.Root, dir string) {
	if f, err := root.Open(dir); err == nil {
		_ = f.Sync()
		_ = f.Close()
	}
}

// writeValidator keeps the ETag of the part for a later resume.
func (d *download) writeValidator(v validator) error {
	data, err := json.Marshal(v)
	if err == nil {
		err = d.root.WriteFile(path.Join(partsFolder, d.file.part()+".etag"), data, 0o644)
	}
	if err != nil {
		return diskError(err)
	}
	return nil
}

// readValidator returns none where there is none to be read: then the hash
// alone decides.
func (d *download) readValidator() validator {
	var v validator
	data, err := d.root.ReadFile(path.Join(partsFolder, d.file.part()+".etag"))
	if err != nil || json.Unmarshal(data, &v) != nil || strings.ContainsAny(v.ETag, "\r\n") {
		return validator{}
	}
	return v
}

// stalled says so where an error comes from giving up a silent connection.
func stalled(ctx context.Context, err error) error {
	if errors.Is(context.Cause(ctx), errStalled) {
		return errStalled
	}
	return err
}

// diskError says that the disk is at fault, not the hub.
func diskError(err error) error {
	if noSpace(err) {
		return &Error{Kind: ErrNoSpace, Problem: "the disk is full", Cause: err, Way: "make room, and pull again: what is here is kept"}
	}
	return &Error{Problem: "the disk failed", Cause: err}
}

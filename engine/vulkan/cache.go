package vulkan

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"unsafe"

	vk "github.com/vulkan-go/vulkan"
)

// The pipeline cache file: a header that names the device and its driver exactly, then the driver's own data.
// A driver may crash on data that is not its own, so data is handed to it only if every field and the hash agree.
const cacheMagic = "KESTREL PIPELINES 1\n"

const maxCacheBytes = 256 << 20 // a larger file is not ours

type cacheHeader struct {
	Vendor, Device, Driver, API uint32
	UUID                        [16]byte // pipelineCacheUUID
	Size                        uint64   // of the data
	Hash                        [sha256.Size]byte
}

func (d *Device) cacheHeader(data []byte) cacheHeader {
	r := d.info.raw
	h := cacheHeader{Vendor: uint32(r.vendor_id), Device: uint32(r.device_id), Driver: uint32(r.driver_version), API: uint32(r.api),
		Size: uint64(len(data)), Hash: sha256.Sum256(data)}
	for i := range h.UUID {
		h.UUID[i] = byte(r.cache_uuid[i])
	}
	return h
}

// cachePath is the device's file in CacheDir, "" without one.
func (d *Device) cachePath() string {
	if d.o.CacheDir == "" {
		return ""
	}
	h := d.cacheHeader(nil)
	return filepath.Join(d.o.CacheDir, fmt.Sprintf("pipelines-%04x-%04x-%s.bin", h.Vendor, h.Device, hex.EncodeToString(h.UUID[:4])))
}

// parseCache returns the data of a cache file, or why it is not to be trusted.
func (d *Device) parseCache(file []byte) ([]byte, error) {
	rest, ok := bytes.CutPrefix(file, []byte(cacheMagic))
	if !ok {
		return nil, errors.New("it is no pipeline cache")
	}
	var h cacheHeader
	n, err := binary.Decode(rest, binary.LittleEndian, &h)
	if err != nil {
		return nil, errors.New("its header is cut short")
	}
	data := rest[n:]
	want := d.cacheHeader(data)
	switch {
	case h.Size != want.Size:
		return nil, fmt.Errorf("it has %d bytes of data and its header says %d", len(data), h.Size)
	case h.Hash != want.Hash:
		return nil, errors.New("its hash does not match")
	case h != want:
		return nil, errors.New("it was made by another device or driver")
	}
	return data, nil
}

// readCache returns the trusted data of the cache file, nil where there is none.
func (d *Device) readCache() []byte {
	path := d.cachePath()
	if path == "" {
		return nil
	}
	file, err := readLimited(path, maxCacheBytes)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	var data []byte
	if err == nil {
		data, err = d.parseCache(file)
	}
	if err != nil {
		d.warn("pipeline cache %s is not used: %v; shaders are compiled anew", path, err)
		return nil
	}
	return data
}

// readLimited reads a file of at most limit bytes.
func readLimited(path string, limit int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !st.Mode().IsRegular() || st.Size() > limit {
		return nil, fmt.Errorf("it is no file of at most %d bytes", limit)
	}
	return io.ReadAll(io.LimitReader(f, limit))
}

// openCache creates the driver's cache, from the file where that can be trusted.
func (p *pipelines) openCache() error {
	data := p.d.readCache()
	if data != nil {
		p.saved = sha256.Sum256(data)
	}
	info := vk.PipelineCacheCreateInfo{SType: vk.StructureTypePipelineCacheCreateInfo}
	if len(data) > 0 {
		c := cBytes(data)
		defer cFree(c)
		info.InitialDataSize, info.PInitialData = uint(len(data)), c
	}
	defer info.Free()
	var err error
	p.cache, err = create("create", "pipeline cache", func(h *vk.PipelineCache) vk.Result {
		return vk.CreatePipelineCache(p.d.handle, &info, nil, h)
	})
	return err
}

// saveCache writes the file if there is something new. Trouble is a warning: the next start is slower, no more.
func (p *pipelines) saveCache() {
	path := p.d.cachePath()
	if path == "" || p.d.lost.Load() {
		return
	}
	p.saveMu.Lock()
	defer p.saveMu.Unlock()
	data, err := p.cacheData()
	if err == nil {
		h := p.d.cacheHeader(data)
		if h.Hash == p.saved {
			return
		}
		if err = writeCache(path, h, data); err == nil {
			p.saved = h.Hash
		}
	}
	if err != nil {
		p.d.warn("pipeline cache %s could not be saved: %v; the next start compiles the shaders anew", path, err)
	}
}

func (p *pipelines) cacheData() ([]byte, error) {
	var size uint
	if err := check(vk.GetPipelineCacheData(p.d.handle, p.cache, &size, nil), "read", "pipeline cache"); err != nil || size == 0 {
		return nil, err
	}
	data := make([]byte, size)
	if err := check(vk.GetPipelineCacheData(p.d.handle, p.cache, &size, unsafe.Pointer(&data[0])), "read", "pipeline cache"); err != nil {
		return nil, err
	}
	return data[:size], nil
}

// writeCache writes the file whole or not at all.
func writeCache(path string, h cacheHeader, data []byte) (err error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*.tmp")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			f.Close()
			os.Remove(f.Name())
		}
	}()
	buf := bytes.NewBufferString(cacheMagic)
	if err = binary.Write(buf, binary.LittleEndian, h); err != nil {
		return err
	}
	buf.Write(data)
	if _, err = f.Write(buf.Bytes()); err != nil {
		return err
	}
	if err = f.Sync(); err != nil {
		return err
	}
	if err = f.Close(); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

package safetensors

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"kestrel/engine/weights"
)

// shardIndex is model.safetensors.index.json: which shard holds which tensor.
type shardIndex struct {
	shards []string // in the order they are first named
	where  map[string]string
	names  []string // tensors, in the order of the file
}

func (f *File) openShards(folder weights.Folder, name string) error {
	data, err := folder.Read(name, maxHeader)
	if err != nil {
		return err
	}
	ix, err := parseIndex(folder.File(name), data)
	if err != nil {
		return err
	}
	for _, shard := range ix.shards {
		err := f.add(folder, shard)
		if errors.Is(err, fs.ErrNotExist) {
			return &weights.FileError{Kind: weights.ErrMissingTensor, File: folder.File(shard),
				Problem: "this shard is not there, but " + name + " names it", Way: "download it", Cause: fs.ErrNotExist}
		}
		if err != nil {
			return err
		}
	}
	for _, n := range ix.names {
		i, ok := f.index[n]
		if !ok {
			return &weights.FileError{Kind: weights.ErrMissingTensor, File: folder.File(ix.where[n]), Tensor: n,
				Problem: "not in the shard where " + name + " has it", Way: "download the model again"}
		}
		if got, want := f.tensors[i].File, folder.File(ix.where[n]); got != want {
			return &weights.FileError{Kind: weights.ErrBadModel, File: got, Tensor: n,
				Problem: fmt.Sprintf("%s has it in %s", name, want), Way: "download the model again"}
		}
	}
	return nil
}

func parseIndex(file string, data []byte) (*shardIndex, error) {
	fail := func(format string, args ...any) error {
		return &weights.FileError{Kind: weights.ErrBadModel, File: file, Problem: fmt.Sprintf(format, args...), Way: "download it again"}
	}
	ix := &shardIndex{where: make(map[string]string)}
	known := make(map[string]bool)
	maps := 0
	err := eachMember(data, func(dec *json.Decoder, key string) error {
		if key != "weight_map" {
			var skip json.RawMessage
			return dec.Decode(&skip)
		}
		if maps++; maps > 1 {
			return errors.New("weight_map is there twice")
		}
		return members(dec, func(tensor string) error {
			var shard string
			if err := dec.Decode(&shard); err != nil {
				return fmt.Errorf("tensor %s: %w", show(tensor), err)
			}
			if !fs.ValidPath(shard) || shard == "." || strings.ContainsAny(shard, `\:`) {
				return fmt.Errorf("tensor %s: file name %s leads outside the model's folder", show(tensor), show(shard))
			}
			if !strings.HasSuffix(shard, suffix) {
				return fmt.Errorf("tensor %s: %s is not a .safetensors file", show(tensor), show(shard))
			}
			if _, ok := ix.where[tensor]; ok {
				return fmt.Errorf("tensor %s is there twice", show(tensor))
			}
			ix.where[tensor] = shard
			ix.names = append(ix.names, tensor)
			if !known[shard] {
				known[shard] = true
				ix.shards = append(ix.shards, shard)
			}
			return nil
		})
	})
	if err != nil {
		return nil, fail("%v", err)
	}
	if len(ix.names) == 0 {
		return nil, fail("no weight_map, or an empty one")
	}
	return ix, nil
}

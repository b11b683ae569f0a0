package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"kestrel/app/backend"
	"kestrel/engine"
	"kestrel/engine/chat"
)

// chatFile is a conversation as /save writes it. The state of the session lies
// beside it, under the same name with .state added.
type chatFile struct {
	Kestrel  string         `json:"kestrel"` // "chat 1"
	Model    string         `json:"model"`
	Messages []chat.Message `json:"messages"`
	Read     string         `json:"read"` // the text that the state remembers
}

const chatFormat = "chat 1"

// save writes the conversation to path and its state beside it.
func (c *conversation) save(ctx context.Context, path string) error {
	m, err := c.reader.Mark(ctx)
	if err != nil {
		return err
	}
	data, err := json.MarshalIndent(chatFile{chatFormat, c.model.Name(), c.messages, c.reader.Text()}, "", " ")
	if err != nil {
		return err
	}
	if m.State != nil {
		if err := m.State.Save(path + ".state"); err != nil {
			return err
		}
	}
	return writeFile(path, append(data, '\n'))
}

// load puts the conversation of path in place of this one. Where its state
// cannot be used, again is the reason, and the next turn reads the text again.
func (c *conversation) load(ctx context.Context, e backend.Engine, path string) (again error, err error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var f chatFile
	if err := json.Unmarshal(data, &f); err != nil || f.Kestrel != chatFormat {
		return nil, fmt.Errorf("%s is no conversation that /save wrote", path)
	}
	for i, m := range f.Messages {
		switch m.Role {
		case chat.System, chat.User, chat.Assistant:
		default:
			return nil, fmt.Errorf("%s: message %d has the role %q, which no conversation has", path, i+1, m.Role)
		}
	}
	if err := c.reader.Forget(); err != nil {
		return nil, err
	}
	c.messages = f.Messages
	if f.Read == "" {
		return nil, nil
	}
	state, err := e.LoadState(path + ".state")
	if err == nil {
		err = c.reader.Resume(ctx, f.Read, state)
	}
	switch {
	case err == nil:
		return nil, nil
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, engine.ErrStateMismatch), errors.Is(err, engine.ErrBadState):
		return err, nil
	}
	return nil, err
}

// writeFile replaces path by data, or leaves it as it was.
func writeFile(path string, data []byte) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*.tmp")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			f.Close()
			os.Remove(f.Name())
			err = fmt.Errorf("write %s: %w", path, err)
		}
	}()
	if _, err = f.Write(data); err != nil {
		return err
	}
	if err = f.Chmod(0o644); err != nil {
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

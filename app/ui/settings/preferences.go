// Package settings holds what the user prefers and the dialogs to change it:
// the settings of the program, and how one conversation is answered.
//
// Preferences are a value that lives in the store. Views are for Fyne's
// goroutine; what takes time is done off it.
package settings

import (
	"context"

	"kestrel/app/session"
	"kestrel/app/store"
	"kestrel/app/ui/look"
	"kestrel/app/ui/place"
)

// Preferences are what the user prefers. New fields have a zero value that
// means the default, so that what an older Kestrel kept stays good.
type Preferences struct {
	Language look.Language `json:"language,omitempty"` // "" for the desktop's
	Mode     look.Mode     `json:"mode,omitempty"`
	Accent   look.Accent   `json:"accent,omitempty"`
	Size     float32       `json:"size,omitempty"` // of text

	System   string            `json:"system,omitempty"`   // prompt of new conversations
	Sampling *session.Sampling `json:"sampling,omitempty"` // of new conversations; nil for the default

	Model session.LoadRequest `json:"model"` // loaded at the start; Model "" for the built-in one

	Width       float32      `json:"width,omitempty"` // of the window
	Height      float32      `json:"height,omitempty"`
	Place       *place.Place `json:"place,omitempty"`   // nil where it is not known
	Sidebar     float64      `json:"sidebar,omitempty"` // its share of the width
	HideSidebar bool         `json:"hide_sidebar,omitempty"`
	ShowMonitor bool         `json:"show_monitor,omitempty"`
	Welcomed    bool         `json:"welcomed,omitempty"` // the card of the first run was dismissed
}

// key of the setting in the store.
const key = "window"

// Load reads the preferences. What cannot be read is the default, with the
// error.
func Load(ctx context.Context, s *store.Store) (Preferences, error) {
	return store.Setting(ctx, s, key, Preferences{})
}

// Save keeps the preferences.
func (p Preferences) Save(ctx context.Context, s *store.Store) error {
	return s.SetSetting(ctx, key, p)
}

// Look are the options of the theme.
func (p Preferences) Look() look.Options {
	return look.Options{Mode: p.Mode, Accent: p.Accent, Size: p.Size}
}

// SpeakIn is the language to use, where the desktop's is system.
func (p Preferences) SpeakIn(system look.Language) look.Language {
	if p.Language == "" {
		return system
	}
	return p.Language
}

// NewConversation are the options of a new conversation.
func (p Preferences) NewConversation(folder store.ID) session.NewOptions {
	return session.NewOptions{Folder: string(folder), System: p.System, Sampling: p.Sampling}
}

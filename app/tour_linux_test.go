package main

import (
	"image"
	"os"
	"path/filepath"
	"testing"
	"time"

	"kestrel/app/store"
	"kestrel/app/ui/look"
	"kestrel/app/ui/settings"
)

// TestTour takes the README's pictures: a conversation, a book that is read, the memory monitor. It runs where they are
// asked for:
//
//	KESTREL_SCREENSHOTS=$PWD/assets/screenshots KESTREL_BOOK=book.txt go test ./app -run TestTour
//
// The book is a long plain text. The waits are those of a person; look at the pictures afterwards.
func TestTour(t *testing.T) {
	book, dir := os.Getenv("KESTREL_BOOK"), os.Getenv("KESTREL_SCREENSHOTS")
	if book == "" || dir == "" {
		t.Skip("KESTREL_SCREENSHOTS and KESTREL_BOOK ask for pictures")
	}
	needDevice(t)
	book, err := filepath.Abs(book)
	if err != nil {
		t.Fatal(err)
	}
	home := t.TempDir()
	furnish(t, home)
	scr := newScreen(t, 1280, 800)
	begin := time.Now()
	p := start(t, scr.display, home)
	scr.painted(begin)
	pause := func(d time.Duration) { time.Sleep(d) }
	pause(2 * time.Second)
	scr.key("ctrl+n")
	for _, q := range []string{"What is Kestrel?", "What can you do?", "My name is Clara.", "What is my name?"} {
		pause(time.Second)
		scr.write(q)
		scr.key("Return")
		pause(3 * time.Second)
	}
	scr.xdotool("mousemove", "1279", "799")
	pause(time.Second)
	scr.save("chat")

	scr.key("ctrl+n")
	scr.key("ctrl+o")
	pause(time.Second)
	scr.write(book)
	scr.key("Return")
	var read image.Point
	scr.until("the book waits to be read", 60*time.Second, func() (ok bool) {
		read, ok = scr.button(accent, image.Rect(290, 80, 1280, 680))
		return ok
	})
	pause(time.Second)
	scr.click(read)
	scr.xdotool("mousemove", "1279", "799")
	pause(40 * time.Second)
	scr.save("reading")
	scr.key("ctrl+m")
	pause(30 * time.Second)
	scr.save("monitor")
	p.cmd.Process.Kill()
	<-p.done
}

// furnish gives the sidebar what a user has after a week.
func furnish(t *testing.T, home string) {
	t.Helper()
	ctx := t.Context()
	s, err := store.Open(ctx, home)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := (settings.Preferences{Mode: look.Light, Language: look.English, Welcomed: true, Width: 1280, Height: 800}).Save(ctx, s); err != nil {
		t.Fatal(err)
	}
	for folder, titles := range map[string][]string{
		"Books": {"红楼梦:第一回", "The Voyage of the Beagle"},
		"Work":  {"State-space models, in plain words", "Notes on the Vulkan budget"},
		"":      {"Recipes for bread", "旅行计划"},
	} {
		var in store.ID
		if folder != "" {
			f, err := s.CreateFolder(ctx, folder)
			if err != nil {
				t.Fatal(err)
			}
			in = f.ID
		}
		for _, title := range titles {
			c, err := s.CreateConversation(ctx, store.Conversation{Folder: in, Title: title})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := s.AddMessage(ctx, store.Message{Conversation: c.ID, Role: store.User, Content: title, Status: store.Done}); err != nil {
				t.Fatal(err)
			}
		}
	}
}

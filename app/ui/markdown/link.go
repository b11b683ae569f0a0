package markdown

import (
	"net/url"
	"slices"
	"strings"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/container"
	"fyne.io/fyne/v2/dialog"
	"fyne.io/fyne/v2/widget"
	"golang.org/x/net/idna"

	"kestrel/app/ui/look"
)

// link is an address as it is shown before it is followed.
type link struct {
	shown string // in characters that cannot be taken for others
	url   *url.URL
	open  bool // it may be opened
}

// readLink says what is to be known of an address: only web pages and mail are
// opened, and a host's name is shown as the network knows it.
func readLink(to string) link {
	u, err := url.Parse(strings.TrimSpace(to))
	if err != nil {
		return link{shown: clean(to)}
	}
	if host, err := idna.ToASCII(u.Hostname()); err == nil && host != u.Hostname() {
		if port := u.Port(); port != "" {
			host += ":" + port
		}
		u.Host = host
	}
	switch strings.ToLower(u.Scheme) {
	case "http", "https":
		return link{shown: clean(u.String()), url: u, open: u.Host != ""}
	case "mailto":
		return link{shown: clean(u.String()), url: u, open: u.Opaque != ""}
	}
	return link{shown: clean(to)}
}

// links are the addresses in the text, each once.
func (v *View) links() (all []string) {
	for _, l := range v.leaves {
		for _, s := range l.spans {
			if s.link != "" && !slices.Contains(all, s.link) {
				all = append(all, s.link)
			}
		}
	}
	return all
}

// chooseLink lets the keyboard choose among links.
func (v *View) chooseLink(links []string) {
	c := fyne.CurrentApp().Driver().CanvasForObject(v)
	if c == nil {
		return
	}
	var items []*fyne.MenuItem
	for _, to := range links[:min(len(links), mostLinks)] {
		shown := []rune(readLink(to).shown)
		if len(shown) > longestLink {
			shown = append(shown[:longestLink], '…')
		}
		items = append(items, fyne.NewMenuItem(string(shown), func() { v.follow(to) }))
	}
	widget.ShowPopUpMenuAtPosition(fyne.NewMenu("", items...), c, v.corner())
}

// Bounds of the menu of links.
const mostLinks, longestLink = 20, 60

// follow shows where a link leads, and opens it if the user agrees.
func (v *View) follow(to string) {
	window := windowOf(v)
	if window == nil {
		return
	}
	l := readLink(to)
	address := New()
	address.SetPlain(l.shown, Plain{})
	text := look.T("markdown.linkLeads")
	if !l.open {
		text = look.T("markdown.linkRefused")
	}
	said := widget.NewLabel(text)
	said.Wrapping = fyne.TextWrapWord
	content := container.NewVBox(said, container.NewPadded(address))
	d := dialog.NewCustomWithoutButtons(look.T("markdown.link"), content, window)
	copied := newKeyButton(look.T("markdown.copyAddress"), func() {
		fyne.CurrentApp().Clipboard().SetContent(l.shown)
		d.Hide()
	})
	buttons := []fyne.CanvasObject{newKeyButton(look.T("markdown.cancel"), func() { d.Hide() }), copied}
	if l.open {
		open := newKeyButton(look.T("markdown.open"), func() {
			d.Hide()
			if err := fyne.CurrentApp().OpenURL(l.url); err != nil {
				dialog.ShowError(err, window)
			}
		})
		open.Importance = widget.HighImportance
		buttons = append(buttons, open)
	}
	d.SetButtons(buttons)
	d.Resize(fyne.NewSize(460, 0))
	d.Show()
	window.Canvas().Focus(buttons[len(buttons)-1].(fyne.Focusable))
}

func windowOf(o fyne.CanvasObject) fyne.Window {
	driver := fyne.CurrentApp().Driver()
	c := driver.CanvasForObject(o)
	for _, w := range driver.AllWindows() {
		if w.Canvas() == c {
			return w
		}
	}
	return nil
}

// languageName is how a fence's language is shown.
func languageName(lang string) string {
	if len(lang) > 24 {
		return ""
	}
	return clean(lang)
}

// Package locale gives the process a locale that can be read, where it has none
// (LANG=C) or one that nobody knows (LANG=xx_YY), before any package of Fyne
// asks for it: Fyne logs an error each time otherwise.
//
// Fyne first asks while it is initialized, so importing this package is all
// there is to do. Go initializes packages in the order of their import paths,
// as far as their dependencies allow; therefore this one is a module of its
// own, whose path comes before Fyne's.
package locale

import (
	"os"
	"strings"

	"golang.org/x/text/language"
)

// Default is the locale of a process that has none that can be read.
const Default = "en_US.UTF-8"

func init() { Settle(os.Getenv, os.Setenv) }

// Settle puts Default in the place of a locale that cannot be read, and leaves
// out what is not read of others: "de_DE@euro" becomes "de_DE".
func Settle(getenv func(string) string, setenv func(name, value string) error) {
	set := func(name, value string) {
		if getenv(name) != value {
			_ = setenv(name, value) // the names are sound, and that is all that can be wrong
		}
	}
	found := "LANG"
	for _, name := range []string{"LC_ALL", "LC_MESSAGES", "LANG"} { // the first one counts
		if getenv(name) != "" {
			found = name
			break
		}
	}
	value, _, _ := strings.Cut(getenv(found), "@")
	if !readable(value) {
		value = Default
	}
	set(found, value)

	var wanted []string // LANGUAGE lists several
	for _, l := range strings.Split(getenv("LANGUAGE"), ":") {
		if l, _, _ = strings.Cut(l, "@"); readable(l) {
			wanted = append(wanted, l)
		}
	}
	set("LANGUAGE", strings.Join(wanted, ":"))
}

// readable reports whether a locale names a language.
func readable(locale string) bool {
	name, _, _ := strings.Cut(locale, ".")
	if name == "" || name == "C" || name == "POSIX" {
		return false
	}
	_, err := language.Parse(strings.ReplaceAll(name, "_", "-"))
	return err == nil
}

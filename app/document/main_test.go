package document

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
)

// TestMain lets the test binary stand in for the program as a PDF's reader, and
// for readers that go wrong.
func TestMain(m *testing.M) {
	RunExtractor()
	if len(os.Args) > 1 {
		switch os.Args[1] {
		case "hang":
			fmt.Println(`{"ready":true}` + "\n" + `{"pages":2}` + "\n" + `{"page":1,"text":"one"}`)
			time.Sleep(time.Hour)
		case "crash":
			fmt.Println(`{"ready":true}` + "\n" + `{"pages":2}` + "\n" + `{"page":1,"text":"one"}`)
			panic("on purpose")
		case "garbage":
			fmt.Println("{}")
			os.Exit(0)
		case "flood":
			fmt.Println(`{"ready":true}` + "\n" + `{"pages":2}`)
			for line := strings.Repeat("x", 1<<20); ; {
				if _, err := fmt.Print(line); err != nil {
					os.Exit(1)
				}
			}
		case "onebad":
			fmt.Println(`{"ready":true}` + "\n" + `{"pages":2}` + "\n" + `{"page":1,"error":"bad"}` + "\n" + `{"page":2,"text":"two"}` + "\n" + `{"done":true}`)
			os.Exit(0)
		}
	}
	os.Exit(m.Run())
}

func testOptions(testing.TB) Options { return Options{} }

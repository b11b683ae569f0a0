package document

import "testing"

func testOptions(t testing.TB) Options { return Options{} }

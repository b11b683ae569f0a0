//go:build race

package chatview

// slower is how much longer all takes under the race detector.
const slower = 10

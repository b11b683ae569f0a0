//go:build !race

package chatview

const slower = 1

// Package models shows the model that is loaded and lets another be chosen:
// the button at the top of the window with the progress of loading, the chooser
// of model, precision and device with the exact memory that it takes, downloads
// and imports, and the card of the first run.
//
// Views show snapshots of the session and send it commands; what takes time is
// asked off Fyne's goroutine. All methods are for Fyne's goroutine.
package models

// Package store keeps what the window shows: conversations with their messages
// and documents, saved states of the engine, settings and presets.
//
// All of it lies in Kestrel's folder, which library.Home names: $KESTREL_HOME,
// else kestrel in the system's place for user data (~/.local/share on Linux,
// ~/Library/Application Support on macOS, %LOCALAPPDATA% on Windows).
//
//	kestrel.db        SQLite: all but the states; beside it, while a program
//	                  runs, kestrel.db-wal and kestrel.db-shm
//	kestrel.lock      tells programs that have the data open of each other
//	states/ID.state   saved states, in the form of engine.State
//
// # Privacy
//
// Nothing here leaves the machine, and no error or log carries anything of a
// prompt, an answer or a document. Only the user can read the files (0600).
// What is deleted is kept for KeepDeleted, so that it can be restored, and is
// then overwritten; [Store.Purge] does that at once. To delete everything, end
// Kestrel and delete kestrel.db, kestrel.db-wal, kestrel.db-shm and states;
// the folder models beside them holds no conversations.
//
// # What lasts
//
// A write that returned without error is on the disk, through a kill and a
// power cut. A growing answer is written four times a second; see [Answer]. A
// state's file appears whole or not at all; see [Store.SaveState]. See [Open]
// for what happens after a kill and with a damaged database.
//
// # Several programs
//
// SQLite's locks order what several programs write, and each state has a file
// of its own, so none harms another. What must not be done while another
// works, such as declaring unfinished answers stopped, is done only by a
// program that finds no other; a locked file tells.
package store

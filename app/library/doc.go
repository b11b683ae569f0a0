// Package library keeps models on the disk: it downloads them from a hub in
// the manner of Hugging Face, registers those that lie elsewhere, lists,
// checks and removes them.
//
// Every model has a folder of its own below the library's, with a manifest
// that names its files, their sizes and their SHA-256. A file has its final
// name only when all of it is on the disk and its hash is the one the hub
// gives; until then it is a part, named after that hash, that a later [Library.Pull]
// resumes at the byte where it ends. A model that is updated stays usable
// until all of the new revision is there.
//
//	models/
//	  .locks/NAME.lock        held by the one process that writes the model
//	  NAME/manifest.json      see Manifest
//	  NAME/parts/HASH.part    what a pull has of a file so far
//	  NAME/COMMIT/REPO/…      the files, whole and checked
//
// Several processes may use one library: readers need no lock, writers of one
// model exclude each other. A Library's methods may be called from several
// goroutines. Progress callbacks come one at a time and must return soon.
package library

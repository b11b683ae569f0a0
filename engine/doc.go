// Package engine runs Falcon-Mamba and other Mamba-1 models wholly in Vulkan compute shaders.
//
//	model, err := engine.Open(ctx, "path/to/falcon-mamba-7b", engine.Options{})
//	session, err := model.NewSession()
//	err = session.Feed(ctx, model.Tokenizer().Encode("Hello", true), nil)
//	id, err := session.Next(ctx, sampler)
//
// A Session is a text's place in the model. What it remembers is a State of constant size, whatever the length of the
// text; State is a value that can be kept, cloned, saved to a file and put back.
//
// A Model is safe for concurrent use; a Session is for one goroutine at a time. Sessions of one model take turns on the
// device, a chunk or a token each, and never touch each other; those that write may do so side by side, for one reading of
// the weights a token (GenerateOptions.Together). Contexts cancel within one submission to the device, a fraction of a second
// of work; Generate has up to 50 ms more under way, and as much again to take it back.
//
// It does not provide conversations, documents or a user interface: these are built on it in app.
package engine

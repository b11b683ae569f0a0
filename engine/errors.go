package engine

import (
	"errors"

	"kestrel/engine/mamba"
	"kestrel/engine/vulkan"
	"kestrel/engine/weights"
)

// Kinds of errors, for errors.Is. The message of an error names the operation, the thing and a way out.
var (
	ErrBadModel          = weights.ErrBadModel          // the model's files are damaged or contradict themselves
	ErrUnsupported       = weights.ErrUnsupported       // a model or precision that Kestrel does not run
	ErrNoLoader          = vulkan.ErrNoLoader           // no Vulkan loader on this machine
	ErrNoDevice          = vulkan.ErrNoDevice           // no usable device, or none of the name asked for
	ErrDeviceLost        = vulkan.ErrDeviceLost         // the device stopped; the model must be opened again
	ErrDevice            = vulkan.ErrUnsupported        // something that the device cannot do
	ErrOutOfDeviceMemory = vulkan.ErrOutOfDeviceMemory  // the model or a session does not fit
	ErrOutOfHostMemory   = vulkan.ErrOutOfHostMemory    // the driver found no memory of the computer's
	ErrTooLong           = mamba.ErrTooLong             // a prompt too long for parallel prefill
	ErrNotFinite         = mamba.ErrNotFinite           // the logits are no numbers
	ErrEmptyPrompt       = errors.New("no tokens")      // nothing was fed
	ErrBadToken          = errors.New("bad token id")   // an id outside the vocabulary
	ErrStateMismatch     = errors.New("state mismatch") // a state of another model or tokenizer
	ErrBadState          = errors.New("bad state file") // a state file that is damaged
	ErrClosed            = vulkan.ErrClosed             // the model or session was closed
)

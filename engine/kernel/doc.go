// Package kernel is the Go face of the compute shaders: what each takes, its grid, and which variant serves.
//
// A kernel is a method of Encoder. Its doc comment gives shapes, slowest dimension first; activations and states are f32.
// Rows of activations and of weights are padded with zeros to Pad columns, which lets every kernel read 16 bytes at a
// time without a tail; callers say sizes without padding.
//
// It does not provide memory for activations, nor the order of kernels: that is the model's plan (package mamba).
package kernel

// Package mamba is the Mamba model on the device: its weights, the plan of one step and of one chunk, and sequences.
//
// The plan follows the paper (Gu and Dao, 2023, arXiv 2312.00752) with Falcon-Mamba's norms of dt, B and C
// (Zuo et al., 2024, arXiv 2410.05355). What a sequence remembers has a constant size, whatever its length; so every
// program is recorded once and replayed, and only the ids of its tokens change. Where steps are fast the device chooses
// these itself, and the host reads behind (Sequence.Ahead).
package mamba

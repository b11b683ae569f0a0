// Dot products of ROWS weight rows with TOKS activation rows, lanes along the columns.
//
// The including file defines LOCAL, ROWS, TOKS, the array `sums` (team.glsl) and
//     vec4 activation(uint token, uint i)   // columns 4i..4i+3 of one activation row
// Activation rows are padded like weight rows; what stands in the padding must be finite (it meets zero weights).
#ifndef ROWDOT_GLSL
#define ROWDOT_GLSL

// touch asks for every cache line of the rows' first plane before they are needed. Drivers that run on the CPU load lane
// by lane, and wait for memory at each; here all lanes miss together. GPUs have other threads to run meanwhile.
void touch(const uint first, const uint rows, const uint units) {
#ifdef WIDE
    const uint LINE_UNITS = 64u / LOW_BYTES; // units in 64 bytes
    const uint from = min(first, rows - 1u) * units;
    const uint to = min(first + ROWS, rows) * units;
    uint seen = 0u;
    for (uint i = from + gl_LocalInvocationIndex * LINE_UNITS; i < to; i += LOCAL * LINE_UNITS)
        seen |= weights4[i * (LOW_BYTES / 4u)];
    if (rows == 0u) sums[0] = uintBitsToFloat(seen); // never so: only to keep the loads
#endif
}

// sums[r * TOKS + t] = row first + r with token t, over this lane's columns only.
void rowdot(const uint first, const uint rows, const uint units) {
    [[unroll]] for (uint i = 0u; i < ROWS * TOKS; i++) sums[i] = 0.0;
    touch(first, rows, units);
    for (uint u = gl_LocalInvocationIndex; u < units; u += LOCAL) {
        Packed q[ROWS];
        // Rows past the end repeat the last one: no branch around the loads; their sums are never stored.
        [[unroll]] for (uint r = 0u; r < ROWS; r++) q[r] = fetch(min(first + r, rows - 1u) * units + u, rows * units);
#if PER > 16 && defined(WIDE) // on a CPU shorter code is faster
        [[dont_unroll]] for (uint g = 0u; g < GROUPS; g++) {
#else
        [[unroll]] for (uint g = 0u; g < GROUPS; g++) {
#endif
            vec4 x[TOKS * GROUP4];
            [[unroll]] for (uint t = 0u; t < TOKS; t++)
                [[unroll]] for (uint k = 0u; k < GROUP4; k++)
                    x[t * GROUP4 + k] = activation(t, u * PER4 + g * GROUP4 + k);
            [[unroll]] for (uint r = 0u; r < ROWS; r++) {
                vec4 w[GROUP4];
                [[unroll]] for (uint k = 0u; k < GROUP4; k++) w[k] = part(q[r], g, k);
                [[unroll]] for (uint t = 0u; t < TOKS; t++) {
                    float s = 0.0;
                    [[unroll]] for (uint k = 0u; k < GROUP4; k++)
                        [[unroll]] for (uint i = 0u; i < 4u; i++) s = fma(w[k][i], x[t * GROUP4 + k][i], s);
                    sums[r * TOKS + t] = fma(s, factor(q[r], g), sums[r * TOKS + t]);
                }
            }
        }
    }
}

#endif

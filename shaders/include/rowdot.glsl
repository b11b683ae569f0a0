// Dot products of ROWS weight rows with TOKS activation rows, lanes along the columns.
//
// The including file defines LOCAL, ROWS, TOKS, the array `sums` (team.glsl) and
//     vec4 activation(uint token, uint i)   // columns 4i..4i+3 of one activation row
// Activation rows are padded like weight rows; what stands in the padding must be finite (it meets zero weights).
#ifndef ROWDOT_GLSL
#define ROWDOT_GLSL

// touch asks for every cache line of the rows before they are needed. Drivers that run on the CPU load lane by lane, and
// wait for memory at each; here all lanes miss together. GPUs have other threads to run meanwhile.
void touch(const uint first, const uint rows, const uint units) {
#ifdef WIDE
    const uint LINE = 4u; // units in 64 bytes
    const uint from = min(first, rows - 1u) * units;
    const uint to = min(first + ROWS, rows) * units;
    uint seen = 0u;
    for (uint i = from + gl_LocalInvocationIndex * LINE; i < to; i += LOCAL * LINE) seen |= words(weights[i]).x;
    if (rows == 0u) sums[0] = uintBitsToFloat(seen); // never so: only to keep the loads
#endif
}

// sums[r * TOKS + t] = row first + r with token t, over this lane's columns only.
void rowdot(const uint first, const uint rows, const uint units) {
    [[unroll]] for (uint i = 0u; i < ROWS * TOKS; i++) sums[i] = 0.0;
    touch(first, rows, units);
    for (uint u = gl_LocalInvocationIndex; u < units; u += LOCAL) {
        vec4 x[TOKS * PER4];
        [[unroll]] for (uint t = 0u; t < TOKS; t++)
            [[unroll]] for (uint i = 0u; i < PER4; i++) x[t * PER4 + i] = activation(t, u * PER4 + i);
        [[unroll]] for (uint r = 0u; r < ROWS; r++) {
            // Rows past the end repeat the last one: no branch around the loads; their sums are never stored.
            const uint unit = min(first + r, rows - 1u) * units + u;
            vec4 w[PER4];
            unpack_unit(words(weights[unit]), w);
            const float scale = unit_scale(unit);
            [[unroll]] for (uint t = 0u; t < TOKS; t++) {
                float s = 0.0;
                [[unroll]] for (uint i = 0u; i < PER4; i++)
                    [[unroll]] for (uint k = 0u; k < 4u; k++) s = fma(w[i][k], x[t * PER4 + i][k], s);
                sums[r * TOKS + t] = fma(s, scale, sums[r * TOKS + t]);
            }
        }
    }
}

#endif

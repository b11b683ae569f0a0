// Dot products of ROWS weight rows with TOKS activation rows, lanes along the columns.
//
// The including file defines LOCAL, ROWS, TOKS, the array `sums` (team.glsl) and
//     vec4 activation(uint token, uint i)   // columns 4i..4i+3 of one activation row
// Activation rows are padded like weight rows; what stands in the padding must be finite (it meets zero weights).
#ifndef ROWDOT_GLSL
#define ROWDOT_GLSL

// sums[r * TOKS + t] = row first + r with token t, over this lane's columns only.
void rowdot(const uint first, const uint rows, const uint units) {
    [[unroll]] for (uint i = 0u; i < ROWS * TOKS; i++) sums[i] = 0.0;
    for (uint u = gl_LocalInvocationIndex; u < units; u += LOCAL) {
        vec4 x[TOKS * PER4];
        [[unroll]] for (uint t = 0u; t < TOKS; t++)
            [[unroll]] for (uint i = 0u; i < PER4; i++) x[t * PER4 + i] = activation(t, u * PER4 + i);
        [[unroll]] for (uint r = 0u; r < ROWS; r++) {
            // Rows past the end repeat the last one: no branch around the loads; their sums are never stored.
            const uint unit = min(first + r, rows - 1u) * units + u;
            vec4 w[PER4];
            unpack_unit(weights[unit], w);
            const float scale = unit_scale(unit);
            [[unroll]] for (uint t = 0u; t < TOKS; t++) {
                float s = dot(w[0], x[t * PER4]);
                [[unroll]] for (uint i = 1u; i < PER4; i++) s += dot(w[i], x[t * PER4 + i]);
                sums[r * TOKS + t] = fma(s, scale, sums[r * TOKS + t]);
            }
        }
    }
}

#endif

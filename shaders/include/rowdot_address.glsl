// Dot products of ROWS weight rows with one activation row, lanes along the columns, for drivers that run shaders on the
// CPU and keep what all lanes share in scalars (llvmpipe from Mesa 26 on).
//
// There a load at one lane's own place costs many times an addition. But loads at places that all lanes share are scalar,
// and eight of neighbouring words, of which each lane takes one, become one load of a vector: if nothing checks bounds
// between them, so weights are read through the slab's address. LOCAL is the subgroup's exact width: 8.
//
// The including file defines LOCAL, ROWS, the array `sums` (team.glsl), p.slab (the address), and
//     vec2 activation(uint i)   // columns 2i and 2i+1 of the activation row
// for each i once, of a whole step of columns; what stands in the padding must be finite (it meets zero weights).
#ifndef ROWDOT_ADDRESS_GLSL
#define ROWDOT_ADDRESS_GLSL

#extension GL_EXT_buffer_reference : require
#extension GL_EXT_buffer_reference_uvec2 : require

layout(buffer_reference, std430, buffer_reference_align = 4) readonly buffer Words { uint w[]; };

#if defined(W_Q4_K)
const uint STEP = 64u; // columns that a lane takes PAIRS pairs of
#else
const uint STEP = 32u;
#endif
const uint STEP_WORDS = STEP * LOW_BYTES / PER / 4u;
const uint PAIRS = STEP / 16u;

// spread gives each lane one of eight neighbouring words.
uint spread(Words b, const uint at) {
    uint all[8];
    [[unroll]] for (uint i = 0u; i < 8u; i++) all[i] = b.w[at + i]; // before the choice: a branch around a load would keep it single
    uint mine = all[0];
    [[unroll]] for (uint i = 1u; i < 8u; i++) mine = mix(mine, all[i], gl_SubgroupInvocationID == i);
    return mine;
}

// pair is which two columns of a step stand k-th in this lane.
uint pair(const uint k) {
    const uint lane = gl_SubgroupInvocationID;
#if defined(W_Q8_0)
    return 2u * lane + k;
#elif defined(W_Q4_K)
    return 16u * (lane >> 2) + 8u * (k >> 1) + 2u * (lane & 3u) + (k & 1u);
#else
    return 8u * k + lane;
#endif
}

// along is this lane's part of a step of one row, whose first unit is the given one of the slab's count.
float along(Words b, const uint unit, const uint count, const vec2 x[PAIRS]) {
    const uint at = unit * (LOW_BYTES / 4u);
    float s = 0.0;
#if defined(W_Q8_0)
    const int q = int(spread(b, at));
    s = fma(float(q << 24 >> 24), x[0].x, s);
    s = fma(float(q << 16 >> 24), x[0].y, s);
    s = fma(float(q << 8 >> 24), x[1].x, s);
    s = fma(float(q >> 24), x[1].y, s);
    return s * unpackHalf2x16(b.w[4u * count + (unit >> 2)] >> (unit & 2u) * 8u).x;
#elif defined(W_Q4_K)
    const uint q = spread(b, at);
    const uint head = 4u * (count + (unit >> 3));
    const uint j = (unit & 7u) + (gl_SubgroupInvocationID >> 2); // a step is two units
    const uint low = ((unit & 4u) == 0u ? b.w[head + 1u] : b.w[head + 2u]) >> 8u * (j & 3u);
    const uint high = b.w[head + 3u] >> 4u * j;
    const vec2 line = unpackHalf2x16(b.w[head]) * vec2(int((low & 15u) | (high & 3u) << 4), int((low >> 4 & 15u) | (high & 12u) << 2));
    [[unroll]] for (uint k = 0u; k < 4u; k++) {
        const uint c = q >> 4u * (k >> 1) + 16u * (k & 1u);
        s = fma(fma(float(int(c & 15u)), line.x, -line.y), x[k].x, s);
        s = fma(fma(float(int(c >> 8 & 15u)), line.x, -line.y), x[k].y, s);
    }
    return s;
#else
    [[unroll]] for (uint k = 0u; k < 2u; k++) {
        const uint q = spread(b, at + 8u * k);
#ifdef W_F16
        const vec2 w = unpackHalf2x16(q);
#else
        const vec2 w = uintBitsToFloat(uvec2(q << 16, q & 0xffff0000u));
#endif
        s = fma(w.x, x[k].x, s);
        s = fma(w.y, x[k].y, s);
    }
    return s;
#endif
}

// sums[r] = row first + r over this lane's columns only.
void rowdot(const uint first, const uint rows, const uint units) {
    Words b = Words(p.slab);
    const uint steps = units * PER / STEP, step_units = STEP / PER;
    [[unroll]] for (uint r = 0u; r < ROWS; r++) sums[r] = 0.0;
    for (uint c = 0u; c < steps; c++) {
        vec2 x[PAIRS];
        [[unroll]] for (uint k = 0u; k < PAIRS; k++) x[k] = activation(c * (STEP / 2u) + pair(k));
        // llvmpipe runs a loop's body once more when it is over, with no lane active: scalar loads must stay in bounds then.
        const uint unit = min(c, steps - 1u) * step_units;
        // Rows past the end repeat the last one: no branch around the loads; their sums are never stored.
        [[unroll]] for (uint r = 0u; r < ROWS; r++)
            sums[r] += along(b, min(first + r, rows - 1u) * units + unit, rows * units, x);
    }
}

#endif

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

#if PER == 32
const uint STEP = 64u; // columns taken at a time
#else
const uint STEP = 32u;
#endif

// Taken is what a lane takes of a step of the activation row.
struct Taken {
#if PER == 32
    vec4 low, high; // four columns for each half of its word's bytes
    float lows, highs; // their sums
#else
    vec2 x[2];
#endif
};

// spread gives each lane one of eight neighbouring words.
uint spread(Words b, const uint at) {
    uint all[8];
    [[unroll]] for (uint i = 0u; i < 8u; i++) all[i] = b.w[at + i]; // before the choice: a branch around a load would keep it single
    uint mine = all[0];
    [[unroll]] for (uint i = 1u; i < 8u; i++) mine = mix(mine, all[i], gl_SubgroupInvocationID == i);
    return mine;
}

Taken take(const uint step) {
    const uint lane = gl_SubgroupInvocationID;
    Taken t;
#if PER == 32
    const uint at = step * (STEP / 2u) + 16u * (lane >> 2) + 2u * (lane & 3u);
    t.low = vec4(activation(at), activation(at + 1u));
    t.high = vec4(activation(at + 8u), activation(at + 9u));
    t.lows = t.low.x + t.low.y + t.low.z + t.low.w;
    t.highs = t.high.x + t.high.y + t.high.z + t.high.w;
#else
    [[unroll]] for (uint k = 0u; k < 2u; k++)
#ifdef W_Q8_0
        t.x[k] = activation(step * (STEP / 2u) + 2u * lane + k);
#else
        t.x[k] = activation(step * (STEP / 2u) + 8u * k + lane);
#endif
#endif
    return t;
}

#if PER == 32
// ours is what belongs to this lane's unit of a step's two.
uint ours(const uint first, const uint second) { return mix(first, second, gl_SubgroupInvocationID >= 4u); }

// codes4 adds the codes of four bytes with their columns.
float codes4(const uint c, const vec4 x, const float s) {
    return fma(float(int(c & 255u)), x.x, fma(float(int(c >> 8 & 255u)), x.y, fma(float(int(c >> 16 & 255u)), x.z, fma(float(int(c >> 24)), x.w, s))));
}
#endif

// along is this lane's part of a step of one row, whose first unit is the given one of the slab's count.
float along(Words b, const uint unit, const uint count, const Taken t) {
    const uint at = unit * (LOW_BYTES / 4u);
    float s = 0.0;
#if defined(W_Q8_0)
    const int q = int(spread(b, at));
    s = fma(float(q << 24 >> 24), t.x[0].x, s);
    s = fma(float(q << 16 >> 24), t.x[0].y, s);
    s = fma(float(q << 8 >> 24), t.x[1].x, s);
    s = fma(float(q >> 24), t.x[1].y, s);
    return s * unpackHalf2x16(b.w[4u * count + (unit >> 2)] >> (unit & 2u) * 8u).x;
#elif PER == 32
    const uint q = spread(b, at);
    uint low = q & 0x0f0f0f0fu, high = q >> 4 & 0x0f0f0f0fu;
#if defined(W_Q6_K)
    const uint plane = 4u * count + 2u * unit, two = 2u * (gl_SubgroupInvocationID & 3u);
    low |= (ours(b.w[plane], b.w[plane + 2u]) >> two & 0x03030303u) << 4;
    high |= (ours(b.w[plane + 1u], b.w[plane + 3u]) >> two & 0x03030303u) << 4;
    const uint scales = b.w[6u * count + (unit >> 1)];
    const int pair = int(ours(scales << 16, scales));
    s = float(pair << 8 >> 24) * codes4(low, t.low, -float(OFFSET) * t.lows);
    s = fma(float(pair >> 24), codes4(high, t.high, -float(OFFSET) * t.highs), s);
    return s * unpackHalf2x16(b.w[6u * count + count / 2u + (unit >> 4)] >> (unit & 8u) * 2u).x;
#else
#ifdef W_Q5_K
    const uint plane = 4u * count + count / 2u + unit;
    const uint fifth = ours(b.w[plane], b.w[plane + 1u]) >> (gl_SubgroupInvocationID & 3u);
    low |= (fifth & 0x01010101u) << 4;
    high |= fifth & 0x10101010u;
#endif
    const uint head = 4u * (count + (unit >> 3)), j = (unit & 7u) + (gl_SubgroupInvocationID >> 2);
    const uint fours = ((unit & 4u) == 0u ? b.w[head + 1u] : b.w[head + 2u]) >> 8u * (j & 3u);
    const uint twos = b.w[head + 3u] >> 4u * j;
    const vec2 line = unpackHalf2x16(b.w[head]) * vec2(int((fours & 15u) | (twos & 3u) << 4), int((fours >> 4 & 15u) | (twos & 12u) << 2));
    return fma(line.x, codes4(low, t.low, codes4(high, t.high, 0.0)), -line.y * (t.lows + t.highs));
#endif
#else
    [[unroll]] for (uint k = 0u; k < 2u; k++) {
        const uint q = spread(b, at + 8u * k);
#ifdef W_F16
        const vec2 w = unpackHalf2x16(q);
#else
        const vec2 w = uintBitsToFloat(uvec2(q << 16, q & 0xffff0000u));
#endif
        s = fma(w.x, t.x[k].x, s);
        s = fma(w.y, t.x[k].y, s);
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
        const Taken t = take(c);
        // llvmpipe runs a loop's body once more when it is over, with no lane active: scalar loads must stay in bounds then.
        const uint unit = min(c, steps - 1u) * step_units;
        // Rows past the end repeat the last one: no branch around the loads; their sums are never stored.
        [[unroll]] for (uint r = 0u; r < ROWS; r++)
            sums[r] += along(b, min(first + r, rows - 1u) * units + unit, rows * units, t);
    }
}

#endif

// Dot products of ROWS weight rows with TOKS activation rows, for drivers that run shaders on the CPU and keep what all lanes
// share in scalars (llvmpipe from Mesa 26 on). Of each eight neighbouring columns a lane takes one.
//
// There a load at one lane's own place costs many times an addition. But loads at places that all lanes share are scalar,
// and eight neighbours, of which each lane takes one, become one load of a vector, if the compiler sees that they are
// neighbours: at one 64-bit address plus constants, with no 32-bit index between, which might wrap, and no bounds checked.
// So each plane of the weights (storage.go) is read through its own address, which moves by a stride from row to row, and
// so are the activations. LOCAL is the subgroup's exact width: 8.
//
// Loops have their condition last: where it comes first llvmpipe runs the body once more, with no lane active, which takes its
// time and must load nothing past an end.
//
// The including file defines LOCAL, ROWS, TOKS, the array `sums` (team.glsl), p.slab (the address), SPAN: how many times 32 columns
// are taken at a time, of which rows are whole multiples (4 where PER is 32), TOUCH: whether
// ROWS of them have 16 cache lines of the first plane, and
//     float activation(uint token, uint64_t at)   // this lane's of the eight floats `at` bytes after a row's beginning
// for each of a span; what stands in the padding must be finite (it meets zero weights). The slab has at least ROWS rows.
#ifndef ROWDOT_ADDRESS_GLSL
#define ROWDOT_ADDRESS_GLSL

#extension GL_KHR_shader_subgroup_ballot : require

// Place is where a span of one row lies in each plane, or how far the next row's lies from it.
struct Place {
    uint64_t low, high, scale, head;
};

// place is that of a number of units from the planes' beginnings on.
Place place(const uint units) {
    const uint64_t n = units;
    Place at = Place(n * LOW_BYTES, 0ul, 0ul, 0ul);
#ifdef W_Q8_0
    at.scale = n; // 2 bytes for two units
#elif defined(W_Q6_K)
    at.high = n * 8ul;
    at.scale = n * 2ul;
    at.head = (n >> 3) * 2ul;
#elif PER == 32
    at.head = (n >> 3) * 16ul;
    at.high = n * 4ul;
#endif
    return at;
}

// planes is where the planes of a slab of `count` units begin.
Place planes(const uint64_t slab, const uint64_t count) {
    Place at = Place(slab, slab, slab, slab);
#ifdef W_Q8_0
    at.scale += count * 16ul;
#elif defined(W_Q6_K)
    at.high += count * 16ul;
    at.scale += count * 24ul;
    at.head += count * 26ul;
#elif PER == 32
    at.head += count * 16ul;
    at.high += count * 18ul;
#endif
    return at;
}

Place plus(const Place a, const Place b) { return Place(a.low + b.low, a.high + b.high, a.scale + b.scale, a.head + b.head); }

// The activations of a span: taken[k TOKS + t] is of column 8 k + lane. What offsets of weights need of them stands beside.
float taken[4u * SPAN * TOKS];
#ifdef W_Q6_K
float offsets[2u * SPAN * TOKS]; // -OFFSET times the sum of each two
#elif PER == 32
float totals[SPAN * TOKS]; // of each four
#endif

void take(const uint64_t at) {
    [[unroll]] for (uint t = 0u; t < TOKS; t++) {
        [[unroll]] for (uint k = 0u; k < 4u * SPAN; k++) taken[k * TOKS + t] = activation(t, at + 32u * k);
#ifdef W_Q6_K
        [[unroll]] for (uint g = 0u; g < 2u * SPAN; g++)
            offsets[g * TOKS + t] = -float(OFFSET) * (taken[2u * g * TOKS + t] + taken[(2u * g + 1u) * TOKS + t]);
#elif PER == 32
        [[unroll]] for (uint u = 0u; u < SPAN; u++)
            totals[u * TOKS + t] = (taken[4u * u * TOKS + t] + taken[(4u * u + 1u) * TOKS + t]) + (taken[(4u * u + 2u) * TOKS + t] + taken[(4u * u + 3u) * TOKS + t]);
#endif
    }
}

#if PER == 32
// bits_of are a code's high bits, in the places where they belong, from this lane's of a word of them.
uint bits_of(const uint word, const uint k) {
#ifdef W_Q6_K
    const uint v = word >> (8u * (gl_SubgroupInvocationID & 3u) + 2u * (gl_SubgroupInvocationID >> 2));
    return ((k & 1u) == 0u ? v << 4 : v) & 0x30u;
#else
    const uint v = word >> (8u * (gl_SubgroupInvocationID & 3u) + (gl_SubgroupInvocationID >> 2));
    return (k < 2u ? v << (4u - 2u * k) : v >> (2u * k - 4u)) & 0x10u;
#endif
}
#endif

// MEET adds a weight with the activations of its column, which is the k-th of this lane's. (As a function of an array it
// would be copied at each of a thousand places.)
#define MEET(s, weight, k)                                                                                     \
    {                                                                                                         \
        const float w = weight;                                                                               \
        [[unroll]] for (uint t = 0u; t < TOKS; t++) s[t] = fma(w, taken[(k) * TOKS + t], s[t]);              \
    }

// along adds this lane's part of a span of row r, which lies r strides after the place, the given unit of its row.
void along(const Place at, const Place stride, const uint r, const uint unit) {
    const uint64_t low = at.low + r * stride.low;
    float sum[TOKS], s[TOKS];
    [[unroll]] for (uint t = 0u; t < TOKS; t++) sum[t] = 0.0;
#if defined(W_Q8_0)
    const float scales = unpackHalf2x16(uint(spread_halves(at.scale + r * stride.scale, SPAN))).x;
    [[unroll]] for (uint u = 0u; u < SPAN; u++) {
        [[unroll]] for (uint t = 0u; t < TOKS; t++) s[t] = 0.0;
        [[unroll]] for (uint k = 0u; k < 4u; k++) MEET(s, float(int(spread_signed(low + 32u * u + 8u * k, 8u))), 4u * u + k)
        const float scale = subgroupBroadcast(scales, u);
        [[unroll]] for (uint t = 0u; t < TOKS; t++) sum[t] = fma(s[t], scale, sum[t]);
    }
#elif PER == 32
#ifdef W_Q6_K
    const float line = float(int(spread_signed(at.scale + r * stride.scale, 8u)));
#else
    // Lanes 0 to 3 take the scales of four units, 4 to 7 their minima.
    Words head = Words(at.head + r * stride.head);
    const uint lane = gl_SubgroupInvocationID & 3u;
    const bool least = gl_SubgroupInvocationID >= 4u;
    const uint fours = (unit & 4u) == 0u ? head.w[1] : head.w[2];
    const uint twos = head.w[3] >> 4u * (unit & 4u);
    const uint code = (fours >> 8u * lane + (least ? 4u : 0u) & 15u) | (twos >> 4u * lane + (least ? 2u : 0u) & 3u) << 4;
    const vec2 factors = unpackHalf2x16(head.w[0]);
    const float line = float(int(code)) * (least ? -factors.y : factors.x);
#endif
#ifndef W_Q4_K
    Words plane = Words(at.high + r * stride.high);
#endif
    [[unroll]] for (uint u = 0u; u < SPAN; u++) {
        [[unroll]] for (uint t = 0u; t < TOKS; t++) s[t] = 0.0;
        [[unroll]] for (uint k = 0u; k < 4u; k++) {
            const uint pair = uint(spread_bytes(low + 16u * u + 8u * (k & 1u), 8u));
            uint c = k < 2u ? pair & 15u : pair >> 4;
#ifdef W_Q5_K
            c |= bits_of(plane.w[u], k);
#elif defined(W_Q6_K)
            c |= bits_of(plane.w[2u * u + (k >> 1)], k);
            if ((k & 1u) == 0u) [[unroll]] for (uint t = 0u; t < TOKS; t++) s[t] = offsets[(2u * u + (k >> 1)) * TOKS + t];
#endif
            MEET(s, float(int(c)), 4u * u + k)
#ifdef W_Q6_K // each 16 columns have a scale
            const float scale = subgroupBroadcast(line, 2u * u + (k >> 1));
            if ((k & 1u) == 1u) [[unroll]] for (uint t = 0u; t < TOKS; t++) sum[t] = fma(s[t], scale, sum[t]);
#endif
        }
#ifndef W_Q6_K
        const float scale = subgroupBroadcast(line, u), minimum = subgroupBroadcast(line, 4u + u);
        [[unroll]] for (uint t = 0u; t < TOKS; t++) sum[t] = fma(s[t], scale, fma(totals[u * TOKS + t], minimum, sum[t]));
#endif
    }
#ifdef W_Q6_K
    const float block = half_of(at.head + r * stride.head);
    [[unroll]] for (uint t = 0u; t < TOKS; t++) sum[t] *= block;
#endif
#else
    [[unroll]] for (uint k = 0u; k < 4u * SPAN; k++) {
        const uint half_word = uint(spread_halves(low + 16u * k, 8u));
#ifdef W_F16
        MEET(sum, unpackHalf2x16(half_word).x, k)
#else
        MEET(sum, uintBitsToFloat(half_word << 16), k)
#endif
    }
#endif
    [[unroll]] for (uint t = 0u; t < TOKS; t++) sums[r * TOKS + t] += sum[t];
}

// touch asks for cache lines, at least 16, before they are needed: a processor waits for what is not
// in its caches, and only for what its next few hundred instructions load does it wait at once.
void touch(const uint64_t at, const uint lines) {
    uint seen = 0u;
    uint i = 0u;
    do {
        Words b = Words(at + uint64_t(min(i, lines - 16u)) * 64ul);
        [[unroll]] for (uint k = 0u; k < 16u; k++) seen |= b.w[16u * k];
        i += 16u;
    } while (i < lines);
    if (p.rows == 0u) sums[0] = uintBitsToFloat(seen); // never so: only to keep the loads
}

// sums[r * TOKS + t] = row first + r with token t, over this lane's columns only.
void rowdot(const uint first, const uint rows, const uint units) {
    const uint span_units = SPAN * 32u / PER, spans = units / span_units;
    const Place begin = planes(packUint2x32(p.slab), rows * units), stride = place(units);
    [[unroll]] for (uint i = 0u; i < ROWS * TOKS; i++) sums[i] = 0.0;
    if (TOUCH) touch(begin.low + uint64_t(first * units) * LOW_BYTES, ROWS * units * LOW_BYTES / 64u);
    uint c = 0u;
    do {
        const uint unit = c * span_units;
        take(uint64_t(c) * (SPAN * 128u));
        const Place at = plus(begin, place(first * units + unit));
        [[unroll]] for (uint r = 0u; r < ROWS; r++) along(at, stride, r, unit);
        c++;
    } while (c < spans);
}

#endif

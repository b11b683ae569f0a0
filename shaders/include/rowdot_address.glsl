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
// are taken at a time, of which rows are whole multiples (4 for types of 256 columns a block), TOUCH: whether
// ROWS of them have 16 cache lines of the first plane, and
//     float activation(uint token, uint64_t at)   // this lane's of the eight floats `at` bytes after a row's beginning
// for each of a span; what stands in the padding must be finite (it meets zero weights). The slab has at least ROWS rows.
#ifndef ROWDOT_ADDRESS_GLSL
#define ROWDOT_ADDRESS_GLSL

#extension GL_KHR_shader_subgroup_ballot : require

// The planes of each type (storage.go) behind the first: the bytes that stand before one for each unit of the slab. A head of HEAD_BYTES scales two to the
// power of HEAD_SHIFT units; where there are SIXTEENTHS each 16 columns have a byte besides.
#if defined(W_F32) || defined(W_F16) || defined(W_BF16)
#define PLAIN
#elif defined(W_Q8_0)
#define HEAD_AT 16ul
#define HEAD_SHIFT 1
#define HEAD_BYTES 2ul
#elif defined(W_Q4_0) || defined(W_IQ4_NL)
#define HEAD_AT 16ul
#define HEAD_SHIFT 0
#define HEAD_BYTES 2ul
#elif defined(W_Q4_1)
#define HEAD_AT 16ul
#define HEAD_SHIFT 0
#define HEAD_BYTES 4ul
#elif defined(W_Q5_0)
#define HIGH_AT 16ul
#define HEAD_AT 20ul
#define HEAD_SHIFT 0
#define HEAD_BYTES 2ul
#elif defined(W_Q5_1)
#define HIGH_AT 16ul
#define HEAD_AT 20ul
#define HEAD_SHIFT 0
#define HEAD_BYTES 4ul
#elif defined(W_NF4) || defined(W_FP4)
#define HEAD_AT 16ul
#define HEAD_SHIFT 1
#define HEAD_BYTES 4ul
#elif defined(W_Q2_K)
#define SIXTEENTHS_AT 8ul
#define HEAD_AT 10ul
#define HEAD_SHIFT 3
#define HEAD_BYTES 4ul
#elif defined(W_Q3_K)
#define HIGH_AT 8ul
#define SIXTEENTHS_AT 12ul
#define HEAD_AT 14ul
#define HEAD_SHIFT 3
#define HEAD_BYTES 2ul
#elif defined(W_Q4_K)
#define HEAD_AT 16ul
#define HEAD_SHIFT 3
#define HEAD_BYTES 16ul
#elif defined(W_Q5_K)
#define HEAD_AT 16ul
#define HEAD_SHIFT 3
#define HEAD_BYTES 16ul
#define HIGH_AT 18ul
#elif defined(W_Q6_K)
#define HIGH_AT 16ul
#define SIXTEENTHS_AT 24ul
#define HEAD_AT 26ul
#define HEAD_SHIFT 3
#define HEAD_BYTES 2ul
#elif defined(W_IQ4_XS)
#define HEAD_AT 16ul
#define HEAD_SHIFT 3
#define HEAD_BYTES 8ul
#endif

#ifdef SIXTEENTHS_AT
#define STEPS 2u // of eight columns that share a scale
#else
#define STEPS 4u
#endif

// Place is where a span of one row lies in each plane, or how far the next row's lies from it.
struct Place {
    uint64_t low, high, sixteenths, head;
};

// place is that of a number of units from the planes' beginnings on.
Place place(const uint units) {
    const uint64_t n = units;
    Place at = Place(n * LOW_BYTES, 0ul, 0ul, 0ul);
#ifdef HIGH2
    at.high = n * 8ul;
#elif defined(HIGH1)
    at.high = n * 4ul;
#endif
#ifdef SIXTEENTHS_AT
    at.sixteenths = n * 2ul;
#endif
#ifndef PLAIN
    at.head = (n >> HEAD_SHIFT) * HEAD_BYTES;
#endif
    return at;
}

// planes is where the planes of a slab of `count` units begin.
Place planes(const uint64_t slab, const uint64_t count) {
    Place at = Place(slab, slab, slab, slab);
#ifdef HIGH_AT
    at.high += count * HIGH_AT;
#endif
#ifdef SIXTEENTHS_AT
    at.sixteenths += count * SIXTEENTHS_AT;
#endif
#ifndef PLAIN
    at.head += count * HEAD_AT;
#endif
    return at;
}

Place plus(const Place a, const Place b) {
    return Place(a.low + b.low, a.high + b.high, a.sixteenths + b.sixteenths, a.head + b.head);
}

Place times(const Place a, const uint n) { return Place(n * a.low, n * a.high, n * a.sixteenths, n * a.head); }

// The activations of a span: taken[k TOKS + t] is of column 8 k + lane. Beside stand the sums of those that share a scale,
// times what is added to each code.
float taken[4u * SPAN * TOKS];
#if defined(OFFSET) || defined(LINE)
float totals[4u / STEPS * SPAN * TOKS];
#endif

void take(const uint64_t at) {
    [[unroll]] for (uint t = 0u; t < TOKS; t++) {
        [[unroll]] for (uint k = 0u; k < 4u * SPAN; k++) taken[k * TOKS + t] = activation(t, at + 32u * k);
#if defined(OFFSET) || defined(LINE)
        [[unroll]] for (uint g = 0u; g < 4u / STEPS * SPAN; g++) {
            const uint k = STEPS * g;
            float total = taken[k * TOKS + t] + taken[(k + 1u) * TOKS + t];
            if (STEPS == 4u) total += taken[(k + 2u) * TOKS + t] + taken[(k + 3u) * TOKS + t];
#ifdef OFFSET
            total *= -float(OFFSET);
#endif
            totals[g * TOKS + t] = total;
        }
#endif
    }
}

#if PER == 32
// bits_of are a code's high bits, in the places where they belong, from this lane's of a word of them.
uint bits_of(const uint word, const uint k) {
#ifdef HIGH2
    const uint v = word >> (8u * (gl_SubgroupInvocationID & 3u) + 2u * (gl_SubgroupInvocationID >> 2));
    return ((k & 1u) == 0u ? v << 4 : v) & 0x30u;
#else
#ifdef LOW2
    const uint bit = 2u;
#else
    const uint bit = 4u;
#endif
    const uint v = word >> (8u * (gl_SubgroupInvocationID & 3u) + (gl_SubgroupInvocationID >> 2));
    return (2u * k < bit ? v << (bit - 2u * k) : v >> (2u * k - bit)) & 1u << bit;
#endif
}

// code_of is the code of column 8 k + lane of a unit, given where its low and high bits lie.
uint code_of(const uint64_t low, const uint64_t high, const uint k) {
#ifdef LOW2
    Words plane = Words(low);
    uint c = plane.v[k >> 1] >> (8u * (gl_SubgroupInvocationID & 3u) + 2u * (gl_SubgroupInvocationID >> 2)) >> 4u * (k & 1u) & 3u;
#else
    const uint pair = uint(spread_bytes(low + 8u * (k & 1u), 8u));
    uint c = k < 2u ? pair & 15u : pair >> 4;
#endif
#if defined(HIGH1) || defined(HIGH2)
    Words bits = Words(high);
#ifdef HIGH2
    c |= bits_of(bits.v[k >> 1], k);
#else
    c |= bits_of(bits.v[0], k);
#endif
#endif
    return c;
}
#endif

// value_of is what the code of column 8 k + lane of the u-th 32 columns stands for, before it is scaled.
float value_of(const Place at, const uint u, const uint k) {
#if defined(W_F32)
    return spread_floats(at.low + 128u * u + 32u * k, 8u);
#elif defined(W_F16)
    return unpackHalf2x16(uint(spread_halves(at.low + 64u * u + 16u * k, 8u))).x;
#elif defined(W_BF16)
    return uintBitsToFloat(uint(spread_halves(at.low + 64u * u + 16u * k, 8u)) << 16);
#elif defined(W_Q8_0)
    return float(int(spread_signed(at.low + 32u * u + 8u * k, 8u)));
#else
#ifdef HIGH2
    const uint c = code_of(at.low + LOW_BYTES * u, at.high + 8u * u, k);
#else
    const uint c = code_of(at.low + LOW_BYTES * u, at.high + 4u * u, k);
#endif
#ifdef CODEBOOK
    return codebook(ivec4(int(c))).x;
#else
    return float(int(c));
#endif
#endif
}

// Scales of a span: this lane has one, and what is added to codes that stand for lines.
struct Scales {
    float scale, addend;
};

#ifndef PLAIN
Scales scales_of(const Place at, const uint unit) {
    const uint lane = gl_SubgroupInvocationID;
    Scales s = Scales(0.0, 0.0);
#if defined(W_Q2_K)
    const uint pair = uint(spread_bytes(at.sixteenths, 8u));
    Words head = Words(at.head);
    const vec2 factors = unpackHalf2x16(head.v[0]);
    s.scale = factors.x * float(int(pair & 15u));
    s.addend = -factors.y * float(int(pair >> 4));
#elif defined(SIXTEENTHS_AT)
    s.scale = half_of(at.head) * float(int(spread_signed(at.sixteenths, 8u)));
#elif defined(W_Q4_K) || defined(W_Q5_K)
    // Lanes 0 to 3 take the scales of four units, 4 to 7 their minima.
    Words head = Words(at.head);
    const bool least = lane >= 4u;
    const uint fours = (unit & 4u) == 0u ? head.v[1] : head.v[2];
    const uint twos = head.v[3] >> 4u * (unit & 4u);
    const uint code = (fours >> 8u * (lane & 3u) + (least ? 4u : 0u) & 15u) | (twos >> 4u * (lane & 3u) + (least ? 2u : 0u) & 3u) << 4;
    const vec2 factors = unpackHalf2x16(head.v[0]);
    s.scale = float(int(code)) * (least ? -factors.y : factors.x);
#elif defined(W_IQ4_XS)
    Words head = Words(at.head);
    const uint j = (unit & 4u) + (lane & 3u);
    const uint six = (head.v[1] >> 4u * j & 15u) | (head.v[0] >> 16u + 2u * j & 3u) << 4;
    s.scale = unpackHalf2x16(head.v[0]).x * float(int(six) - 32);
#elif defined(W_NF4) || defined(W_FP4)
    s.scale = spread_floats(at.head, (SPAN + 1u) / 2u);
#elif defined(LINE)
    const vec2 line = unpackHalf2x16(spread_words(at.head, SPAN));
    s.scale = line.x;
    s.addend = line.y;
#else
    s.scale = unpackHalf2x16(uint(spread_halves(at.head, SPAN))).x;
#endif
    return s;
}
#endif

// MEET adds a weight with the activations of its column, which is the k-th of this lane's. (As a function of an array it
// would be copied at each of a thousand places.)
#define MEET(s, weight, k)                                                                                     \
    {                                                                                                         \
        const float w = weight;                                                                               \
        [[unroll]] for (uint t = 0u; t < TOKS; t++) s[t] = fma(w, taken[(k) * TOKS + t], s[t]);              \
    }

// along adds this lane's part of a span of a row to the sums from the given one on; the span begins at a unit of its row.
void along(const Place at, const uint unit, const uint to) {
    float sum[TOKS];
    [[unroll]] for (uint t = 0u; t < TOKS; t++) sum[t] = 0.0;
#ifdef PLAIN
    [[unroll]] for (uint k = 0u; k < 4u * SPAN; k++) MEET(sum, value_of(at, k / 4u, k & 3u), k)
#else
    const Scales scales = scales_of(at, unit);
    float s[TOKS];
    [[unroll]] for (uint k = 0u; k < 4u * SPAN; k++) {
        const uint group = k / STEPS;
        if (k % STEPS == 0u) {
#ifdef OFFSET
            [[unroll]] for (uint t = 0u; t < TOKS; t++) s[t] = totals[group * TOKS + t];
#else
            [[unroll]] for (uint t = 0u; t < TOKS; t++) s[t] = 0.0;
#endif
        }
        MEET(s, value_of(at, k / 4u, k & 3u), k)
        if (k % STEPS == STEPS - 1u) {
#if defined(W_NF4) || defined(W_FP4)
            const float scale = subgroupBroadcast(scales.scale, group / 2u);
#else
            const float scale = subgroupBroadcast(scales.scale, group);
#endif
#ifdef LINE
#if defined(W_Q4_K) || defined(W_Q5_K)
            const float addend = subgroupBroadcast(scales.scale, 4u + group);
#else
            const float addend = subgroupBroadcast(scales.addend, group);
#endif
            [[unroll]] for (uint t = 0u; t < TOKS; t++) sum[t] = fma(totals[group * TOKS + t], addend, sum[t]);
#endif
            [[unroll]] for (uint t = 0u; t < TOKS; t++) sum[t] = fma(s[t], scale, sum[t]);
        }
    }
#endif
    [[unroll]] for (uint t = 0u; t < TOKS; t++) sums[to + t] += sum[t];
}

// touch asks for cache lines, at least 16, before they are needed: a processor waits for what is not
// in its caches, and only for what its next few hundred instructions load does it wait at once.
void touch(const uint64_t at, const uint lines) {
    uint seen = 0u;
    uint i = 0u;
    do {
        Words b = Words(at + uint64_t(min(i, lines - 16u)) * 64ul);
        [[unroll]] for (uint k = 0u; k < 16u; k++) seen |= b.v[16u * k];
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
        [[unroll]] for (uint r = 0u; r < ROWS; r++) along(plus(at, times(stride, r)), unit, r * TOKS);
        c++;
    } while (c < spans);
}

#endif

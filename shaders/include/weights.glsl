// Rows of weights in any storage type, as units of PER columns.
//
// The storage type comes by -D: W_F32, W_Q4_K and so on. Rows are whole units: those of float types are padded with zeros
// to 32 columns, those of the others are whole blocks. A slab holds its units' values, then what scales them, plane after
// plane; engine/kernel/storage.go makes that order from the file's and describes it.
//
//   Packed q = fetch(unit, count);   unit of the slab's count, from its first row on
//   part(q, g, k) * factor(q, g)     columns 16 g + 4 k … + 3 of the unit, bit for bit as engine/weights decodes them
// with g < GROUPS and k < GROUP4. Shaders call weights_begin() before the first of these.
#ifndef WEIGHTS_GLSL
#define WEIGHTS_GLSL

#if defined(W_F32)
#define PER 4
#elif defined(W_F16) || defined(W_BF16)
#define PER 8
#elif defined(W_Q8_0)
#define PER 16
#else
#define PER 32
#endif
#define PER4 (PER / 4)
#define GROUP4 (PER4 < 4 ? PER4 : 4)
#define GROUPS (PER4 / GROUP4)

// How the codes of 32 columns lie: four or two low bits, with one or two high bits apart.
#if defined(W_Q2_K) || defined(W_Q3_K)
#define LOW2
#define LOW_BYTES 8 // of a unit in the first plane
#else
#define LOW_BYTES 16
#endif
#if defined(W_Q5_0) || defined(W_Q5_1) || defined(W_Q5_K) || defined(W_Q3_K)
#define HIGH1
#elif defined(W_Q6_K)
#define HIGH2
#endif

// What a code stands for: itself less OFFSET, a line (LINE: code * scale + addend), or a value of a codebook.
#if defined(W_Q4_0)
#define OFFSET 8
#elif defined(W_Q5_0)
#define OFFSET 16
#elif defined(W_Q3_K)
#define OFFSET 4
#elif defined(W_Q6_K)
#define OFFSET 32
#elif defined(W_Q4_1) || defined(W_Q5_1) || defined(W_Q2_K) || defined(W_Q4_K) || defined(W_Q5_K)
#define LINE
#elif PER == 32
#include "codebook.glsl"
#endif

#include "load.glsl"

// The same bytes, for loads of each size.
layout(set = 0, binding = 0, std430) readonly buffer Weights16 { LOAD4 weights16[]; };
layout(set = 0, binding = 0, std430) readonly buffer Weights8 { LOAD2 weights8[]; };
layout(set = 0, binding = 0, std430) readonly buffer Weights4 { uint weights4[]; };

void weights_begin() {
#ifdef CODEBOOK
    codebook_begin();
#endif
}

struct Packed {
#ifdef LOW2
    uvec2 low;
#else
    uvec4 low;
#endif
#if defined(HIGH2)
    uvec2 high;
#elif defined(HIGH1)
    uint high;
#endif
    vec2 scale; // of each group
    vec2 addend;
};

// half_at is the i-th binary16 after a number of words.
float half_at(const uint word, const uint i) {
    const uint w = weights4[word + (i >> 1)];
    return unpackHalf2x16((i & 1u) == 0u ? w : w >> 16).x;
}

// pair_at is the i-th pair of bytes after a number of words.
uint pair_at(const uint word, const uint i) { return (weights4[word + (i >> 1)] >> ((i & 1u) * 16u)) & 0xffffu; }

// pair_signed is pair_at as two int8.
vec2 pair_signed(const uint word, const uint i) {
    const int w = int(weights4[word + (i >> 1)]) << ((i & 1u) == 0u ? 16 : 0);
    return vec2((w << 8) >> 24, w >> 24);
}

Packed fetch(const uint unit, const uint count) {
    Packed q;
    q.scale = vec2(1.0);
    q.addend = vec2(0.0);
#ifdef LOW2
    q.low = words(weights8[unit]);
#else
    q.low = words(weights16[unit]);
#endif
#if defined(W_Q8_0)
    q.scale.x = half_at(4u * count, unit >> 1);
#elif defined(W_Q4_0) || defined(W_IQ4_NL)
    q.scale = vec2(half_at(4u * count, unit));
#elif defined(W_Q4_1)
    const vec2 line = unpackHalf2x16(weights4[4u * count + unit]);
    q.scale = line.xx;
    q.addend = line.yy;
#elif defined(W_Q5_0)
    q.high = weights4[4u * count + unit];
    q.scale = vec2(half_at(5u * count, unit));
#elif defined(W_Q5_1)
    q.high = weights4[4u * count + unit];
    const vec2 line = unpackHalf2x16(weights4[5u * count + unit]);
    q.scale = line.xx;
    q.addend = line.yy;
#elif defined(W_NF4) || defined(W_FP4)
    q.scale = vec2(uintBitsToFloat(weights4[4u * count + (unit >> 1)]));
#elif defined(W_Q2_K)
    const uint pair = pair_at(2u * count, unit);
    const vec2 line = unpackHalf2x16(weights4[2u * count + count / 2u + (unit >> 3)]);
    q.scale = line.x * vec2(int(pair & 15u), int(pair >> 8 & 15u));
    q.addend = -line.y * vec2(int(pair >> 4 & 15u), int(pair >> 12));
#elif defined(W_Q3_K)
    q.high = weights4[2u * count + unit];
    q.scale = half_at(3u * count + count / 2u, unit >> 3) * pair_signed(3u * count, unit);
#elif defined(W_Q6_K)
    q.high = words(weights8[2u * count + unit]);
    q.scale = half_at(6u * count + count / 2u, unit >> 3) * pair_signed(6u * count, unit);
#elif defined(W_Q4_K) || defined(W_Q5_K)
#ifdef W_Q5_K
    q.high = weights4[4u * count + count / 2u + unit];
#endif
    const uvec4 head = words(weights16[count + (unit >> 3)]);
    const uint j = unit & 7u;
    const uint low = (j < 4u ? head.y : head.z) >> (8u * (j & 3u));
    const uint high = head.w >> (4u * j);
    const vec2 line = unpackHalf2x16(head.x) * vec2(int((low & 15u) | (high & 3u) << 4), int((low >> 4 & 15u) | (high & 12u) << 2));
    q.scale = line.xx;
    q.addend = -line.yy;
#elif defined(W_IQ4_XS)
    const uvec2 head = words(weights8[2u * count + (unit >> 3)]);
    const uint j = unit & 7u;
    const uint six = (head.y >> (4u * j) & 15u) | (head.x >> (16u + 2u * j) & 3u) << 4;
    q.scale = vec2(unpackHalf2x16(head.x).x * float(int(six) - 32));
#endif
    return q;
}

// octets are the four bytes of v, each less than 128.
ivec4 octets(const uint v) { return ivec4(v & 0xffu, v >> 8 & 0xffu, v >> 16 & 0xffu, v >> 24); }

#if PER == 32
// codes are those of four columns, a byte each.
uint codes(const Packed q, const uint g, const uint k) {
#ifdef LOW2
    uint c = q.low[g] >> (2u * k) & 0x03030303u;
    const uint bits = 2u;
#else
    uint c = q.low[k] >> (4u * g) & 0x0f0f0f0fu;
    const uint bits = 4u;
#endif
#if defined(HIGH2)
    c |= (q.high[g] >> (2u * k) & 0x03030303u) << bits;
#elif defined(HIGH1)
    c |= (q.high >> (4u * g + k) & 0x01010101u) << bits;
#endif
    return c;
}
#endif

vec4 part(const Packed q, const uint g, const uint k) {
#if defined(W_F32)
    return uintBitsToFloat(q.low);
#elif defined(W_F16)
    return vec4(unpackHalf2x16(q.low[2u * k]), unpackHalf2x16(q.low[2u * k + 1u]));
#elif defined(W_BF16)
    const uint a = q.low[2u * k], b = q.low[2u * k + 1u];
    return uintBitsToFloat(uvec4(a << 16, a & 0xffff0000u, b << 16, b & 0xffff0000u));
#elif defined(W_Q8_0)
    const int s = int(q.low[k]);
    return vec4(bitfieldExtract(s, 0, 8), bitfieldExtract(s, 8, 8), bitfieldExtract(s, 16, 8), s >> 24);
#elif defined(OFFSET)
    return vec4(octets(codes(q, g, k)) - OFFSET);
#elif defined(LINE)
    return fma(vec4(octets(codes(q, g, k))), vec4(q.scale[g]), vec4(q.addend[g]));
#else
    return codebook(octets(codes(q, g, k)));
#endif
}

// factor is exact: the weights are part * factor, in whatever order the product is taken.
float factor(const Packed q, const uint g) {
#if defined(LINE)
    return 1.0;
#else
    return q.scale[g];
#endif
}

#endif

#version 460
// Floats to a storage type, as a slab holds it (engine/kernel/storage.go): what engine/weights/quant does on the host.
//
// The floats are whole rows, from block `first` of the slab on, as the file has them: SOURCE 0 F32, 1 F16, 2 BF16.
//   W_F16          a lane makes a unit of 8 columns, with zeros after the row's end
//   W_Q8_0, Q4_0   a lane makes two blocks of 32, whose two scales are one word
//   W_Q4_K, Q5_K   a lane makes a sub-block of 32; 8 side by side agree on the block's scales
//   W_Q6_K         a lane makes a sub-block of 16; 16 side by side agree, and two blocks' scales are one word
// The grid covers the blocks; LOCAL lanes are whole blocks of them.

layout(local_size_x = 64) in;
layout(constant_id = 0) const uint SOURCE = 0u;

#if defined(W_Q6_K)
#define N 16
#define LANES 16 // of a block
#elif defined(W_Q4_K) || defined(W_Q5_K)
#define N 32
#define LANES 8
#elif defined(W_F16)
#define N 8
#else
#define N 32
#endif

#include "encode.glsl"

layout(set = 0, binding = 0, std430) readonly restrict buffer Source { uint source[]; };
layout(set = 0, binding = 1, std430) restrict buffer Slab { uint slab[]; };
layout(set = 0, binding = 2, std430) restrict buffer Flag { uint damaged; };

layout(push_constant) uniform Push {
    uint first;  // block of the slab that the source begins with, an even one; W_F16: row
    uint blocks; // in the source; W_F16: rows
    uint count;  // units of the slab
    uint cols;   // W_F16: columns of a row
} p;

float load(const uint i) {
    if (SOURCE == 0u) return uintBitsToFloat(source[i]);
    const uint h = (i & 1u) == 0u ? source[i >> 1] & 0xffffu : source[i >> 1] >> 16;
    if (SOURCE == 2u) return uintBitsToFloat(h << 16);
    if ((h & 0x7c00u) == 0x7c00u) return uintBitsToFloat((h & 0x8000u) << 16 | 0x7f800000u | (h & 0x3ffu) << 13);
    return from_half(h);
}

void load_values(const uint at) {
    [[unroll]] for (uint i = 0u; i < N; i++) x[i] = load(at + i);
}

// checked is the binary16 of a scale, seen to.
uint checked(const uint h) {
    if ((h & 0x7c00u) == 0x7c00u) damaged = 1u; // whoever else writes it writes the same
    return h;
}

#ifdef W_F16
void main() {
    const uint units = (p.cols + 31u) / 32u * 4u; // of a row
    const uint row = gl_GlobalInvocationID.x / units, u = gl_GlobalInvocationID.x % units;
    if (row >= p.blocks) return;
    uint h[8];
    [[unroll]] for (uint i = 0u; i < 8u; i++) {
        const uint c = u * 8u + i;
        h[i] = c < p.cols ? checked(to_half(load(row * p.cols + c))) : 0u;
    }
    [[unroll]] for (uint i = 0u; i < 4u; i++) slab[((p.first + row) * units + u) * 4u + i] = h[2u * i] | h[2u * i + 1u] << 16;
}

#elif defined(W_Q8_0)
uint block(const uint b, const uint at) {
    load_values(at);
    if (!all_finite()) return 0x7e00u;
    const float d = abs(largest()) / 127.0, inverse = reciprocal(d);
    [[unroll]] for (uint k = 0u; k < 8u; k++) {
        uint word = 0u;
        [[unroll]] for (uint i = 0u; i < 4u; i++) {
            const float v = x[4u * k + i] * inverse;
            const int q = int(floor(abs(v) + 0.5)); // ties away from zero
            word |= (uint(v < 0.0 ? -q : q) & 0xffu) << (8u * i);
        }
        slab[b * 8u + k] = word;
    }
    return to_half(d);
}

#elif defined(W_Q4_0)
// best_half is the one of the two binary16 around a scale with the smaller error.
uint best_half(const float scale) {
    const uint h = to_half(scale);
    if ((h & 0x7c00u) == 0x7c00u) return h;
    const float found = from_half(h);
    if (found == scale) return h;
    const uint other = abs(found) < abs(scale) ? h + 1u : h - 1u;
    return scale_error(8.0, from_half(other)) < scale_error(8.0, found) ? other : h;
}

uint block(const uint b, const uint at) {
    load_values(at);
    if (!all_finite()) return 0x7e00u;
    const uint h = best_half(fit_scale(8.0));
    const float inverse = reciprocal(from_half(h));
    [[unroll]] for (uint k = 0u; k < 4u; k++) {
        uint word = 0u;
        [[unroll]] for (uint i = 0u; i < 4u; i++) {
            const uint low = uint(nearest(x[4u * k + i] * inverse + 8.0, 15.0)), high = uint(nearest(x[4u * k + i + 16u] * inverse + 8.0, 15.0));
            word |= (low | high << 4) << (8u * i);
        }
        slab[b * 4u + k] = word;
    }
    return h;
}
#endif

#ifdef LANES
shared bool broken[64];

// block_broken: a value of the block is no number.
bool block_broken(const uint own) {
    bool any = false;
    for (uint i = 0u; i < LANES; i++) any = any || broken[own * LANES + i];
    return any;
}
#endif

#if defined(W_Q8_0) || defined(W_Q4_0)
void main() {
    const uint b = 2u * gl_GlobalInvocationID.x;
    if (b >= p.blocks) return;
    uint word = 0u;
    for (uint i = 0u; i < min(2u, p.blocks - b); i++) word |= checked(block(p.first + b + i, 32u * (b + i))) << (16u * i);
    slab[4u * p.count + (p.first + b) / 2u] = word;
}
#endif

#if defined(W_Q4_K) || defined(W_Q5_K)
shared vec2 lines[64];
shared uvec2 integers[64];

#ifdef W_Q5_K
const float LEVELS = 31.0;
vec2 fit() { return fit_line(31.0, -0.5, 1.0, 16); }
#else
const float LEVELS = 15.0;
vec2 fit() { return fit_line(15.0, -1.0, 1.0, 21); }
#endif

void main() {
    const uint lane = gl_LocalInvocationID.x, j = lane % LANES, own = lane / LANES;
    const uint b = gl_GlobalInvocationID.x / LANES;
    const bool live = b < p.blocks;
    load_values(live ? 256u * b + N * j : 0u);
    broken[lane] = !all_finite();
    lines[lane] = fit();
    barrier();
    vec2 top = vec2(0.0);
    for (uint i = 0u; i < LANES; i++) top = max(top, lines[own * LANES + i]);
    const uint d = ceil_half(top.x / 63.0), dmin = ceil_half(top.y / 63.0);
    const vec2 unit = vec2(from_half(d), from_half(dmin));
    const vec2 near = vec2(nearest(lines[lane].x * reciprocal(unit.x), 63.0), nearest(lines[lane].y * reciprocal(unit.y), 63.0));
    vec2 best = near;
    float least = line_error(LEVELS, unit.x * near.x, unit.y * near.y);
    for (float s = max(near.x - 1.0, 0.0); s <= min(near.x + 1.0, 63.0); s += 1.0) {
        for (float m = max(near.y - 1.0, 0.0); m <= min(near.y + 1.0, 63.0); m += 1.0) {
            const float e = line_error(LEVELS, unit.x * s, unit.y * m);
            if (e < least) {
                least = e;
                best = vec2(s, m);
            }
        }
    }
    integers[lane] = uvec2(best);
    barrier();
    if (!live) return;
    const uint at = p.first + b; // of the slab
    const float inverse = reciprocal(unit.x * best.x), minimum = unit.y * best.y;
    uint c[8]; // codes of four columns, a byte each
    [[unroll]] for (uint k = 0u; k < 8u; k++) {
        c[k] = 0u;
        [[unroll]] for (uint i = 0u; i < 4u; i++) c[k] |= uint(nearest((x[4u * k + i] + minimum) * inverse, LEVELS)) << (8u * i);
    }
    [[unroll]] for (uint k = 0u; k < 4u; k++) {
        slab[(at * 8u + j) * 4u + k] = (c[k] & 0x0f0f0f0fu) | (c[k + 4u] & 0x0f0f0f0fu) << 4;
    }
#ifdef W_Q5_K
    uint fifth = 0u;
    [[unroll]] for (uint k = 0u; k < 8u; k++) fifth |= (c[k] >> 4 & 0x01010101u) << k;
    slab[4u * p.count + p.count / 2u + at * 8u + j] = fifth;
#endif
    if (j != 0u) return;
    uvec4 head = uvec4(block_broken(own) ? 0x7e007e00u : d | dmin << 16, 0u, 0u, 0u);
    for (uint i = 0u; i < 8u; i++) {
        const uvec2 sm = integers[own * LANES + i];
        head[1u + i / 4u] |= ((sm.x & 15u) | (sm.y & 15u) << 4) << (8u * (i % 4u));
        head.w |= (sm.x >> 4 | sm.y >> 4 << 2) << (4u * i);
    }
    checked(head.x & 0xffffu);
    checked(head.x >> 16);
    [[unroll]] for (uint i = 0u; i < 4u; i++) slab[4u * p.count + at * 4u + i] = head[i];
}
#endif

#ifdef W_Q6_K
shared float scales[64];
shared int integers[64];
shared uint halves[64 / LANES];
shared uvec4 codes[64]; // of four columns a word, a byte each

void main() {
    const uint lane = gl_LocalInvocationID.x, j = lane % LANES, own = lane / LANES;
    const uint b = gl_GlobalInvocationID.x / LANES;
    const bool live = b < p.blocks;
    load_values(live ? 256u * b + N * j : 0u);
    broken[lane] = !all_finite();
    scales[lane] = fit_scale(32.0);
    barrier();
    float top = 0.0;
    for (uint i = 0u; i < LANES; i++) top = abs(scales[own * LANES + i]) > abs(top) ? scales[own * LANES + i] : top;
    uint d = ceil_half(abs(top) / 128.0);
    if (top > 0.0) d |= 0x8000u;
    const float unit = from_half(d);
    const float near = nearest(scales[lane] * reciprocal(unit) + 128.0, 255.0) - 128.0;
    float best = near, least = scale_error(32.0, unit * near);
    for (float s = max(near - 1.0, -128.0); s <= min(near + 1.0, 127.0); s += 1.0) {
        const float e = scale_error(32.0, unit * s);
        if (e < least) {
            least = e;
            best = s;
        }
    }
    integers[lane] = int(best);
    if (j == 0u) halves[own] = block_broken(own) ? 0x7e00u : d;
    const float inverse = reciprocal(unit * best);
    uvec4 c;
    [[unroll]] for (uint k = 0u; k < 4u; k++) {
        c[k] = 0u;
        [[unroll]] for (uint i = 0u; i < 4u; i++) c[k] |= uint(nearest(x[4u * k + i] * inverse + 32.0, 63.0)) << (8u * i);
    }
    codes[lane] = c;
    barrier();
    if (!live) return;
    const uint at = p.first + b, u = at * 8u + j / 2u; // block and unit of the slab
    const uvec4 even = codes[lane & ~1u], odd = codes[lane | 1u];
    [[unroll]] for (uint i = 0u; i < 2u; i++) {
        const uint k = 2u * (j & 1u) + i;
        slab[u * 4u + k] = (even[k] & 0x0f0f0f0fu) | (odd[k] & 0x0f0f0f0fu) << 4;
    }
    uint high = 0u;
    [[unroll]] for (uint k = 0u; k < 4u; k++) high |= (c[k] >> 4 & 0x03030303u) << (2u * k);
    slab[4u * p.count + u * 2u + (j & 1u)] = high;
    if (j % 4u == 0u) {
        uint word = 0u;
        [[unroll]] for (uint i = 0u; i < 4u; i++) word |= (uint(integers[lane + i]) & 0xffu) << (8u * i);
        slab[6u * p.count + at * 4u + j / 4u] = word;
    }
    if (j == 0u && (own & 1u) == 0u) {
        uint word = checked(halves[own]);
        if (b + 1u < p.blocks) word |= checked(halves[own + 1u]) << 16;
        slab[6u * p.count + p.count / 2u + at / 2u] = word;
    }
}
#endif

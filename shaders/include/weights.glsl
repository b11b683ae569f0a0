// A row of weights as 16-byte units, in any storage type.
//
// The storage type comes by -D: W_F32, W_F16, W_BF16 or W_Q8_0. Rows are padded with zeros to a multiple of 32
// columns, so a row is whole units and no kernel has a tail. Q8_0 keeps its int8 values here and its f16 scales
// (one for 32 columns) apart in `scales`, two in a word; the loader makes that split.
#ifndef WEIGHTS_GLSL
#define WEIGHTS_GLSL

#if defined(W_F32)
#define PER 4
#elif defined(W_F16) || defined(W_BF16)
#define PER 8
#elif defined(W_Q8_0)
#define PER 16
#else
#error "define the storage type of the weights"
#endif
#define PER4 (PER / 4)

#include "load.glsl"

layout(set = 0, binding = 0, std430) readonly restrict buffer Weights { LOAD4 weights[]; };
layout(set = 0, binding = 1, std430) readonly restrict buffer Scales { uint scales[]; };

// unpack_unit gives the PER weights of one unit, before their scale.
void unpack_unit(const uvec4 q, out vec4 v[PER4]) {
#if defined(W_F32)
    v[0] = uintBitsToFloat(q);
#elif defined(W_F16)
    v[0] = vec4(unpackHalf2x16(q.x), unpackHalf2x16(q.y));
    v[1] = vec4(unpackHalf2x16(q.z), unpackHalf2x16(q.w));
#elif defined(W_BF16)
    v[0] = uintBitsToFloat(uvec4(q.x << 16, q.x & 0xffff0000u, q.y << 16, q.y & 0xffff0000u));
    v[1] = uintBitsToFloat(uvec4(q.z << 16, q.z & 0xffff0000u, q.w << 16, q.w & 0xffff0000u));
#elif defined(W_Q8_0)
    const ivec4 s = ivec4(q);
    [[unroll]] for (int i = 0; i < 4; i++)
        v[i] = vec4(bitfieldExtract(s[i], 0, 8), bitfieldExtract(s[i], 8, 8), bitfieldExtract(s[i], 16, 8), s[i] >> 24);
#endif
}

// unit_scale is what the unit's weights are multiplied with. unit counts from the first row of the slab.
float unit_scale(const uint unit) {
#if defined(W_Q8_0)
    const uint block = unit >> 1;
    const uint word = scales[block >> 1];
    return unpackHalf2x16((block & 1u) == 0u ? word : word >> 16).x;
#else
    return 1.0;
#endif
}

#endif

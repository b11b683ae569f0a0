#version 460
// Causal convolution and SiLU over a chunk: conv_x[t][d] = silu(conv_b[d] + sum over j of conv_w[d][j] a[t-CONV+1+j][d]).
//
// Tokens before the chunk come from the carried columns. One lane a channel and SPAN tokens; grid (channels, spans,
// sequences): the chunks of several sequences follow each other, as do their columns.
//
// With -DADDRESS, for drivers that run shaders on the CPU (spread.glsl), a subgroup of 8 lanes loads its channels as a vector.
#extension GL_EXT_control_flow_attributes : require

layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint LOCAL = 64u;
layout(constant_id = 1) const uint CONV = 4u;
layout(constant_id = 2) const uint SPAN = 16u;

#include "math.glsl"
#ifdef ADDRESS
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_EXT_shader_explicit_arithmetic_types_int64 : require
#include "spread.glsl"
#endif

layout(set = 0, binding = 0, std430) readonly restrict buffer A { float a[]; };             // [tokens][a | z | padding]
layout(set = 0, binding = 1, std430) readonly restrict buffer ConvW { float conv_w[]; };    // [inner][CONV]
layout(set = 0, binding = 2, std430) readonly restrict buffer ConvB { float conv_b[]; };
layout(set = 0, binding = 3, std430) readonly restrict buffer Columns { float columns[]; }; // [sequences][inner][CONV-1], oldest first
layout(set = 0, binding = 4, std430) writeonly restrict buffer ConvX { float conv_x[]; };   // [tokens][inner]

layout(push_constant) uniform Push {
    uint inner;
    uint tokens; // of a sequence
    uint a_stride;
    uint x_stride;
#ifdef ADDRESS
    uvec2 a; // where it lies
#endif
} p;

// input_of is channel d, this lane's, of a token.
float input_of(const uint token, const uint d) {
#ifdef ADDRESS
    return spread_floats(packUint2x32(p.a) + uint64_t(token * p.a_stride + gl_WorkGroupID.x * LOCAL) * 4ul, 8u);
#else
    return a[token * p.a_stride + d];
#endif
}

void main() {
    const uint d = gl_GlobalInvocationID.x;
    if (d >= p.inner) return;
    const uint from = gl_WorkGroupID.y * SPAN;
    const uint row0 = gl_WorkGroupID.z * p.tokens;
    const uint carried = (gl_WorkGroupID.z * p.inner + d) * (CONV - 1u);
    const uint to = min(from + SPAN, p.tokens);

    float w[CONV], window[CONV];
    [[unroll]] for (uint j = 0u; j < CONV; j++) w[j] = conv_w[d * CONV + j];
    const float b = conv_b[d];
    // window[1..] holds the CONV-1 inputs before `from`; the loop shifts before it reads.
    window[0] = 0.0;
    [[unroll]] for (uint j = 1u; j < CONV; j++) {
        const uint back = CONV - j;
        window[j] = from >= back ? input_of(row0 + from - back, d) : columns[carried + from + j - 1u];
    }
    uint t = from;
    do { // the condition last: see rowdot_address.glsl
        [[unroll]] for (uint j = 0u; j + 1u < CONV; j++) window[j] = window[j + 1u];
        window[CONV - 1u] = input_of(row0 + t, d);
        float sum = b;
        [[unroll]] for (uint j = 0u; j < CONV; j++) sum = fma(w[j], window[j], sum);
        conv_x[(row0 + t) * p.x_stride + d] = silu(sum);
        t++;
    } while (t < to);
}

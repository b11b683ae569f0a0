#version 460
// y[t][row] = sum over k of W[row][k] x[t][k], for few tokens t: decode, the head, short prefill.
//
// One workgroup takes ROWS rows and TOKS tokens; its lanes run along k. With NORM the input is the residual h and the
// RMS norm is applied on the way: x[k] = gain[k] h[k] rsqrt(mean(h^2) + eps); the root is taken out of the sum, so the
// norm costs no pass of its own. With -DADDRESS all is read through addresses.
#extension GL_EXT_control_flow_attributes : require
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_arithmetic : require

layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint LOCAL = 32u;
layout(constant_id = 1) const uint MULTI = 1u;
layout(constant_id = 2) const uint ROWS = 4u;
layout(constant_id = 3) const uint TOKS = 1u;
layout(constant_id = 4) const uint NORM = 0u;

#include "weights.glsl"
#include "math.glsl"
#ifdef ADDRESS
layout(constant_id = 5) const uint SPAN = 4u;
layout(constant_id = 6) const bool TOUCH = true;
#include "spread.glsl"
#endif

layout(set = 0, binding = 1, std430) readonly restrict buffer X { LOAD4 x[]; };
layout(set = 0, binding = 2, std430) readonly restrict buffer Gain { LOAD4 gain[]; };
layout(set = 0, binding = 3, std430) readonly restrict buffer Bias { float bias[]; };
layout(set = 0, binding = 4, std430) restrict buffer Y { float y[]; };

layout(push_constant) uniform Push {
    uint units;    // of one row
    uint epilogue; // 0: store, 1: add to y, 2: softplus(y + bias)
    uint rows;     // of this slab
    uint row0;     // first row of the slab in the matrix
    uint tokens;
    uint token0;   // first token in x
    uint x_stride; // of a token in x, in vec4
    uint y_stride; // of a token in y, in floats
    float columns; // of the matrix before padding, for the mean
    float eps;
#ifdef ADDRESS
    uvec2 slab, x, gain; // where they lie; of x the first token's row
#endif
} p;

float squares[TOKS];
uint tokens_at;

#ifdef ADDRESS
float activation(const uint t, const uint64_t at) {
    const uint token = min(tokens_at + t, p.tokens - 1u);
    float v = spread_floats(packUint2x32(p.x) + uint64_t(token * p.x_stride) * 16ul + at, 8u);
    if (NORM != 0u) {
        squares[t] = fma(v, v, squares[t]);
        v *= spread_floats(packUint2x32(p.gain) + at, 8u);
    }
    return v;
}
#else
vec4 activation(const uint t, const uint i) {
    const uint token = min(tokens_at + t, p.tokens - 1u);
    vec4 v = floats(x[(p.token0 + token) * p.x_stride + i]);
    if (NORM != 0u) {
        squares[t] += dot(v, v);
        v *= floats(gain[i]);
    }
    return v;
}
#endif

#define TEAM_VALUES (ROWS * TOKS + TOKS)
#include "team.glsl"
#ifdef ADDRESS
#include "rowdot_address.glsl"
#else
#include "rowdot.glsl"
#endif
#define SHARE ROWS
#include "share.glsl"

void main() {
    weights_begin();
    const uint first = share_first(p.rows);
    tokens_at = gl_WorkGroupID.y * TOKS;
    [[unroll]] for (uint t = 0u; t < TOKS; t++) squares[t] = 0.0;

    rowdot(first, p.rows, p.units);
    [[unroll]] for (uint t = 0u; t < TOKS; t++) sums[ROWS * TOKS + t] = squares[t];
    team_sum();

    // Result i belongs to lane i % LOCAL, so that the epilogues of a team run side by side.
    [[unroll]] for (uint from = 0u; from < ROWS * TOKS; from += LOCAL) {
        const uint mine = from + gl_LocalInvocationIndex;
        float v = 0.0, square = 0.0;
        [[unroll]] for (uint i = from; i < min(from + LOCAL, ROWS * TOKS); i++) {
            if (i == mine) {
                v = sums[i];
                if (NORM != 0u) square = sums[ROWS * TOKS + i % TOKS];
            }
        }
        const uint row = first + mine / TOKS;
        const uint token = tokens_at + mine % TOKS;
        if (mine < ROWS * TOKS && shared_out(row, p.rows) && token < p.tokens) {
            const uint at = token * p.y_stride + p.row0 + row;
            if (NORM != 0u) v *= inversesqrt(square / p.columns + p.eps);
            if (p.epilogue == 1u) v += y[at];
            if (p.epilogue == 2u) v = softplus(v + bias[p.row0 + row]);
            y[at] = v;
        }
    }
}

#version 460
// One token through RMS norm, in_proj, causal convolution and SiLU: the first of decode's four dispatches a layer.
//
//   u = gain * h * rsqrt(mean(h^2) + eps);   a, z = split(in_proj u)
//   conv_x[d] = silu(conv_b[d] + sum over j of conv_w[d][j] * column j);   gate[d] = silu(z[d])
// The CONV-1 carried columns of a channel move up by one. They belong to the row's own lane: no other reads them.
#extension GL_EXT_control_flow_attributes : require
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_arithmetic : require

layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint LOCAL = 32u;
layout(constant_id = 1) const uint MULTI = 1u;
layout(constant_id = 2) const uint ROWS = 4u;
layout(constant_id = 3) const uint CONV = 4u; // width of the convolution
const uint TOKS = 1u;

#include "weights.glsl"
#include "math.glsl"
#ifdef ADDRESS
layout(constant_id = 4) const uint SPAN = 4u;
layout(constant_id = 5) const bool TOUCH = true;
#include "spread.glsl"
#endif

layout(set = 0, binding = 1, std430) readonly restrict buffer H { LOAD4 h[]; };
layout(set = 0, binding = 2, std430) readonly restrict buffer Gain { LOAD4 gain[]; };
layout(set = 0, binding = 3, std430) readonly restrict buffer ConvW { float conv_w[]; }; // [inner][CONV]
layout(set = 0, binding = 4, std430) readonly restrict buffer ConvB { float conv_b[]; };
layout(set = 0, binding = 5, std430) restrict buffer Columns { float columns[]; };       // [inner][CONV-1], oldest first
layout(set = 0, binding = 6, std430) writeonly restrict buffer ConvX { float conv_x[]; };
layout(set = 0, binding = 7, std430) writeonly restrict buffer Gate { float gate[]; };

layout(push_constant) uniform Push {
    uint units; // of one row
    uint rows;  // of this slab
    uint row0;  // first row of the slab in in_proj
    uint inner;
    float hidden;
    float eps;
#ifdef ADDRESS
    uvec2 slab, h, gain; // where they lie
#endif
} p;

float squares;

#ifdef ADDRESS
float activation(const uint t, const uint64_t at) {
    const float v = spread_floats(packUint2x32(p.h) + at, 8u);
    squares = fma(v, v, squares);
    return v * spread_floats(packUint2x32(p.gain) + at, 8u);
}
#else
vec4 activation(const uint t, const uint i) {
    const vec4 v = floats(h[i]);
    squares += dot(v, v);
    return v * floats(gain[i]);
}
#endif

#define TEAM_VALUES (ROWS + 1u)
#include "team.glsl"
#ifdef ADDRESS
#include "rowdot_address.glsl"
#else
#include "rowdot.glsl"
#endif
#define SHARE ROWS
#include "share.glsl"

// finish takes row `row` of in_proj on: of the gate, or of what is convolved.
void finish(const uint row, const float v) {
    if (row >= p.inner) {
        gate[row - p.inner] = silu(v);
        return;
    }
    float sum = fma(conv_w[row * CONV + CONV - 1u], v, conv_b[row]);
    const uint at = row * (CONV - 1u);
    [[unroll]] for (uint j = 0u; j + 1u < CONV; j++) {
        const float column = columns[at + j];
        sum = fma(conv_w[row * CONV + j], column, sum);
        if (j > 0u) columns[at + j - 1u] = column;
    }
    if (CONV > 1u) columns[at + CONV - 2u] = v;
    conv_x[row] = silu(sum);
}

void main() {
    weights_begin();
    const uint first = share_first(p.rows);
    squares = 0.0;
    rowdot(first, p.rows, p.units);
    sums[ROWS] = squares;
    team_sum();
    const float root = inversesqrt(sums[ROWS] / p.hidden + p.eps);

    // Each row has a lane, so that the epilogues of a team run side by side.
    [[unroll]] for (uint from = 0u; from < ROWS; from += LOCAL) {
        float mine = 0.0;
        [[unroll]] for (uint r = from; r < min(from + LOCAL, ROWS); r++)
            if (gl_LocalInvocationIndex == r - from) mine = sums[r];
        const uint local = from + gl_LocalInvocationIndex;
        if (local < ROWS && shared_out(first + local, p.rows)) finish(p.row0 + first + local, mine * root);
    }
}

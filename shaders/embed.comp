#version 460
// h[t] = embedding row ids[t], decoded to f32. One lane a unit; grid (units, tokens).
//
// A table larger than one binding comes as row slabs, a dispatch each: a slab writes only the tokens whose row it holds.
#extension GL_EXT_control_flow_attributes : require

layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint LOCAL = 32u;

#define CODEBOOK_COMPUTED // too few lookups to fill a table for
#include "weights.glsl"

layout(set = 0, binding = 1, std430) readonly restrict buffer Ids { uint ids[]; };
layout(set = 0, binding = 2, std430) writeonly restrict buffer H { vec4 h[]; };

layout(push_constant) uniform Push {
    uint units; // of one row
    uint rows;
    uint row0;
    uint h_stride; // of a token, in vec4
} p;

void main() {
    weights_begin();
    const uint u = gl_GlobalInvocationID.x;
    const uint t = gl_WorkGroupID.y;
    const uint row = ids[t] - p.row0; // below row0 this wraps to a large number
    if (u >= p.units || row >= p.rows) return;
    const Packed q = fetch(row * p.units + u, p.rows * p.units);
    [[unroll]] for (uint g = 0u; g < GROUPS; g++)
        [[unroll]] for (uint k = 0u; k < GROUP4; k++)
            h[t * p.h_stride + u * PER4 + g * GROUP4 + k] = part(q, g, k) * factor(q, g);
}

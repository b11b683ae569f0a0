#version 460
// Weights decoded into panels for gemm_panels.comp: panels[row / LOCAL][column][row % LOCAL].
//
// A lane a row, grid (spans of a row, panels). What stands past the last row is the last row again.
#extension GL_EXT_control_flow_attributes : require

layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint LOCAL = 8u;
const uint SPAN = 128u; // columns that a workgroup takes

#include "weights.glsl"

layout(set = 0, binding = 1, std430) writeonly restrict buffer Panels { float panels[]; };

layout(push_constant) uniform Push {
    uint units; // of one row
    uint rows;  // of the slab
    uint first; // of the slab's rows: where the first panel begins
} p;

void main() {
    weights_begin();
    const uint lane = gl_LocalInvocationIndex;
    const uint row = min(p.first + gl_WorkGroupID.y * LOCAL + lane, p.rows - 1u);
    const uint end = min((gl_WorkGroupID.x + 1u) * (SPAN / PER), p.units);
    for (uint u = gl_WorkGroupID.x * (SPAN / PER); u < end; u++) {
        const Packed q = fetch(row * p.units + u, p.rows * p.units);
        const uint at = (gl_WorkGroupID.y * p.units + u) * PER * LOCAL + lane;
        [[unroll]] for (uint g = 0u; g < GROUPS; g++)
            [[unroll]] for (uint k = 0u; k < GROUP4; k++) {
                const vec4 v = part(q, g, k) * factor(q, g);
                [[unroll]] for (uint i = 0u; i < 4u; i++) panels[at + (16u * g + 4u * k + i) * LOCAL] = v[i];
            }
    }
}

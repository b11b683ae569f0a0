#version 460
// half[t] = x[t] * 2^-e with scale[t] = 2^e, e chosen so that the largest of the row lies in [2^14, 2^15): rows of any
// size keep the 11 bits of binary16, and what is 2^28 times smaller than the largest still counts. One workgroup a token.
// A row with infinities or NaN keeps scale 1 and hands them on.
#extension GL_EXT_control_flow_attributes : require
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_arithmetic : require

layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint LOCAL = 128u;
layout(constant_id = 1) const uint MULTI = 1u;

layout(set = 0, binding = 0, std430) readonly restrict buffer X { vec4 x[]; };
layout(set = 0, binding = 1, std430) writeonly restrict buffer Half { uvec2 halves[]; };
layout(set = 0, binding = 2, std430) writeonly restrict buffer Scale { float scale[]; };

layout(push_constant) uniform Push {
    uint quads;    // columns / 4, padded
    uint columns;  // what stands beyond them becomes 0
    uint x_stride; // of a token in x, in vec4
} p;

#define TEAM_VALUES 1u
#include "team.glsl"

// The largest v of the team's lanes, for all of them.
uint team_max(const uint v) {
    const uint most = subgroupMax(v);
    if (MULTI == 0u) return most;
    if (subgroupElect()) team_partial[gl_SubgroupID] = uintBitsToFloat(most);
    barrier();
    uint all = 0u;
    for (uint g = 0u; g < gl_NumSubgroups; g++) all = max(all, floatBitsToUint(team_partial[g]));
    return all;
}

// four columns of this token
vec4 four(const uint i) {
    const uvec4 column = 4u * i + uvec4(0u, 1u, 2u, 3u);
    return mix(vec4(0.0), x[gl_WorkGroupID.x * p.x_stride + i], lessThan(column, uvec4(p.columns)));
}

void main() {
    const uint to = gl_WorkGroupID.x * p.quads;
    // The bits of floats without their signs are ordered as they are, infinity and NaN above all.
    uint top = 0u;
    for (uint i = gl_LocalInvocationIndex; i < p.quads; i += LOCAL) {
        const uvec4 v = floatBitsToUint(abs(four(i)));
        top = max(top, max(max(v.x, v.y), max(v.z, v.w)));
    }
    const int exponent = int(team_max(top) >> 23); // biased
    // Both the scale and its inverse must be normal numbers.
    const int e = exponent == 255 ? 127 : clamp(exponent - 14, 1, 253);
    const float down = uintBitsToFloat(uint(254 - e) << 23);
    for (uint i = gl_LocalInvocationIndex; i < p.quads; i += LOCAL) {
        const vec4 v = four(i) * down;
        halves[to + i] = uvec2(packHalf2x16(v.xy), packHalf2x16(v.zw));
    }
    if (gl_LocalInvocationIndex == 0u) scale[gl_WorkGroupID.x] = uintBitsToFloat(uint(e) << 23);
}

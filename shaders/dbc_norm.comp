#version 460
// Falcon-Mamba's weightless RMS norms of dt, B and C, in place; one workgroup a token.
#extension GL_EXT_control_flow_attributes : require
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_arithmetic : require

layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint LOCAL = 32u;
layout(constant_id = 1) const uint MULTI = 1u;

layout(set = 0, binding = 0, std430) restrict buffer DBC { float dbc[]; }; // [tokens][dt | B | C | padding]

layout(push_constant) uniform Push {
    uint rank;
    uint state;
    uint stride; // of a token, in floats
    float eps;
} p;

#define TEAM_VALUES 3u
#include "team.glsl"

void main() {
    const uint at = gl_WorkGroupID.x * p.stride;
    [[unroll]] for (uint i = 0u; i < 3u; i++) sums[i] = 0.0;
    for (uint i = gl_LocalInvocationIndex; i < p.rank + 2u * p.state; i += LOCAL) {
        const float v = dbc[at + i];
        if (i < p.rank) sums[0] += v * v;
        else if (i < p.rank + p.state) sums[1] += v * v;
        else sums[2] += v * v;
    }
    team_sum();
    const float dt_root = inversesqrt(sums[0] / float(p.rank) + p.eps);
    const float b_root = inversesqrt(sums[1] / float(p.state) + p.eps);
    const float c_root = inversesqrt(sums[2] / float(p.state) + p.eps);
    for (uint i = gl_LocalInvocationIndex; i < p.rank + 2u * p.state; i += LOCAL)
        dbc[at + i] *= i < p.rank ? dt_root : i < p.rank + p.state ? b_root : c_root;
}

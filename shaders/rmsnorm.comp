#version 460
// y[t] = gain * x[t] * rsqrt(mean(x[t]^2) + eps); one workgroup a token. Padding columns stay zero as gain is zero there.
#extension GL_EXT_control_flow_attributes : require
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_arithmetic : require

layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint LOCAL = 128u;
layout(constant_id = 1) const uint MULTI = 1u;

layout(set = 0, binding = 0, std430) readonly restrict buffer X { vec4 x[]; };
layout(set = 0, binding = 1, std430) readonly restrict buffer Gain { vec4 gain[]; };
layout(set = 0, binding = 2, std430) writeonly restrict buffer Y { vec4 y[]; };

layout(push_constant) uniform Push {
    uint quads; // columns / 4, padded
    float columns;
    float eps;
} p;

#define TEAM_VALUES 1u
#include "team.glsl"

void main() {
    const uint at = gl_WorkGroupID.x * p.quads;
    sums[0] = 0.0;
    for (uint i = gl_LocalInvocationIndex; i < p.quads; i += LOCAL) sums[0] += dot(x[at + i], x[at + i]);
    team_sum();
    const float root = inversesqrt(sums[0] / p.columns + p.eps);
    for (uint i = gl_LocalInvocationIndex; i < p.quads; i += LOCAL) y[at + i] = x[at + i] * root * gain[i];
}

#version 460
// As many f32 multiply-adds as the device's ordinary units do: 32 chains a lane that do not wait for each other.
#extension GL_EXT_control_flow_attributes : require

layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint LOCAL = 64u;

layout(set = 0, binding = 0, std430) restrict buffer X { vec4 x[]; }; // a, b, then room for results

layout(push_constant) uniform Push {
    uint rounds;
} p;

void main() {
    const vec4 a = x[0], b = x[1];
    vec4 acc[8];
    [[unroll]] for (uint i = 0u; i < 8u; i++) acc[i] = vec4(float(gl_LocalInvocationIndex + i));
    for (uint r = 0u; r < p.rounds; r++)
        [[unroll]] for (uint i = 0u; i < 8u; i++) acc[i] = fma(acc[i], a, b);
    vec4 sum = vec4(0.0);
    [[unroll]] for (uint i = 0u; i < 8u; i++) sum += acc[i];
    if (any(isnan(sum))) x[2] = sum; // never so: only to keep the work
}

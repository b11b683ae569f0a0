#version 460
// As many f32 multiply-adds as the device's ordinary units do: 12 chains a lane that do not wait for each other. With more,
// a processor's 16 registers would not hold them.
#extension GL_EXT_control_flow_attributes : require

layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint LOCAL = 64u;

layout(set = 0, binding = 0, std430) restrict buffer X { vec4 x[]; }; // a and b, then room for results

layout(push_constant) uniform Push {
    uint rounds;
} p;

const uint CHAINS = 12u, TIMES = 8u; // a round is so many operations on each; engine/kernel/peak.go counts them

void main() {
    const float a = x[0].x, b = x[0].y;
    float acc[CHAINS];
    [[unroll]] for (uint i = 0u; i < CHAINS; i++) acc[i] = float(gl_LocalInvocationIndex + i);
    for (uint r = 0u; r < p.rounds; r++)
        [[unroll]] for (uint t = 0u; t < TIMES; t++)
            [[unroll]] for (uint i = 0u; i < CHAINS; i++) acc[i] = fma(acc[i], a, b);
    float sum = 0.0;
    [[unroll]] for (uint i = 0u; i < CHAINS; i++) sum += acc[i];
    if (isnan(sum)) x[2] = vec4(sum); // never so: only to keep the work
}

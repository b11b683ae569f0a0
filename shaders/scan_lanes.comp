#version 460
// scan_chunk.comp for drivers that run shaders on the CPU and keep what all lanes share in scalars (llvmpipe from Mesa 26 on):
// one subgroup of 8 lanes, a channel each.
//
// B and C are loaded as scalars, through their address, instead of being shared: barriers, even of a subgroup, make coroutines
// there, which keep everything in memory between and cost more than the scan. What 8 neighbouring channels have is one load
// of a vector (spread.glsl). Rows are padded so that 8 channels from the last multiple of 8 on can be read.
#extension GL_EXT_control_flow_attributes : require
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_EXT_shader_explicit_arithmetic_types_int64 : require

layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint LOCAL = 8u;
layout(constant_id = 1) const uint STATE = 16u;

#include "math.glsl"
#include "spread.glsl"

layout(set = 0, binding = 0, std430) readonly buffer Delta { float delta[]; }; // [tokens][inner]
layout(set = 0, binding = 1, std430) readonly buffer A2 { float a2[]; };       // [inner][STATE], A log2(e)
layout(set = 0, binding = 2, std430) readonly buffer DBC { float dbc[]; };     // [tokens][dt | B | C | padding]
layout(set = 0, binding = 3, std430) readonly buffer D { float d_skip[]; };
layout(set = 0, binding = 4, std430) readonly buffer Z { float z[]; };         // [tokens][a | z | padding]
layout(set = 0, binding = 5, std430) buffer S { float state[]; };              // [sequences][inner][STATE]
layout(set = 0, binding = 6, std430) buffer XY { float xy[]; };                // x in, y out, [tokens][inner]

layout(push_constant) uniform Push {
    uint inner;
    uint tokens; // of a sequence
    uint rank;
    uint dbc_stride;
    uint z_stride; // z stands `inner` floats after the start of its row
    uint x_stride; // of x, y and delta
    uvec2 delta, dbc, z, xy; // where they lie
} p;

void main() {
    const uint first = gl_WorkGroupID.x * LOCAL;
    const uint d = first + gl_SubgroupInvocationID;
    const bool live = d < p.inner;
    const uint at = min(d, p.inner - 1u) * STATE;
    const uint carried = gl_WorkGroupID.y * p.inner * STATE + at;
    const uint row0 = gl_WorkGroupID.y * p.tokens;

    float a[STATE], s[STATE];
    [[unroll]] for (uint n = 0u; n < STATE; n++) {
        a[n] = a2[at + n];
        s[n] = state[carried + n];
    }
    const float skip = d_skip[min(d, p.inner - 1u)];
    uint t = 0u;
    do { // the condition last: see rowdot_address.glsl
        const uint row = row0 + t;
        const uint64_t x_at = uint64_t(row * p.x_stride + first) * 4ul;
        const float dt = spread_floats(packUint2x32(p.delta) + x_at, 8u), x = spread_floats(packUint2x32(p.xy) + x_at, 8u);
        const float z = spread_floats(packUint2x32(p.z) + uint64_t(row * p.z_stride + p.inner + first) * 4ul, 8u);
        Floats bc = Floats(packUint2x32(p.dbc) + uint64_t(row * p.dbc_stride + p.rank) * 4ul);
        const float dx = dt * x;
        float sum = 0.0;
        [[unroll]] for (uint n = 0u; n < STATE; n++) {
            s[n] = fma(exp2(dt * a[n]), s[n], dx * bc.v[n]);
            sum = fma(s[n], bc.v[STATE + n], sum);
        }
        if (live) xy[row * p.x_stride + d] = fma(skip, x, sum) * silu(z);
        t++;
    } while (t < p.tokens);
    if (live)
        [[unroll]] for (uint n = 0u; n < STATE; n++) state[carried + n] = s[n];
}

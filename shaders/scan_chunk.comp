#version 460
// The selective scan over a chunk, with D and the gate; the state is carried in and out.
//
//   S[d][n] = exp(delta[t][d] A[d][n]) S[d][n] + delta[t][d] B[t][n] x[t][d]
//   y[t][d] = (sum over n of S[d][n] C[t][n] + D[d] x[t][d]) * silu(z[t][d])
// LANES (1, 2 or 4) lanes share a channel's states; time runs in a loop. y takes x's place: a lane reads x[t][d] before
// it writes y[t][d], and nobody else does either. B and C of SPAN steps at a time are shared by the workgroup; where that is one
// subgroup with a lane a channel, as on the CPU, its lanes load a token's and hand them round: barriers, even of a subgroup, make
// coroutines in llvmpipe, which cost more than the scan.
// Grid (channels, sequences): the chunks of several sequences follow each other, as do their states.
#extension GL_EXT_control_flow_attributes : require
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_shuffle : require

layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint LOCAL = 64u;
layout(constant_id = 1) const uint MULTI = 1u;
layout(constant_id = 2) const uint STATE = 16u;
layout(constant_id = 3) const uint LANES = 4u;
layout(constant_id = 4) const uint SPAN = 8u;
layout(constant_id = 5) const uint ALONE = 0u; // 1: one subgroup, of which 2 STATE is a multiple, with LANES 1
const uint PART = STATE / LANES;
const uint EACH = 2u * STATE / LOCAL + 1u; // and one, so that it is never none

#include "math.glsl"

layout(set = 0, binding = 0, std430) readonly restrict buffer Delta { float delta[]; }; // [tokens][inner]
layout(set = 0, binding = 1, std430) readonly restrict buffer A2 { float a2[]; };       // [inner][STATE], A log2(e)
layout(set = 0, binding = 2, std430) readonly restrict buffer DBC { float dbc[]; };     // [tokens][dt | B | C | padding]
layout(set = 0, binding = 3, std430) readonly restrict buffer D { float d_skip[]; };
layout(set = 0, binding = 4, std430) readonly restrict buffer Z { float z[]; };         // [tokens][a | z | padding]
layout(set = 0, binding = 5, std430) restrict buffer S { float state[]; };              // [sequences][inner][STATE]
layout(set = 0, binding = 6, std430) restrict buffer XY { float xy[]; };                // x in, y out, [tokens][inner]

layout(push_constant) uniform Push {
    uint inner;
    uint tokens; // of a sequence
    uint rank;
    uint dbc_stride;
    uint z_stride; // z stands `inner` floats after the start of its row
    uint x_stride; // of x, y and delta
} p;

shared float bc[SPAN * 2u * STATE];

void main() {
    const uint d = gl_GlobalInvocationID.x / LANES;
    const uint part = gl_GlobalInvocationID.x % LANES;
    const bool live = d < p.inner;
    const uint at = d * STATE + part * PART;
    const uint carried = gl_WorkGroupID.y * p.inner * STATE + at;
    const uint row0 = gl_WorkGroupID.y * p.tokens;

    float a[PART], s[PART];
    float skip = 0.0;
    float next_dt = 0.0, next_x = 0.0, next_z = 0.0; // of the next token: asked for a token ahead of their use
    if (live) {
        skip = d_skip[d];
        next_dt = delta[row0 * p.x_stride + d];
        next_x = xy[row0 * p.x_stride + d];
        next_z = z[row0 * p.z_stride + p.inner + d];
        [[unroll]] for (uint n = 0u; n < PART; n++) {
            a[n] = a2[at + n];
            s[n] = state[carried + n];
        }
    }
    for (uint from = 0u; from < p.tokens; from += SPAN) {
        const uint steps = min(SPAN, p.tokens - from);
        if (ALONE == 0u) {
            if (MULTI != 0u) barrier();
            else subgroupBarrier();
            for (uint i = gl_LocalInvocationIndex; i < steps * 2u * STATE; i += LOCAL)
                bc[i] = dbc[(row0 + from + i / (2u * STATE)) * p.dbc_stride + p.rank + i % (2u * STATE)];
            if (MULTI != 0u) barrier();
            else {
                subgroupMemoryBarrierShared();
                subgroupBarrier();
            }
        }
        uint i = 0u;
        do {
            const uint t = row0 + from + i;
            const float dt = next_dt, xt = next_x, zt = next_z;
            if (live) {
                const uint next = row0 + min(from + i + 1u, p.tokens - 1u);
                next_dt = delta[next * p.x_stride + d];
                next_x = xy[next * p.x_stride + d];
                next_z = z[next * p.z_stride + p.inner + d];
            }
            const float dx = dt * xt;
            const uint b_at = i * 2u * STATE + part * PART;
            float mine[EACH];
            if (ALONE == 1u)
                [[unroll]] for (uint k = 0u; k + 1u < EACH; k++) mine[k] = dbc[t * p.dbc_stride + p.rank + k * LOCAL + gl_SubgroupInvocationID];
            float sum = 0.0;
            [[unroll]] for (uint n = 0u; n < PART; n++) {
                const uint to = STATE + n;
                const float b = ALONE == 1u ? subgroupShuffle(mine[n / LOCAL], n % LOCAL) : bc[b_at + n];
                const float c = ALONE == 1u ? subgroupShuffle(mine[to / LOCAL], to % LOCAL) : bc[b_at + to];
                s[n] = fma(exp2(dt * a[n]), s[n], dx * b);
                sum = fma(s[n], c, sum);
            }
            if (LANES > 1u) sum += subgroupShuffleXor(sum, 1u);
            if (LANES > 2u) sum += subgroupShuffleXor(sum, 2u);
            if (live && part == 0u)
                xy[t * p.x_stride + d] = fma(skip, xt, sum) * silu(zt);
            i++;
        } while (i < steps);
    }
    if (live)
        [[unroll]] for (uint n = 0u; n < PART; n++) state[carried + n] = s[n];
}

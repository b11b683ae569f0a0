#version 460
// y[t][row] = sum over k of W[row][k] x[t][k], for drivers that run shaders on the CPU: a lane a row.
//
// Such drivers load a lane at a time, so loads are what costs. A lane keeps ROWS weights of its rows and meets TOKS
// tokens with them; the STEP columns of a token are loaded once by the subgroup, each lane some, and handed round.
// LOCAL is the subgroup's exact width, at most STEP.
//
// With -DADDRESS they are loaded through their address, for drivers that keep what all lanes share in scalars (llvmpipe
// from Mesa 26 on): one such load and nothing between it and the multiply-adds, where a load at each lane's own place, or
// one whose bounds are checked, costs many times as much. Columns are constants from a token's 64-bit address: a 32-bit
// index, which might wrap, would be computed for each.
#extension GL_EXT_control_flow_attributes : require
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_ballot : require

#ifdef ADDRESS
#extension GL_EXT_buffer_reference : require
#extension GL_EXT_buffer_reference_uvec2 : require
layout(buffer_reference, std430, buffer_reference_align = 4) readonly buffer Floats { float v[]; };
#endif

layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint LOCAL = 8u;
layout(constant_id = 1) const uint ROWS = 2u;
layout(constant_id = 2) const uint TOKS = 8u;
const uint STEP = 16u; // columns: several units, or a group of one
const uint SHARE = STEP / LOCAL;

#include "weights.glsl"
const uint UNITS = PER < STEP ? STEP / PER : 1u;
#include "math.glsl"

layout(set = 0, binding = 1, std430) readonly restrict buffer X { float x[]; };
layout(set = 0, binding = 2, std430) readonly restrict buffer Bias { float bias[]; };
layout(set = 0, binding = 3, std430) restrict buffer Y { float y[]; };

layout(push_constant) uniform Push {
    uint units;    // of one row
    uint epilogue; // 0: store, 1: add to y, 2: softplus(y + bias)
    uint rows;     // of this slab
    uint row0;     // first row of the slab in the matrix
    uint tokens;
    uint x_stride; // of a token in x, in floats
    uint y_stride; // of a token in y, in floats
#ifdef ADDRESS
    uint pad;
    uvec2 x; // where it lies
#endif
} p;

void main() {
    weights_begin();
    const uint lane = gl_SubgroupInvocationID;
    const uint first = gl_WorkGroupID.x * LOCAL * ROWS + lane; // rows first + r LOCAL
    const uint from = gl_WorkGroupID.y * TOKS;

    float acc[ROWS * TOKS];
    [[unroll]] for (uint i = 0u; i < ROWS * TOKS; i++) acc[i] = 0.0;
    for (uint u = 0u; u < p.units; u += UNITS) {
        Packed q[ROWS * UNITS];
        [[unroll]] for (uint r = 0u; r < ROWS; r++)
            [[unroll]] for (uint i = 0u; i < UNITS; i++)
                q[r * UNITS + i] = fetch(min(first + r * LOCAL, p.rows - 1u) * p.units + u + i, p.rows * p.units);
#if PER > 16
        [[dont_unroll]] for (uint g = 0u; g < GROUPS; g++) { // half the code to compile, and faster
#else
        const uint g = 0u; // a loop kept for one round costs
        {
#endif
#ifdef ADDRESS
            // llvmpipe runs a loop's body once more when it is over, with no lane active: scalar loads must stay in bounds then.
            const uint column0 = min(u, p.units - UNITS) * PER + min(g * STEP, PER * UNITS - STEP);
            Floats x_of[TOKS];
            [[unroll]] for (uint t = 0u; t < TOKS; t++)
                x_of[t] = Floats(packUint2x32(p.x) + uint64_t(min(from + t, p.tokens - 1u) * p.x_stride + column0) * 4ul);
#else
            float shares[TOKS * SHARE];
            [[unroll]] for (uint t = 0u; t < TOKS; t++) {
                const uint at = min(from + t, p.tokens - 1u) * p.x_stride + u * PER + g * STEP + lane;
                [[unroll]] for (uint i = 0u; i < SHARE; i++) shares[t * SHARE + i] = x[at + i * LOCAL];
            }
#endif
            [[unroll]] for (uint k = 0u; k < STEP / 4u; k++) {
                vec4 w[ROWS];
                [[unroll]] for (uint r = 0u; r < ROWS; r++) {
                    const Packed mine = q[r * UNITS + k / GROUP4];
                    w[r] = part(mine, g, k % GROUP4) * factor(mine, g);
                }
                [[unroll]] for (uint t = 0u; t < TOKS; t++) {
                    [[unroll]] for (uint i = 0u; i < 4u; i++) {
                        const uint column = 4u * k + i;
#ifdef ADDRESS
                        const float v = x_of[t].v[column];
#else
                        const float v = subgroupBroadcast(shares[t * SHARE + column / LOCAL], column % LOCAL);
#endif
                        [[unroll]] for (uint r = 0u; r < ROWS; r++) acc[r * TOKS + t] = fma(w[r][i], v, acc[r * TOKS + t]);
                    }
                }
            }
        }
    }
    [[unroll]] for (uint r = 0u; r < ROWS; r++) {
        const uint row = first + r * LOCAL;
        [[unroll]] for (uint t = 0u; t < TOKS; t++) {
            if (row < p.rows && from + t < p.tokens) {
                const uint at = (from + t) * p.y_stride + p.row0 + row;
                float v = acc[r * TOKS + t];
                if (p.epilogue == 1u) v += y[at];
                y[at] = p.epilogue == 2u ? v + bias[p.row0 + row] : v;
            }
        }
        // Apart, so that softplus stands in the shader once a row and not once a result.
        if (p.epilogue == 2u && row < p.rows) {
            for (uint t = 0u; t < TOKS && from + t < p.tokens; t++) {
                const uint at = (from + t) * p.y_stride + p.row0 + row;
                y[at] = softplus(y[at]);
            }
        }
    }
}

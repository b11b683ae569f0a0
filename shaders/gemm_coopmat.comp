#version 460
// y[t][row] = sum over k of W[row][k] x[t][k] on matrix units (VK_KHR_cooperative_matrix), for many tokens.
//
// Weights are decoded, and activations copied, to binary16 in shared memory, STEP columns at a time; subgroups multiply
// TM x TK by TK x TN fragments of them with f32 sums. A subgroup has FM fragments along the rows and FN along the tokens;
// SR x ST subgroups share a tile. The next step's loads are under way while this one's fragments are multiplied.
// Activations come as to_half.comp makes them, with a power of two for each token.
#extension GL_EXT_control_flow_attributes : require
#extension GL_EXT_shader_explicit_arithmetic_types_float16 : require
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_memory_scope_semantics : require
#extension GL_KHR_cooperative_matrix : require
#pragma use_vulkan_memory_model

layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint LANES = 128u; // SR * ST * WIDTH
layout(constant_id = 1) const uint WIDTH = 32u;  // of a subgroup, exactly
layout(constant_id = 2) const uint TM = 16u;
layout(constant_id = 3) const uint TN = 16u;
layout(constant_id = 4) const uint TK = 16u; // divides STEP
layout(constant_id = 5) const uint SR = 2u;
layout(constant_id = 6) const uint ST = 2u;
layout(constant_id = 7) const uint FM = 2u;
layout(constant_id = 8) const uint FN = 2u;

#include "weights.glsl"
#include "math.glsl"

layout(set = 0, binding = 1, std430) readonly restrict buffer X { uvec4 x[]; }; // 8 columns each
layout(set = 0, binding = 2, std430) readonly restrict buffer Scale { float scale[]; };
layout(set = 0, binding = 3, std430) readonly restrict buffer Bias { float bias[]; };
layout(set = 0, binding = 4, std430) restrict buffer Y { float y[]; };

layout(push_constant) uniform Push {
    uint units;    // of one row
    uint epilogue; // 0: store, 1: add to y, 2: softplus(y + bias)
    uint rows;     // of this slab
    uint row0;     // first row of the slab in the matrix
    uint tokens;
    uint y_stride; // of a token in y, in floats
} p;

const uint STEP = 32u;
const uint UNITS = STEP / PER;
const uint EIGHTS = STEP / 8u;
const uint ROWS = SR * FM * TM;
const uint TOKS = ST * FN * TN;
// Two vectors more than a step: rows of 80 bytes, which meet each bank of shared memory equally often.
const uint PITCH = STEP / 4u + 2u;
shared f16vec4 w_tile[ROWS * PITCH];
shared f16vec4 x_tile[TOKS * PITCH];
shared float stage[SR * ST * TM * TN];

// What a lane loads a step; the last of them some lanes do not have where they do not divide evenly.
const uint MY_UNITS = (ROWS * UNITS + LANES - 1u) / LANES;
const uint MY_EIGHTS = (TOKS * EIGHTS + LANES - 1u) / LANES;
Packed next_w[MY_UNITS];
uvec4 next_x[MY_EIGHTS];

void load(const uint step) {
    const uint first_row = gl_WorkGroupID.x * ROWS;
    const uint first_token = gl_WorkGroupID.y * TOKS;
    const uint eighths = p.units * PER / 8u;
    [[unroll]] for (uint j = 0u; j < MY_UNITS; j++) {
        const uint i = gl_LocalInvocationIndex + j * LANES;
        // Rows past the end repeat the last one: no branch around the loads; their sums are never stored.
        if (ROWS * UNITS % LANES == 0u || i < ROWS * UNITS)
            next_w[j] = fetch(min(first_row + i / UNITS, p.rows - 1u) * p.units + step * UNITS + i % UNITS, p.rows * p.units);
    }
    [[unroll]] for (uint j = 0u; j < MY_EIGHTS; j++) {
        const uint i = gl_LocalInvocationIndex + j * LANES;
        if (TOKS * EIGHTS % LANES == 0u || i < TOKS * EIGHTS)
            next_x[j] = x[min(first_token + i / EIGHTS, p.tokens - 1u) * eighths + step * EIGHTS + i % EIGHTS];
    }
}

void store() {
    [[unroll]] for (uint j = 0u; j < MY_UNITS; j++) {
        const uint i = gl_LocalInvocationIndex + j * LANES;
        if (ROWS * UNITS % LANES == 0u || i < ROWS * UNITS) {
            const uint at = i / UNITS * PITCH + i % UNITS * PER4;
            [[unroll]] for (uint g = 0u; g < GROUPS; g++)
                [[unroll]] for (uint k = 0u; k < GROUP4; k++)
                    w_tile[at + g * GROUP4 + k] = f16vec4(part(next_w[j], g, k) * factor(next_w[j], g));
        }
    }
    [[unroll]] for (uint j = 0u; j < MY_EIGHTS; j++) {
        const uint i = gl_LocalInvocationIndex + j * LANES;
        if (TOKS * EIGHTS % LANES == 0u || i < TOKS * EIGHTS) {
            const uint at = i / EIGHTS * PITCH + i % EIGHTS * 2u;
            x_tile[at] = f16vec4(unpackFloat2x16(next_x[j].x), unpackFloat2x16(next_x[j].y));
            x_tile[at + 1u] = f16vec4(unpackFloat2x16(next_x[j].z), unpackFloat2x16(next_x[j].w));
        }
    }
}

void main() {
    weights_begin();
    const uint my_row = gl_SubgroupID % SR * FM * TM; // in the tile
    const uint my_token = gl_SubgroupID / SR * FN * TN;

    coopmat<float, gl_ScopeSubgroup, TM, TN, gl_MatrixUseAccumulator> acc[FM * FN];
    [[unroll]] for (uint i = 0u; i < FM * FN; i++)
        acc[i] = coopmat<float, gl_ScopeSubgroup, TM, TN, gl_MatrixUseAccumulator>(0.0);

    const uint steps = p.units / UNITS;
    load(0u);
    for (uint step = 0u; step < steps; step++) {
        store();
        barrier();
        if (step + 1u < steps) load(step + 1u);
        [[unroll]] for (uint k = 0u; k < STEP; k += TK) {
            coopmat<float16_t, gl_ScopeSubgroup, TM, TK, gl_MatrixUseA> a[FM];
            [[unroll]] for (uint i = 0u; i < FM; i++)
                coopMatLoad(a[i], w_tile, (my_row + i * TM) * PITCH + k / 4u, PITCH, gl_CooperativeMatrixLayoutRowMajor);
            [[unroll]] for (uint j = 0u; j < FN; j++) {
                coopmat<float16_t, gl_ScopeSubgroup, TK, TN, gl_MatrixUseB> b;
                coopMatLoad(b, x_tile, (my_token + j * TN) * PITCH + k / 4u, PITCH, gl_CooperativeMatrixLayoutColumnMajor);
                [[unroll]] for (uint i = 0u; i < FM; i++) acc[j * FM + i] = coopMatMulAdd(a[i], b, acc[j * FM + i]);
            }
        }
        barrier();
    }

    const uint my_stage = gl_SubgroupID * TM * TN;
    [[unroll]] for (uint j = 0u; j < FN; j++) {
        [[unroll]] for (uint i = 0u; i < FM; i++) {
            coopMatStore(acc[j * FM + i], stage, my_stage, TM, gl_CooperativeMatrixLayoutColumnMajor);
            barrier();
            for (uint at = gl_SubgroupInvocationID; at < TM * TN; at += WIDTH) {
                const uint row = gl_WorkGroupID.x * ROWS + my_row + i * TM + at % TM;
                const uint token = gl_WorkGroupID.y * TOKS + my_token + j * TN + at / TM;
                if (row < p.rows && token < p.tokens) {
                    const uint to = token * p.y_stride + p.row0 + row;
                    float v = stage[my_stage + at] * scale[token];
                    if (p.epilogue == 1u) v += y[to];
                    if (p.epilogue == 2u) v = softplus(v + bias[p.row0 + row]);
                    y[to] = v;
                }
            }
            barrier();
        }
    }
}

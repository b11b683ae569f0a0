#version 460
// y[t][row] = sum over k of W[row][k] x[t][k], for drivers that run shaders on the CPU, of weights that unpack.comp has
// decoded: a lane a row, a workgroup a panel of LOCAL = 8 rows with TOKS tokens. Grid (panels, tiles of tokens).
//
// gemm_rows.comp decodes weights again for each dozen tokens, and gathers them lane by lane. Here a column of a panel is
// one load of eight neighbours, the activations are scalars at an address, and nothing else stands beside the multiply-adds.
// STEP columns are unrolled: what a loop costs (masks for all sums, bounds) is paid once for them. Its condition comes first,
// though llvmpipe then runs the body once more, with no lane active: in any other loop that was tried the compiler takes one
// token after the other, whose sums wait for each other, and half the speed is lost.
#extension GL_EXT_control_flow_attributes : require
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_EXT_shader_explicit_arithmetic_types_int64 : require

layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint LOCAL = 8u;
layout(constant_id = 1) const uint TOKS = 12u;
layout(constant_id = 2) const uint STEP = 32u;
layout(constant_id = 3) const uint EPILOGUE = 0u; // 0: store, 1: add to y, 2: softplus(y + bias)

#include "math.glsl"
#include "spread.glsl"

layout(set = 0, binding = 0, std430) readonly buffer Panels { float panels[]; }; // read through its address
layout(set = 0, binding = 1, std430) readonly buffer X { float x[]; };           // and this
layout(set = 0, binding = 2, std430) readonly restrict buffer Bias { float bias[]; };
layout(set = 0, binding = 3, std430) restrict buffer Y { float y[]; };

layout(push_constant) uniform Push {
    uint columns; // of a row, a multiple of STEP
    uint rows;    // of the panels
    uint row0;    // first of them in the matrix
    uint tokens;
    uint x_stride; // of a token in x, in floats
    uint y_stride; // of a token in y, in floats
    uvec2 panels;  // where they lie
    uvec2 x;
} p;

void main() {
    const uint lane = gl_SubgroupInvocationID;
    const uint row = gl_WorkGroupID.x * LOCAL + lane;
    float plus = 0.0;
    if (EPILOGUE == 2u && row < p.rows) plus = bias[p.row0 + row];

    const uint from = gl_WorkGroupID.y * TOKS;
    float acc[TOKS];
    [[unroll]] for (uint t = 0u; t < TOKS; t++) acc[t] = 0.0;
    for (uint c = 0u; c < p.columns; c += STEP) {
        const uint column = min(c, p.columns - STEP);
        const uint64_t panel = packUint2x32(p.panels) + uint64_t((gl_WorkGroupID.x * p.columns + column) * LOCAL) * 4ul;
        Floats x_of[TOKS];
        [[unroll]] for (uint t = 0u; t < TOKS; t++)
            x_of[t] = Floats(packUint2x32(p.x) + uint64_t(min(from + t, p.tokens - 1u) * p.x_stride + column) * 4ul);
        [[unroll]] for (uint k = 0u; k < STEP; k++) {
            const float w = spread_floats(panel + k * 32ul, 8u);
            [[unroll]] for (uint t = 0u; t < TOKS; t++) acc[t] = fma(w, x_of[t].v[k], acc[t]);
        }
    }
    [[unroll]] for (uint t = 0u; t < TOKS; t++) {
        if (row < p.rows && from + t < p.tokens) {
            const uint at = (from + t) * p.y_stride + p.row0 + row;
            if (EPILOGUE == 0u) y[at] = acc[t];
            if (EPILOGUE == 1u) y[at] += acc[t];
            if (EPILOGUE == 2u) y[at] = softplus(acc[t] + plus);
        }
    }
}

#version 460
// As many multiply-adds of binary16 with f32 sums as the device's matrix units do: 8 chains a subgroup that do not wait
// for each other, with fragments that stay in registers.
#extension GL_EXT_control_flow_attributes : require
#extension GL_EXT_shader_explicit_arithmetic_types_float16 : require
#extension GL_KHR_memory_scope_semantics : require
#extension GL_KHR_cooperative_matrix : require
#pragma use_vulkan_memory_model

layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint LANES = 128u;
layout(constant_id = 1) const uint TM = 16u;
layout(constant_id = 2) const uint TN = 16u;
layout(constant_id = 3) const uint TK = 16u;

layout(set = 0, binding = 0, std430) restrict buffer X { float x[]; };

layout(push_constant) uniform Push {
    uint rounds;
} p;

// Values that differ, so that no product of them can be used twice.
const uint FILLED = TK * (2u * TM + 4u * TN) / 4u;
shared f16vec4 tile[FILLED];

void main() {
    for (uint i = gl_LocalInvocationIndex; i < FILLED; i += LANES)
        tile[i] = f16vec4(x[0] * sin(vec4(4u * i) + vec4(0.0, 1.0, 2.0, 3.0)));
    barrier();
    coopmat<float16_t, gl_ScopeSubgroup, TM, TK, gl_MatrixUseA> a[2];
    coopmat<float16_t, gl_ScopeSubgroup, TK, TN, gl_MatrixUseB> b[4];
    coopmat<float, gl_ScopeSubgroup, TM, TN, gl_MatrixUseAccumulator> acc[8];
    [[unroll]] for (uint i = 0u; i < 2u; i++)
        coopMatLoad(a[i], tile, i * TM * TK / 4u, TK / 4u, gl_CooperativeMatrixLayoutRowMajor);
    [[unroll]] for (uint i = 0u; i < 4u; i++)
        coopMatLoad(b[i], tile, (2u * TM + i * TN) * TK / 4u, TK / 4u, gl_CooperativeMatrixLayoutColumnMajor);
    [[unroll]] for (uint i = 0u; i < 8u; i++)
        acc[i] = coopmat<float, gl_ScopeSubgroup, TM, TN, gl_MatrixUseAccumulator>(float(i));
    for (uint r = 0u; r < p.rounds; r++)
        [[unroll]] for (uint i = 0u; i < 8u; i++) acc[i] = coopMatMulAdd(a[i & 1u], b[i >> 1], acc[i]);
    coopmat<float, gl_ScopeSubgroup, TM, TN, gl_MatrixUseAccumulator> sum = acc[0];
    [[unroll]] for (uint i = 1u; i < 8u; i++) sum = sum + acc[i];
    if (p.rounds == 0u) // never so: only to keep the work
        coopMatStore(sum, x, 6u, TM, gl_CooperativeMatrixLayoutColumnMajor);
}

#version 460
// y[t][row] = sum over k of W[row][k] x[t][k], for many tokens: tiles of 64 rows by 64 tokens in shared memory.
//
// 128 lanes, each with 8 rows by 4 tokens in registers; 16 columns a step, so that a step is half a Q8_0 block.
#extension GL_EXT_control_flow_attributes : require

layout(local_size_x = 128) in;
#include "weights.glsl"
#include "math.glsl"

layout(set = 0, binding = 2, std430) readonly restrict buffer X { vec4 x[]; };
layout(set = 0, binding = 3, std430) readonly restrict buffer Bias { float bias[]; };
layout(set = 0, binding = 4, std430) restrict buffer Y { float y[]; };

layout(push_constant) uniform Push {
    uint units;    // 16-byte units of one row
    uint epilogue; // 0: store, 1: add to y, 2: softplus(y + bias)
    uint rows;     // of this slab
    uint row0;     // first row of the slab in the matrix
    uint tokens;
    uint x_stride; // of a token in x, in vec4
    uint y_stride; // of a token in y, in floats
} p;

const uint TILE = 64u;
const uint STEP = 16u;
const uint STEP_UNITS = STEP / PER;
// One column more than the tile: writes of a transposed unit then fall into different banks.
const uint PITCH = TILE + 1u;
shared float w_tile[STEP * PITCH];
shared float x_tile[STEP * PITCH];

void main() {
    const uint lane = gl_LocalInvocationIndex;
    const uint first_row = gl_WorkGroupID.x * TILE;
    const uint first_token = gl_WorkGroupID.y * TILE;
    const uint my_row = (lane & 7u);       // rows my_row + 8 i
    const uint my_token = (lane >> 3) * 4u;

    float acc[8][4];
    [[unroll]] for (uint i = 0u; i < 8u; i++)
        [[unroll]] for (uint j = 0u; j < 4u; j++) acc[i][j] = 0.0;

    for (uint u = 0u; u < p.units; u += STEP_UNITS) {
        for (uint i = lane; i < TILE * STEP_UNITS; i += 128u) {
            const uint r = i / STEP_UNITS;
            const uint part = i % STEP_UNITS;
            const uint unit = min(first_row + r, p.rows - 1u) * p.units + u + part;
            vec4 w[PER4];
            unpack_unit(words(weights[unit]), w);
            const float scale = unit_scale(unit);
            [[unroll]] for (uint k = 0u; k < PER; k++) w_tile[(part * PER + k) * PITCH + r] = w[k / 4u][k % 4u] * scale;
        }
        for (uint i = lane; i < TILE * (STEP / 4u); i += 128u) {
            const uint t = i / (STEP / 4u);
            const uint part = i % (STEP / 4u);
            const vec4 v = x[min(first_token + t, p.tokens - 1u) * p.x_stride + u * PER4 + part];
            [[unroll]] for (uint k = 0u; k < 4u; k++) x_tile[(part * 4u + k) * PITCH + t] = v[k];
        }
        barrier();
        for (uint k = 0u; k < STEP; k++) {
            float a[8], b[4];
            [[unroll]] for (uint i = 0u; i < 8u; i++) a[i] = w_tile[k * PITCH + my_row + 8u * i];
            [[unroll]] for (uint j = 0u; j < 4u; j++) b[j] = x_tile[k * PITCH + my_token + j];
            [[unroll]] for (uint i = 0u; i < 8u; i++)
                [[unroll]] for (uint j = 0u; j < 4u; j++) acc[i][j] = fma(a[i], b[j], acc[i][j]);
        }
        barrier();
    }

    [[unroll]] for (uint j = 0u; j < 4u; j++) {
        const uint token = first_token + my_token + j;
        [[unroll]] for (uint i = 0u; i < 8u; i++) {
            const uint row = first_row + my_row + 8u * i;
            if (row < p.rows && token < p.tokens) {
                const uint at = token * p.y_stride + p.row0 + row;
                float v = acc[i][j];
                if (p.epilogue == 1u) v += y[at];
                if (p.epilogue == 2u) v = softplus(v + bias[p.row0 + row]);
                y[at] = v;
            }
        }
    }
}

#version 460
// y[t][row] = sum over k of W[row][k] x[t][k], for many tokens: tiles of 64 rows by 64 tokens in shared memory.
//
// 128 lanes, each with 8 rows by 4 tokens in registers; 16 columns a step, of which a lane decodes 8 of one row.
#extension GL_EXT_control_flow_attributes : require

layout(local_size_x = 128) in;
#include "weights.glsl"
#include "math.glsl"

layout(set = 0, binding = 1, std430) readonly restrict buffer X { vec4 x[]; };
layout(set = 0, binding = 2, std430) readonly restrict buffer Bias { float bias[]; };
layout(set = 0, binding = 3, std430) restrict buffer Y { float y[]; };

layout(push_constant) uniform Push {
    uint units;    // of one row
    uint epilogue; // 0: store, 1: add to y, 2: softplus(y + bias)
    uint rows;     // of this slab
    uint row0;     // first row of the slab in the matrix
    uint tokens;
    uint x_stride; // of a token in x, in vec4
    uint y_stride; // of a token in y, in floats
} p;

const uint TILE = 64u;
const uint STEP = 16u;
// One column more than the tile: writes of a transposed unit then fall into different banks.
const uint PITCH = TILE + 1u;
shared float w_tile[STEP * PITCH];
shared float x_tile[STEP * PITCH];

void main() {
    weights_begin();
    const uint lane = gl_LocalInvocationIndex;
    const uint first_row = gl_WorkGroupID.x * TILE;
    const uint first_token = gl_WorkGroupID.y * TILE;
    const uint my_row = (lane & 7u);       // rows my_row + 8 i
    const uint my_token = (lane >> 3) * 4u;

    float acc[8][4];
    [[unroll]] for (uint i = 0u; i < 8u; i++)
        [[unroll]] for (uint j = 0u; j < 4u; j++) acc[i][j] = 0.0;

    const uint row = min(first_row + lane / 2u, p.rows - 1u); // the one this lane decodes, every other 8 columns
    for (uint step = 0u; step < p.units * PER / STEP; step++) {
        const uint eighth = lane % 2u * 8u;
        [[unroll]] for (uint j = 0u; j < 8u; j += 4u) {
            const uint column = step * STEP + eighth + j;
            const uint in_unit = column % PER;
            const Packed q = fetch(row * p.units + column / PER, p.rows * p.units);
            const vec4 w = part(q, in_unit / 16u, in_unit % 16u / 4u) * factor(q, in_unit / 16u);
            [[unroll]] for (uint i = 0u; i < 4u; i++) w_tile[(eighth + j + i) * PITCH + lane / 2u] = w[i];
        }
        for (uint i = lane; i < TILE * (STEP / 4u); i += 128u) {
            const uint t = i / (STEP / 4u);
            const uint four = i % (STEP / 4u);
            const vec4 v = x[min(first_token + t, p.tokens - 1u) * p.x_stride + step * (STEP / 4u) + four];
            [[unroll]] for (uint k = 0u; k < 4u; k++) x_tile[(four * 4u + k) * PITCH + t] = v[k];
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

#version 460
// One token through the dt/B/C norms, dt_proj, softplus, the selective scan, D and the gate: the third of decode's
// four dispatches a layer.
//
//   delta[d] = softplus(dt_b[d] + dt_proj[d] . dt);   S[d][n] = exp(delta[d] A[d][n]) S[d][n] + delta[d] B[n] x[d]
//   y[d] = (sum over n of S[d][n] C[n] + D[d] x[d]) * gate[d]
// a2 is A times log2(e), so that exp becomes exp2. One workgroup takes CHANNELS channels.
#extension GL_EXT_control_flow_attributes : require
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_arithmetic : require

layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint LOCAL = 32u;
layout(constant_id = 1) const uint MULTI = 1u;
layout(constant_id = 2) const uint ROWS = 4u;      // rows of dt_proj taken at a time
layout(constant_id = 3) const uint CHANNELS = 32u; // a multiple of ROWS
layout(constant_id = 4) const uint STATE = 16u;
layout(constant_id = 5) const uint NORM = 1u;      // Falcon's weightless norms of dt, B and C
const uint TOKS = 1u;

#include "weights.glsl"
#include "math.glsl"
#ifdef ADDRESS // dt_proj and what dt meets of it are read through addresses, and the rest asked for ahead through them
layout(constant_id = 6) const uint SPAN = 4u;
layout(constant_id = 7) const bool TOUCH = true;
#include "spread.glsl"
#endif

layout(set = 0, binding = 1, std430) readonly restrict buffer DBC { LOAD4 dbc4[]; };    // dt | B | C
layout(set = 0, binding = 2, std430) readonly restrict buffer DtB { float dt_b[]; };
layout(set = 0, binding = 3, std430) readonly buffer A2 { float a2[]; };                // [inner][STATE]
layout(set = 0, binding = 3, std430) readonly buffer A2Pairs { LOAD2 a2_pairs[]; };
layout(set = 0, binding = 4, std430) readonly restrict buffer D { float d_skip[]; };
layout(set = 0, binding = 5, std430) readonly restrict buffer ConvX { float conv_x[]; };
layout(set = 0, binding = 6, std430) readonly restrict buffer Gate { float gate[]; };
layout(set = 0, binding = 7, std430) buffer S { float state[]; };                       // [inner][STATE]
layout(set = 0, binding = 7, std430) buffer SPairs { LOAD2 state_pairs[]; };
layout(set = 0, binding = 8, std430) writeonly restrict buffer Y { float y[]; };

layout(push_constant) uniform Push {
    uint units;    // of one row of dt_proj
    uint rank;     // its columns
    uint rows;     // channels of this slab of dt_proj
    uint channel0; // first channel of the slab
    float eps;
#ifdef ADDRESS
    uint pad;
    uvec2 slab, dbc, a2, s; // where they lie
#endif
} p;

float dbc(const uint i) { return floats(dbc4[i >> 2])[i & 3u]; }
#ifdef ADDRESS
float activation(const uint t, const uint64_t at) { return spread_floats(packUint2x32(p.dbc) + at, 8u); }
#else
vec4 activation(const uint t, const uint i) { return floats(dbc4[i]); }
#endif

#define TEAM_VALUES (ROWS > 3u ? ROWS : 3u)
#include "team.glsl"
#ifdef ADDRESS
#include "rowdot_address.glsl"
#else
#include "rowdot.glsl"
#endif
#define SHARE CHANNELS
#include "share.glsl"

#ifdef ADDRESS
// What the lanes know of their channels, each of every eighth: nothing is shared, as barriers, even of a subgroup, make
// coroutines in llvmpipe, which keep everything in memory between.
float delta_of[(CHANNELS + 7u) / 8u];

// along_states is the scan of 8 channels at a time whose states' 8 neighbours are a lane's each: loads of vectors.
void along_states(const uint first, const float b_root, const float c_root) {
    const uint lane = gl_SubgroupInvocationID;
    float b[(STATE + 7u) / 8u], c_of[(STATE + 7u) / 8u];
    [[unroll]] for (uint k = 0u; k < STATE / 8u; k++) {
        const uint64_t at = packUint2x32(p.dbc) + uint64_t(p.rank + 8u * k) * 4ul;
        b[k] = spread_floats(at, 8u) * b_root;
        c_of[k] = spread_floats(at + STATE * 4ul, 8u) * c_root;
    }
    [[unroll]] for (uint c = 0u; c < CHANNELS; c += 8u) {
        const uint row = first + c + lane, d = p.channel0 + row;
        float delta = 0.0, x = 0.0, mine = 0.0;
        if (c + lane < CHANNELS) {
            delta = softplus(delta_of[c / 8u] + dt_b[d]);
            x = conv_x[d];
        }
        [[unroll]] for (uint i = 0u; i < min(8u, CHANNELS - c); i++) {
            const uint from = (p.channel0 + first + c + i) * STATE;
            const float delta_now = subgroupBroadcast(delta, i), delta_x = delta_now * subgroupBroadcast(x, i);
            const bool ours = shared_out(first + c + i, p.rows);
            float sum = 0.0;
            [[unroll]] for (uint k = 0u; k < STATE / 8u; k++) {
                const uint64_t at = from * 4ul + 32u * k;
                const float v = fma(exp2(delta_now * spread_floats(packUint2x32(p.a2) + at, 8u)), spread_floats(packUint2x32(p.s) + at, 8u), delta_x * b[k]);
                if (ours) state[from + 8u * k + lane] = v;
                sum = fma(v, c_of[k], sum);
            }
            sum = subgroupAdd(sum);
            if (lane == i) mine = sum;
        }
        if (c + lane < CHANNELS && shared_out(row, p.rows)) y[d] = fma(d_skip[d], x, mine) * gate[d];
    }
}
#endif

shared float b_now[STATE];
shared float c_now[STATE];
shared float delta_now[CHANNELS];

#ifndef WIDE
// A lane has a state or more of the workgroup's channels, neighbours next to each other. What they need of memory is asked
// for before anything else is done, so that it comes while dt is projected.
const uint CELLS = (CHANNELS * STATE + LOCAL - 1u) / LOCAL;
float s_old[CELLS], a_of[CELLS], x_of[CELLS], bias_of[CELLS];
shared float products[CHANNELS * STATE]; // S[d][n] C[n]

bool mine(const uint first, const uint j, out uint i) {
    i = gl_LocalInvocationIndex + j * LOCAL;
    return i < CHANNELS * STATE && shared_out(first + i / STATE, p.rows);
}

void load_cells(const uint first) {
    [[unroll]] for (uint j = 0u; j < CELLS; j++) {
        uint i;
        if (!mine(first, j, i)) continue;
        const uint d = p.channel0 + first + i / STATE;
        s_old[j] = state[d * STATE + i % STATE];
        a_of[j] = a2[d * STATE + i % STATE];
        x_of[j] = conv_x[d];
        bias_of[j] = dt_b[d];
    }
}

void step_cells(const uint first) {
    [[unroll]] for (uint j = 0u; j < CELLS; j++) {
        uint i;
        if (!mine(first, j, i)) continue;
        const uint n = i % STATE;
        const float delta = softplus(delta_now[i / STATE] + bias_of[j]);
        const float s = fma(exp2(delta * a_of[j]), s_old[j], delta * x_of[j] * b_now[n]);
        state[(p.channel0 + first) * STATE + i] = s;
        products[i] = s * c_now[n];
    }
    team_barrier();
    for (uint c = gl_LocalInvocationIndex; c < CHANNELS; c += LOCAL) {
        if (!shared_out(first + c, p.rows)) continue;
        float sum = 0.0;
        [[unroll]] for (uint n = 0u; n < STATE; n++) sum += products[c * STATE + n];
        const uint d = p.channel0 + first + c;
        y[d] = fma(d_skip[d], conv_x[d], sum) * gate[d];
    }
}
#endif

void main() {
    weights_begin();
    const uint lane = gl_LocalInvocationIndex;
    const uint first = share_first(p.rows);
#ifndef WIDE
    load_cells(first);
#endif
    float dt_root = 1.0, b_root = 1.0, c_root = 1.0;
    if (NORM != 0u) {
        [[unroll]] for (uint i = 0u; i < TEAM_VALUES; i++) sums[i] = 0.0;
        for (uint at = lane * 4u; at < p.rank + 2u * STATE; at += LOCAL * 4u) {
            const vec4 v = floats(dbc4[at / 4u]);
            [[unroll]] for (uint k = 0u; k < 4u; k++) {
                const uint i = at + k;
                if (i < p.rank) sums[0] += v[k] * v[k];
                else if (i < p.rank + STATE) sums[1] += v[k] * v[k];
                else if (i < p.rank + 2u * STATE) sums[2] += v[k] * v[k];
            }
        }
        team_sum();
        dt_root = inversesqrt(sums[0] / float(p.rank) + p.eps);
        b_root = inversesqrt(sums[1] / float(STATE) + p.eps);
        c_root = inversesqrt(sums[2] / float(STATE) + p.eps);
    }
#ifdef ADDRESS
    const uint lines = CHANNELS * STATE / 16u;
    if (lines >= 16u) {
        const uint64_t from = (p.channel0 + first) * STATE * 4ul;
        touch(packUint2x32(p.a2) + from, lines);
        touch(packUint2x32(p.s) + from, lines);
    }
#endif
#ifdef ADDRESS
    if (STATE % 8u == 0u) {
        [[unroll]] for (uint c = 0u; c < CHANNELS; c += ROWS) {
            rowdot(first + c, p.rows, p.units);
            team_sum();
            [[unroll]] for (uint r = 0u; r < ROWS; r++)
                if (lane == (c + r) % 8u) delta_of[(c + r) / 8u] = sums[r] * dt_root;
        }
        along_states(first, b_root, c_root);
        return;
    }
#endif
    for (uint n = lane; n < STATE; n += LOCAL) {
        b_now[n] = dbc(p.rank + n) * b_root;
        c_now[n] = dbc(p.rank + STATE + n) * c_root;
    }
    uint from = 0u;
    [[dont_unroll]] do {
        rowdot(first + from, p.rows, p.units);
        team_sum();
        [[unroll]] for (uint r = 0u; r < ROWS; r++)
            if (lane == r % LOCAL) delta_now[from + r] = sums[r] * dt_root;
        from += ROWS;
    } while (from < CHANNELS);
    team_barrier();

#ifndef WIDE
    step_cells(first);
#else
    // Where lanes are a processor's, one takes a channel's states one after another, two a load, and a store.
    [[dont_unroll]] for (uint c = lane; c < CHANNELS; c += LOCAL) {
        if (!shared_out(first + c, p.rows)) continue;
        const uint d = p.channel0 + first + c;
        const float delta = softplus(delta_now[c] + dt_b[d]);
        const float x = conv_x[d];
        const float delta_x = delta * x;
        float sum = 0.0;
        if (STATE % 2u == 0u) {
            [[dont_unroll]] for (uint n = 0u; n < STATE; n += 2u) {
                const uint at = (d * STATE + n) / 2u;
                const vec2 s = fma(exp2(delta * uintBitsToFloat(words(a2_pairs[at]))), uintBitsToFloat(words(state_pairs[at])),
                    delta_x * vec2(b_now[n], b_now[n + 1u]));
                state_pairs[at] = pack64(floatBitsToUint(s));
                sum = fma(s.y, c_now[n + 1u], fma(s.x, c_now[n], sum));
            }
        } else
        [[dont_unroll]] for (uint n = 0u; n < STATE; n++) {
            const uint at = d * STATE + n;
            const float s = fma(exp2(delta * a2[at]), state[at], delta_x * b_now[n]);
            state[at] = s;
            sum = fma(s, c_now[n], sum);
        }
        y[d] = fma(d_skip[d], x, sum) * gate[d];
    }
#endif
}

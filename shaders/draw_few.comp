#version 460
// Chooses the next id from the largest logits, the largest first: after the repeat penalty, top-k, top-p and min-p.
//
// One workgroup. Places are found by counting what comes before: there are few. Greedy choices come as top-k 1.
#extension GL_EXT_control_flow_attributes : require
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_arithmetic : require

layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint LOCAL = 64u;
layout(constant_id = 1) const uint MULTI = 1u;
const uint MOST = 512u;

layout(set = 0, binding = 0, std430) readonly restrict buffer Top { uvec2 pairs[]; }; // { id, logit }
#include "draw.glsl"

layout(push_constant) uniform Push { uint count; } p;

#define TEAM_VALUES 1
#include "team.glsl"

shared uint id[MOST];
shared float value[MOST];
shared uint below[MOST]; // depth
shared uint mass[MOST];  // weight of what is kept, 0 of what is not
shared float largest;

void main() {
    const uint lane = gl_LocalInvocationIndex;
    if (infinite(uintBitsToFloat(pairs[0].y))) {
        if (lane == 0u) refuse();
        return;
    }
    for (uint i = lane; i < p.count; i += LOCAL) {
        id[i] = pairs[i].x;
        value[i] = penalized(pairs[i].x, uintBitsToFloat(pairs[i].y));
    }
    team_barrier();
    for (uint i = lane; i < p.count; i += LOCAL) {
        uint rank = i;
        if (control.size != 0u) {
            rank = 0u;
            for (uint j = 0u; j < p.count; j++)
                if (value[j] > value[i] || (value[j] == value[i] && id[j] < id[i])) rank++;
        }
        if (rank == 0u) largest = value[i];
        mass[i] = rank < control.top_k ? 1u : 0u;
    }
    team_barrier();
    for (uint i = lane; i < p.count; i += LOCAL) {
        below[i] = mass[i] != 0u ? depth(value[i], largest) : NEVER;
        mass[i] = weight(below[i]);
    }
    team_barrier();
    if (control.top_p != 0u) {
        for (uint i = lane; i < p.count; i += LOCAL) {
            uvec2 total = uvec2(0u), before = uvec2(0u);
            for (uint j = 0u; j < p.count; j++) {
                const uvec2 m = uvec2(mass[j], 0u);
                total = add(total, m);
                if (below[j] < below[i] || (below[j] == below[i] && id[j] < id[i])) before = add(before, m);
            }
            if (before != uvec2(0u) && !less(before, share(control.top_p, total))) below[i] = NEVER;
        }
        team_barrier();
    }
    for (uint i = lane; i < p.count; i += LOCAL) {
        const uint w = weight(below[i]);
        mass[i] = w >= control.min_p ? w : 0u;
    }
    team_barrier();
    uvec2 total = uvec2(0u);
    for (uint j = 0u; j < p.count; j++) total = add(total, uvec2(mass[j], 0u));
    const uvec2 target = draw(total);
    team_barrier(); // the draw is read before the place moves on
    for (uint i = lane; i < p.count; i += LOCAL) {
        uvec2 before = uvec2(0u);
        for (uint j = 0u; j < p.count; j++)
            if (id[j] < id[i]) before = add(before, uvec2(mass[j], 0u));
        if (!less(target, before) && less(target, add(before, uvec2(mass[i], 0u)))) accept(id[i]);
    }
}

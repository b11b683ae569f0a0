#version 460
// The id of the largest logit (the lowest id where several are equal), for greedy decoding: one workgroup.
//
// result = { id, logit }; next[0] = id as well, so that a recorded step can be replayed without the host.
// NaN is never larger than anything: where no logit is a number, the logit given back is -infinity.
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_arithmetic : require

layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint LOCAL = 256u;

layout(set = 0, binding = 0, std430) readonly restrict buffer Logits { float logits[]; };
layout(set = 0, binding = 1, std430) writeonly restrict buffer Result { uint result[]; };

layout(push_constant) uniform Push { uint count; } p;

shared float best_value[LOCAL / 4u + 1u];
shared uint best_id[LOCAL / 4u + 1u];

void main() {
    const float NONE = uintBitsToFloat(0xff800000u);
    float v = NONE;
    uint id = 0xffffffffu;
    for (uint i = gl_LocalInvocationIndex; i < p.count; i += LOCAL) {
        const float l = logits[i];
        if (l > v) {
            v = l;
            id = i;
        }
    }
    const float top = subgroupMax(v);
    const uint first = subgroupMin(v == top ? id : 0xffffffffu);
    if (subgroupElect()) {
        best_value[gl_SubgroupID] = top;
        best_id[gl_SubgroupID] = first;
    }
    barrier();
    if (gl_LocalInvocationIndex == 0u) {
        v = best_value[0];
        id = best_id[0];
        for (uint g = 1u; g < gl_NumSubgroups; g++) {
            if (best_value[g] > v || (best_value[g] == v && best_id[g] < id)) {
                v = best_value[g];
                id = best_id[g];
            }
        }
        result[0] = id == 0xffffffffu ? 0u : id;
        result[1] = floatBitsToUint(v);
    }
}

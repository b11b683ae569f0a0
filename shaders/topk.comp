#version 460
// The KEEP largest of every 1,024 values, sorted: larger first, the lower id first where equal. Applied again to its own
// output until one slice is left, it gives the KEEP largest logits of the vocabulary.
//
// FIRST: values are logits and their ids are their places; else pairs { id, value } of a pass before. NaN sorts last.
#extension GL_EXT_control_flow_attributes : require

layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint LOCAL = 128u;
layout(constant_id = 1) const uint FIRST = 1u;
const uint SLICE = 1024u;

layout(set = 0, binding = 0, std430) readonly restrict buffer In { uint given[]; };
layout(set = 0, binding = 1, std430) writeonly restrict buffer Out { uvec2 kept[]; };

layout(push_constant) uniform Push {
    uint count;
    uint keep;
} p;

shared float value[SLICE];
shared uint id[SLICE];

bool before(const uint a, const uint b) {
    return value[a] > value[b] || (value[a] == value[b] && id[a] < id[b]);
}

void main() {
    const float NONE = uintBitsToFloat(0xff800000u);
    const uint base = gl_WorkGroupID.x * SLICE;
    for (uint i = gl_LocalInvocationIndex; i < SLICE; i += LOCAL) {
        const uint at = base + i;
        float v = NONE;
        uint who = 0xffffffffu;
        if (at < p.count) {
            who = FIRST != 0u ? at : given[2u * at];
            v = uintBitsToFloat(FIRST != 0u ? given[at] : given[2u * at + 1u]);
            if (isnan(v)) v = NONE;
        }
        value[i] = v;
        id[i] = who;
    }
    // Bitonic sort.
    for (uint size = 2u; size <= SLICE; size <<= 1) {
        for (uint stride = size >> 1; stride > 0u; stride >>= 1) {
            barrier();
            for (uint i = gl_LocalInvocationIndex; i < SLICE / 2u; i += LOCAL) {
                const uint lo = 2u * i - (i & (stride - 1u));
                const uint hi = lo + stride;
                const bool down = (lo & size) == 0u;
                if (down ? before(hi, lo) : before(lo, hi)) {
                    const float v = value[lo];
                    const uint w = id[lo];
                    value[lo] = value[hi];
                    id[lo] = id[hi];
                    value[hi] = v;
                    id[hi] = w;
                }
            }
        }
    }
    barrier();
    for (uint i = gl_LocalInvocationIndex; i < min(p.keep, SLICE); i += LOCAL)
        kept[gl_WorkGroupID.x * p.keep + i] = uvec2(id[i], floatBitsToUint(value[i]));
}

#version 460
// After a chunk, the carried columns become its last CONV-1 inputs (older columns move up where the chunk is shorter).
// Grid (channels, sequences).
#extension GL_EXT_control_flow_attributes : require

layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint LOCAL = 64u;
layout(constant_id = 1) const uint CONV = 4u;

layout(set = 0, binding = 0, std430) readonly restrict buffer A { float a[]; };
layout(set = 0, binding = 1, std430) restrict buffer Columns { float columns[]; }; // [sequences][inner][CONV-1], oldest first

layout(push_constant) uniform Push {
    uint inner;
    uint tokens; // of a sequence
    uint a_stride;
} p;

void main() {
    const uint d = gl_GlobalInvocationID.x;
    if (d >= p.inner) return;
    const uint row0 = gl_WorkGroupID.y * p.tokens;
    const uint carried = (gl_WorkGroupID.y * p.inner + d) * (CONV - 1u);
    // Ascending j reads column j + tokens before it is overwritten.
    [[unroll]] for (uint j = 0u; j + 1u < CONV; j++) {
        const uint from = j + p.tokens; // in carried columns followed by the chunk
        columns[carried + j] =
            from < CONV - 1u ? columns[carried + from] : a[(row0 + from - (CONV - 1u)) * p.a_stride + d];
    }
}

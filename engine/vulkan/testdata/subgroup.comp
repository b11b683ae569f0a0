#version 450
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_arithmetic : require
// y[0] = subgroup size; y[1 + k] = sum of x over subgroup k of the one workgroup.
layout(local_size_x_id = 0) in;
layout(binding = 0) readonly buffer X { uint x[]; };
layout(binding = 1) writeonly buffer Y { uint y[]; };

void main() {
	uint sum = subgroupAdd(x[gl_LocalInvocationID.x]);
	if (subgroupElect()) y[1 + gl_SubgroupID] = sum;
	if (gl_LocalInvocationID.x == 0) y[0] = gl_SubgroupSize;
}

#version 450
// y[i] = a * x[i] + b, with the workgroup size and a as specialization constants.
layout(local_size_x_id = 0) in;
layout(constant_id = 1) const uint a = 1;
layout(push_constant) uniform Push {
	uint n;
	uint b;
};
layout(binding = 0) readonly buffer X { uint x[]; };
layout(binding = 1) writeonly buffer Y { uint y[]; };

void main() {
	uint i = gl_GlobalInvocationID.x;
	if (i < n) y[i] = a * x[i] + b;
}

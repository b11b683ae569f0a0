#version 450
layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint GROUP = 64;
layout(set = 0, binding = 0) readonly buffer In { float x[]; };
layout(set = 0, binding = 1) writeonly buffer Out { float y[]; };
layout(push_constant) uniform Push { uint n; };
void main() {
  uint i = gl_GlobalInvocationID.x;
  if (i < n) y[i] = SCALE * x[i];
}

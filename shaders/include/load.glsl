// Loads of 8 and 16 bytes.
//
// GPUs load a uvec4 at once. Drivers that run on the CPU (-DWIDE) load component by component and lane by lane, where 8
// bytes cost what 4 do: there it is two 64-bit components.
#ifndef LOAD_GLSL
#define LOAD_GLSL

#ifdef WIDE
#extension GL_EXT_shader_explicit_arithmetic_types_int64 : require
#define LOAD4 u64vec2
#define LOAD2 uint64_t
uvec4 words(const u64vec2 v) { return uvec4(unpack32(v.x), unpack32(v.y)); }
uvec2 words(const uint64_t v) { return unpack32(v); }
#else
#define LOAD4 uvec4
#define LOAD2 uvec2
uvec4 words(const uvec4 v) { return v; }
uvec2 words(const uvec2 v) { return v; }
#endif
vec4 floats(const LOAD4 v) { return uintBitsToFloat(words(v)); }

#endif

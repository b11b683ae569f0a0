// Loads through addresses that all lanes share, of neighbours of which each of eight lanes takes one.
//
// All are loaded before the choice, at constants from the address: so the compiler makes one load of a vector of them.
#ifndef SPREAD_GLSL
#define SPREAD_GLSL

#extension GL_EXT_buffer_reference : require
#extension GL_EXT_buffer_reference_uvec2 : require
#extension GL_EXT_shader_explicit_arithmetic_types_int8 : require
#extension GL_EXT_shader_explicit_arithmetic_types_int16 : require

layout(buffer_reference, std430, buffer_reference_align = 4) readonly buffer Words { uint v[]; };
layout(buffer_reference, std430, buffer_reference_align = 4) readonly buffer Floats { float v[]; };
layout(buffer_reference, std430, buffer_reference_align = 2) readonly buffer Halves { uint16_t v[]; };
layout(buffer_reference, std430, buffer_reference_align = 1) readonly buffer Bytes { uint8_t v[]; };
layout(buffer_reference, std430, buffer_reference_align = 1) readonly buffer Signed { int8_t v[]; };

#define SPREAD(NAME, TYPE, FROM)                                                                              \
    TYPE NAME(const uint64_t at, const uint lanes) {                                                          \
        FROM b = FROM(at);                                                                                    \
        TYPE mine = TYPE(0);                                                                                  \
        [[unroll]] for (uint i = 0u; i < lanes; i++) mine = mix(mine, b.v[i], gl_SubgroupInvocationID == i); \
        return mine;                                                                                          \
    }
SPREAD(spread_floats, float, Floats)
SPREAD(spread_words, uint, Words)
SPREAD(spread_halves, uint16_t, Halves)
SPREAD(spread_bytes, uint8_t, Bytes)
SPREAD(spread_signed, int8_t, Signed)

// half_of is the binary16 at an address.
float half_of(const uint64_t at) {
    Halves b = Halves(at);
    return unpackHalf2x16(uint(b.v[0])).x;
}

#endif

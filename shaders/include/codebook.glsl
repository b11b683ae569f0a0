// Values that codes of four bits stand for: engine/weights/quant has the same tables.
//
// GPUs look them up in shared memory. Drivers that run on the CPU look up lane by lane, and computing beats it: there
// (-DWIDE, or CODEBOOK_COMPUTED) a value is chosen bit by bit.
#ifndef CODEBOOK_GLSL
#define CODEBOOK_GLSL
#define CODEBOOK

#if defined(W_IQ4_NL) || defined(W_IQ4_XS)
#define VALUES -127.0, -104.0, -83.0, -65.0, -49.0, -35.0, -22.0, -10.0, 1.0, 13.0, 25.0, 38.0, 53.0, 69.0, 89.0, 113.0
#elif defined(W_NF4)
#define VALUES -1.0, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453, -0.28444138169288635, \
    -0.18477343022823334, -0.09105003625154495, 0.0, 0.07958029955625534, 0.16093020141124725, 0.24611230194568634, \
    0.33791524171829224, 0.44070982933044434, 0.5626170039176941, 0.7229568362236023, 1.0
#elif defined(W_FP4)
#define VALUES 0.0, 0.0625 / 12.0, 8.0 / 12.0, 1.0, 4.0 / 12.0, 6.0 / 12.0, 2.0 / 12.0, 3.0 / 12.0, \
    0.0, -0.0625 / 12.0, -8.0 / 12.0, -1.0, -4.0 / 12.0, -6.0 / 12.0, -2.0 / 12.0, -3.0 / 12.0
#else
#error "define the storage type of the weights"
#endif

#ifdef WIDE
#define CODEBOOK_COMPUTED
#endif

const float VALUE[16] = float[](VALUES);

#if defined(CODEBOOK_COMPUTED) && (defined(W_IQ4_NL) || defined(W_IQ4_XS))
void codebook_begin() {}
// The values are integers of eight bits, four to a word: choose the word, then shift.
vec4 codebook(const ivec4 c) {
    const bvec4 second = notEqual(c & 4, ivec4(0)), third = notEqual(c & 8, ivec4(0));
    const ivec4 low = mix(ivec4(0xbfad9881), ivec4(0xf6eaddcf), second);
    const ivec4 high = mix(ivec4(0x26190d01), ivec4(0x71594535), second);
    return vec4(mix(low, high, third) << (24 - 8 * (c & 3)) >> 24);
}
#elif defined(CODEBOOK_COMPUTED) && defined(W_FP4)
void codebook_begin() {}
// The upper half is the lower one's negative.
vec4 codebook(const ivec4 c) {
    const bvec4 b0 = notEqual(c & 1, ivec4(0)), b1 = notEqual(c & 2, ivec4(0)), b2 = notEqual(c & 4, ivec4(0));
    vec4 v[4];
    [[unroll]] for (int i = 0; i < 4; i++) v[i] = mix(vec4(VALUE[2 * i]), vec4(VALUE[2 * i + 1]), b0);
    [[unroll]] for (int i = 0; i < 2; i++) v[i] = mix(v[2 * i], v[2 * i + 1], b1);
    return intBitsToFloat(floatBitsToInt(mix(v[0], v[1], b2)) ^ (c & 8) << 28);
}
#elif defined(CODEBOOK_COMPUTED)
void codebook_begin() {}
vec4 codebook(const ivec4 c) {
    const bvec4 b0 = notEqual(c & 1, ivec4(0)), b1 = notEqual(c & 2, ivec4(0)), b2 = notEqual(c & 4, ivec4(0)), b3 = notEqual(c & 8, ivec4(0));
    vec4 v[8];
    [[unroll]] for (int i = 0; i < 8; i++) v[i] = mix(vec4(VALUE[2 * i]), vec4(VALUE[2 * i + 1]), b0);
    [[unroll]] for (int i = 0; i < 4; i++) v[i] = mix(v[2 * i], v[2 * i + 1], b1);
    [[unroll]] for (int i = 0; i < 2; i++) v[i] = mix(v[2 * i], v[2 * i + 1], b2);
    return mix(v[0], v[1], b3);
}
#else
shared float codebook_values[16];
void codebook_begin() {
    for (uint i = gl_LocalInvocationIndex; i < 16u; i += gl_WorkGroupSize.x) codebook_values[i] = VALUE[i];
    barrier();
}
vec4 codebook(const ivec4 c) {
    return vec4(codebook_values[c.x], codebook_values[c.y], codebook_values[c.z], codebook_values[c.w]);
}
#endif

#endif

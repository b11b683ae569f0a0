// Choosing an id as engine/sample does, to the bit: its fixed.go is the same arithmetic, its params.go says what is done.
//
// Sums are integers of 64 bits in two words, low first: they do not depend on the order of adding.
// The including file binds control at 1, seen at 2, window at 3 and result at 4.
#ifndef DRAW_GLSL
#define DRAW_GLSL

layout(set = 0, binding = 1, std430) restrict buffer Control {
    uint id; // chosen; what follows is the sampler's rule
    float scale;
    uint top_k;
    uint top_p;
    uint min_p;
    float penalty; // of logits below 0
    float relief;  // of the others
    uint seed[2];
    uint place[2]; // how many ids were accepted
    uint size;     // of the window; 0: nothing is penalized
    uint filled;
    uint next; // place of the oldest once filled
} control;
layout(set = 0, binding = 2, std430) restrict buffer Seen { uint seen[]; };      // how often each id is in the window
layout(set = 0, binding = 3, std430) restrict buffer Window { uint window[]; };
layout(set = 0, binding = 4, std430) writeonly restrict buffer Result { uint result[]; }; // { id, 0 }; { 0, 1 }: there is none

const uint NEVER = 32u << 24; // depth of what is never chosen

bool nan(const float v) { return (floatBitsToUint(v) & 0x7fffffffu) > 0x7f800000u; }
bool infinite(const float v) { return (floatBitsToUint(v) & 0x7fffffffu) == 0x7f800000u; }

// penalized is the logit of an id after the repeat penalty.
float penalized(const uint id, const float logit) {
    precise float v = logit;
    if (control.size != 0u && seen[id] != 0u) v = logit * (logit < 0.0 ? control.penalty : control.relief);
    return v;
}

// depth is how far a logit lies below the largest, in 2^-24 octaves of probability.
uint depth(const float logit, const float largest) {
    precise float below = largest - logit;
    precise float octaves = below * control.scale;
    return octaves < 32.0 ? uint(octaves * 16777216.0) : NEVER;
}

uint times(const uint a, const uint b) {
    uint high, low;
    umulExtended(a, b, high, low);
    return high;
}

// weight is 2^(31-d), a probability beside the likeliest's.
uint weight(const uint d) {
    const uint n = d >> 24, f = d << 8;
    if (n >= 32u) return 0u;
    uint w = 0x0003c278u;
    w = 0x002a4feau - times(f, w);
    w = 0x013a779cu - times(f, w);
    w = 0x071a98b1u - times(f, w);
    w = 0x1ebfba75u - times(f, w);
    w = 0x58b90befu - times(f, w);
    w = 0x80000000u - times(f, w);
    return (w + ((1u << n) >> 1)) >> n;
}

uvec2 add(const uvec2 a, const uvec2 b) {
    uint carry;
    const uint low = uaddCarry(a.x, b.x, carry);
    return uvec2(low, a.y + b.y + carry);
}

bool less(const uvec2 a, const uvec2 b) { return a.y < b.y || (a.y == b.y && a.x < b.x); }

uvec2 multiply(const uint a, const uint b) {
    uint high, low;
    umulExtended(a, b, high, low);
    return uvec2(low, high);
}

// share is p*total / 2^32.
uvec2 share(const uint p, const uvec2 total) { return add(multiply(p, total.y), uvec2(times(p, total.x), 0u)); }

// draw is a number below total: Philox4x32-10 of the place with the seed as its key.
uvec2 draw(const uvec2 total) {
    uvec4 c = uvec4(control.place[0], control.place[1], 0u, 0u);
    uvec2 key = uvec2(control.seed[0], control.seed[1]);
    [[dont_unroll]] for (uint round = 0u; round < 10u; round++) {
        const uvec2 a = multiply(c.x, 0xd2511f53u), b = multiply(c.z, 0xcd9e8d57u);
        c = uvec4(b.y ^ c.y ^ key.x, b.x, a.y ^ c.w ^ key.y, a.x);
        key += uvec2(0x9e3779b9u, 0xbb67ae85u);
    }
    // (c.x c.y) * total / 2^64
    const uvec2 low = multiply(c.y, total.x);
    const uvec2 mid = add(multiply(c.x, total.x), uvec2(low.y, 0u));
    const uvec2 other = add(multiply(c.y, total.y), uvec2(mid.x, 0u));
    return add(multiply(c.x, total.y), add(uvec2(mid.y, 0u), uvec2(other.y, 0u)));
}

// accept makes id part of the text. One lane calls it.
void accept(const uint id) {
    control.id = id;
    result[0] = id;
    result[1] = 0u;
    control.place[0]++;
    if (control.place[0] == 0u) control.place[1]++;
    if (control.size == 0u) return;
    const uint at = control.next;
    if (control.filled == control.size) seen[window[at]]--;
    else control.filled++;
    window[at] = id;
    seen[id]++;
    control.next = at + 1u == control.size ? 0u : at + 1u;
}

// refuse says that nothing can be chosen; what follows has an id to read.
void refuse() {
    control.id = 0u;
    result[0] = 0u;
    result[1] = 1u;
}

#endif

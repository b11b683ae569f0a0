// What engine/weights/quant does to find scales and integers, for a lane's N values x[].
//
// Its documentation describes the search and where it comes from. A device may fuse what is kept apart there, and divides
// less exactly, so bytes can differ; the error is the same to within a hundredth.
#ifndef ENCODE_GLSL
#define ENCODE_GLSL

#extension GL_EXT_control_flow_attributes : require

float x[N];

// to_half rounds to nearest, ties to even; packHalf2x16 may round otherwise.
uint to_half(const float v) {
    const uint bits = floatBitsToUint(v), sign = bits >> 16 & 0x8000u, mag = bits & 0x7fffffffu;
    if (mag > 0x7f800000u) return sign | 0x7e00u;
    if (mag >= 0x47800000u) return sign | 0x7c00u;
    if (mag < 0x38800000u) { // subnormal: in units of 2^-24, exactly; some drivers' roundEven is not even
        const float units = uintBitsToFloat(mag) * 16777216.0, rest = fract(units);
        const uint whole = uint(units);
        return sign | (whole + uint(rest > 0.5 || rest == 0.5 && (whole & 1u) != 0u));
    }
    return sign | (mag - 0x38000000u + 0xfffu + (mag >> 13 & 1u)) >> 13;
}

// from_half does not rely on the device to keep subnormal numbers.
float from_half(const uint h) {
    const uint e = h >> 10 & 31u, m = h & 0x3ffu;
    float v = float(m) * 5.9604644775390625e-8; // 2^-24
    if (e != 0u) v = uintBitsToFloat((e + 112u) << 23 | m << 13);
    return (h & 0x8000u) != 0u ? -v : v;
}

bool is_finite(const float v) { return (floatBitsToUint(v) & 0x7f800000u) != 0x7f800000u; }

bool all_finite() {
    uint most = 0u;
    [[unroll]] for (uint i = 0u; i < N; i++) most = max(most, floatBitsToUint(x[i]) & 0x7f800000u);
    return most != 0x7f800000u;
}

float nearest(const float v, const float n) { return roundEven(clamp(v, 0.0, n)); }
float reciprocal(const float v) { return v == 0.0 ? 0.0 : 1.0 / v; }

float largest() {
    float l = 0.0;
    [[unroll]] for (uint i = 0u; i < N; i++) l = abs(x[i]) > abs(l) ? x[i] : l;
    return l;
}

// scale_error is the squared error of scale * q, q from -n to n-1.
float scale_error(const float n, const float scale) {
    const float inverse = reciprocal(scale);
    float sum = 0.0;
    [[unroll]] for (uint i = 0u; i < N; i++) {
        const float e = scale * (nearest(x[i] * inverse + n, 2.0 * n - 1.0) - n) - x[i];
        sum += e * e;
    }
    return sum;
}

float fit_scale(const float n) {
    const float top = largest();
    if (top == 0.0) return 0.0;
    float scale = -top / n, most = 0.0;
    for (int t = 0; t < 21; t++) {
        const float inverse = -(n + float(t - 10) / 10.0) / top;
        float q2 = 0.0, xq = 0.0;
        [[unroll]] for (uint i = 0u; i < N; i++) {
            const float q = nearest(x[i] * inverse + n, 2.0 * n - 1.0) - n;
            q2 += q * q;
            xq += x[i] * q;
        }
        const float gain = xq * xq / q2;
        if (gain > most) {
            most = gain;
            scale = xq / q2;
        }
    }
    return scale;
}

// line_error is the squared error of scale * q - minimum, q from 0 to n.
float line_error(const float n, const float scale, const float minimum) {
    const float inverse = reciprocal(scale);
    float sum = 0.0;
    [[unroll]] for (uint i = 0u; i < N; i++) {
        const float e = scale * nearest((x[i] + minimum) * inverse, n) - minimum - x[i];
        sum += e * e;
    }
    return sum;
}

// fit_line returns a scale and a minimum, neither negative.
vec2 fit_line(const float n, const float from, const float to, const int trials) {
    float lo = x[0], hi = x[0];
    [[unroll]] for (uint i = 1u; i < N; i++) {
        lo = min(lo, x[i]);
        hi = max(hi, x[i]);
    }
    lo = min(lo, 0.0);
    if (hi <= lo) return vec2(0.0, -lo);
    vec2 best = vec2((hi - lo) / n, -lo);
    float least = line_error(n, best.x, best.y);
    for (int t = 0; t < trials; t++) {
        const float inverse = (n + from + (to - from) / float(trials - 1) * float(t)) / (hi - lo);
        float q1 = 0.0, q2 = 0.0, x1 = 0.0, xq = 0.0;
        [[unroll]] for (uint i = 0u; i < N; i++) {
            const float q = nearest((x[i] - lo) * inverse, n);
            q1 += q;
            q2 += q * q;
            x1 += x[i];
            xq += x[i] * q;
        }
        const float below = float(N) * q2 - q1 * q1;
        if (below <= 0.0) continue; // all integers are the same
        vec2 line = vec2((float(N) * xq - x1 * q1) / below, 0.0);
        line.y = (line.x * q1 - x1) / float(N);
        if (line.y < 0.0) line = vec2(xq / q2, 0.0);
        if (!(line.x > 0.0)) continue;
        const float e = line_error(n, line.x, line.y);
        if (e < least) {
            least = e;
            best = line;
        }
    }
    return best;
}

// ceil_half rounds v >= 0 up.
uint ceil_half(const float v) {
    const uint h = to_half(v);
    return from_half(h) < v ? h + 1u : h;
}

#endif

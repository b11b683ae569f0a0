// The scalar functions of the model.
#ifndef MATH_GLSL
#define MATH_GLSL

float silu(const float v) { return v / (1.0 + exp(-v)); }

// As torch: linear above 20, where log1p(exp(v)) equals v in f32. Below -15 exp(v) itself is log1p(exp(v)) to within
// an ulp, and keeps the small steps that 1 + exp(v) would round away.
float softplus(const float v) {
    if (v > 20.0) return v;
    const float e = exp(v);
    if (e < 1e-3) return e * (1.0 - e * (0.5 - e * (1.0 / 3.0)));
    return log(1.0 + e);
}

#endif

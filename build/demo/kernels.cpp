// Fused CPU kernels of the FalconMamba mixer, float32, channels-last [batch, length, channels].
// Plain C interface (loaded with ctypes), GCC vector types, OpenMP over the batch.
//   pos[b,t] = position inside the document; 0 restarts the recurrence and the convolution there.
#include <cmath>
#include <cstdint>
#include <cstring>
#include <vector>
#ifdef __AVX2__
#include <immintrin.h>
#endif

typedef float v8 __attribute__((vector_size(32), may_alias));
typedef float v16 __attribute__((vector_size(64), may_alias));
typedef float v16u __attribute__((vector_size(64), aligned(4), may_alias));
typedef int32_t i16 __attribute__((vector_size(64)));
enum { N = 16, T = 16, W = 16 };                 // states, steps between saved states, channels of a vector

static inline v16 load(const float* p) { return *(const v16u*)p; }
static inline void store(v16 x, float* p) { *(v16u*)p = x; }
static const v16 ZERO = {};

static inline v16 vexp(v16 x) {
    x = x < -87.0f ? ZERO - 87.0f : x;
    x = x > 88.0f ? ZERO + 88.0f : x;
    const float magic = 12582912.0f;             // 1.5 * 2^23: adding it rounds to nearest
    v16 r = x * 1.44269504088896341f + magic;
    i16 k = (i16)r - 0x4b400000;
    r -= magic;
    v16 f = x - r * 0.693359375f;
    f = f - r * -2.12194440e-4f;
    v16 y = f * 1.9875691500e-4f + 1.3981999507e-3f;
    y = y * f + 8.3334519073e-3f;
    y = y * f + 4.1665795894e-2f;
    y = y * f + 1.6666665459e-1f;
    y = y * f + 5.0000001201e-1f;
    y = y * f * f + f + 1.0f;
    return y * (v16)((k + 127) << 23);
}
static inline v16 vsigmoid(v16 x) { return 1.0f / (1.0f + vexp(-x)); }
static inline v16 vsoftplus(v16 x) {             // max(x, 0) + log1p(exp(-|x|)), where log1p(u) = 2 atanh(u / (2 + u))
    v16 u = vexp(x < 0.0f ? x : -x);
    v16 s = u / (2.0f + u), q = s * s;
    v16 p = q * (1.0f / 17) + (1.0f / 15);
    p = p * q + (1.0f / 13);
    p = p * q + (1.0f / 11);
    p = p * q + (1.0f / 9);
    p = p * q + (1.0f / 7);
    p = p * q + (1.0f / 5);
    p = p * q + (1.0f / 3);
    p = p * q + 1.0f;
    return (x > 0.0f ? x : ZERO) + 2.0f * s * p;
}

static inline v8 fold(v16 x) { return *(const v8*)&x + *((const v8*)&x + 1); }
static inline float hsum(v8 x) { return ((x[0] + x[4]) + (x[1] + x[5])) + ((x[2] + x[6]) + (x[3] + x[7])); }

// out[0..7] += horizontal sums of r[0..7]
static inline void add_hsum8(const v8* r, float* out) {
#ifdef __AVX2__
    __m256 a = _mm256_hadd_ps((__m256)r[0], (__m256)r[1]), b = _mm256_hadd_ps((__m256)r[2], (__m256)r[3]);
    __m256 c = _mm256_hadd_ps((__m256)r[4], (__m256)r[5]), d = _mm256_hadd_ps((__m256)r[6], (__m256)r[7]);
    a = _mm256_hadd_ps(a, b);
    c = _mm256_hadd_ps(c, d);
    __m256 s = _mm256_add_ps(_mm256_permute2f128_ps(a, c, 0x20), _mm256_permute2f128_ps(a, c, 0x31));
    _mm256_storeu_ps(out, _mm256_add_ps(_mm256_loadu_ps(out), s));
#else
    for (int i = 0; i < 8; i++) out[i] += hsum(r[i]);
#endif
}

extern "C" {

// u, dt, z, y: [Bt,L,D]; A: [N,D] (= -exp(A_log) transposed); bc: [Bt,L,S] rows, B at column ob, C at column oc
// h0: [Bt,D/16,N,16] or null; hT likewise; hs: [Bt,chunks,D/16,N,16] or null
void scan_fwd(const float* u, const float* dt, const float* A, const float* Dv, const float* bc, const float* z,
              const int32_t* pos, const float* h0, float* y, float* hT, float* hs,
              int Bt, int L, int D, int S, int ob, int oc) {
    const int nb = D / W, nc = (L + T - 1) / T;
#pragma omp parallel for schedule(static)
    for (int b = 0; b < Bt; b++)
        for (int k = 0; k < nb; k++) {
            v16 h[N], a[N];
            const int d0 = k * W;
            for (int n = 0; n < N; n++) {
                a[n] = load(A + (size_t)n * D + d0);
                h[n] = h0 ? load(h0 + (((size_t)b * nb + k) * N + n) * W) : ZERO;
            }
            const v16 dskip = load(Dv + d0);
            for (int t = 0; t < L; t++) {
                if (hs && t % T == 0)
                    for (int n = 0; n < N; n++) store(h[n], hs + ((((size_t)b * nc + t / T) * nb + k) * N + n) * W);
                const size_t i = (size_t)b * L + t;
                if (pos[i] == 0)
                    for (int n = 0; n < N; n++) h[n] = ZERO;
                const v16 x = load(u + i * D + d0), dl = vsoftplus(load(dt + i * D + d0));
                const v16 dx = dl * x;
                v16 o = dskip * x;
                const float *Bp = bc + i * S + ob, *Cp = bc + i * S + oc;
                for (int n = 0; n < N; n++) {
                    h[n] = vexp(dl * a[n]) * h[n] + dx * Bp[n];
                    o = o + h[n] * Cp[n];
                }
                const v16 zv = load(z + i * D + d0);
                store(o * zv * vsigmoid(zv), y + i * D + d0);
            }
            if (hT)
                for (int n = 0; n < N; n++) store(h[n], hT + (((size_t)b * nb + k) * N + n) * W);
        }
}

// dA: [Bt,D/16,N,16] and dD: [Bt,D] are per-sequence partial sums; dbc must arrive zeroed
void scan_bwd(const float* u, const float* dt, const float* A, const float* Dv, const float* bc, const float* z,
              const int32_t* pos, const float* hs, const float* dy, float* du, float* ddt, float* dz, float* dA,
              float* dD, float* dbc, int Bt, int L, int D, int S, int ob, int oc) {
    const int nb = D / W, nc = (L + T - 1) / T;
#pragma omp parallel for schedule(static)
    for (int b = 0; b < Bt; b++)
        for (int k = 0; k < nb; k++) {
            v16 a[N], dh[N], da_sum[N], h[N], hp[T][N], ea[T][N], ypre[T], dls[T];
            v16 dD_sum = ZERO;
            const int d0 = k * W;
            for (int n = 0; n < N; n++) {
                a[n] = load(A + (size_t)n * D + d0);
                dh[n] = da_sum[n] = ZERO;
            }
            const v16 dskip = load(Dv + d0);
            for (int c = nc - 1; c >= 0; c--) {
                const int t0 = c * T, len = L - t0 < T ? L - t0 : T;
                for (int n = 0; n < N; n++) h[n] = load(hs + ((((size_t)b * nc + c) * nb + k) * N + n) * W);
                for (int j = 0; j < len; j++) {              // recompute the states of this chunk
                    const size_t i = (size_t)b * L + t0 + j;
                    if (pos[i] == 0)
                        for (int n = 0; n < N; n++) h[n] = ZERO;
                    const v16 x = load(u + i * D + d0), dl = vsoftplus(load(dt + i * D + d0));
                    const v16 dx = dl * x;
                    v16 o = dskip * x;
                    const float *Bp = bc + i * S + ob, *Cp = bc + i * S + oc;
                    for (int n = 0; n < N; n++) {
                        hp[j][n] = h[n];
                        const v16 e = vexp(dl * a[n]);
                        ea[j][n] = e;
                        h[n] = e * h[n] + dx * Bp[n];
                        o = o + h[n] * Cp[n];
                    }
                    ypre[j] = o;
                    dls[j] = dl;
                }
                for (int j = len - 1; j >= 0; j--) {
                    const size_t i = (size_t)b * L + t0 + j;
                    const v16 x = load(u + i * D + d0), dl = dls[j], zv = load(z + i * D + d0);
                    const v16 sz = vsigmoid(zv), go = load(dy + i * D + d0);
                    store(go * ypre[j] * sz * (1.0f + zv * (1.0f - sz)), dz + i * D + d0);
                    const v16 g = go * zv * sz, dx = dl * x;
                    const float *Bp = bc + i * S + ob, *Cp = bc + i * S + oc;
                    v16 ddx = ZERO, ddl = ZERO;
                    v8 rb[N], rc[N];
                    for (int n = 0; n < N; n++) {
                        const v16 p = ea[j][n] * hp[j][n], q = dh[n] + g * Cp[n];
                        const v16 tc = g * (p + dx * Bp[n]), tb = q * dx;
                        rc[n] = fold(tc);
                        rb[n] = fold(tb);
                        ddx = ddx + q * Bp[n];
                        const v16 e = q * p;                 // gradient of the exponent dl * a
                        ddl = ddl + e * a[n];
                        da_sum[n] = da_sum[n] + e * dl;
                        dh[n] = q * ea[j][n];
                    }
                    add_hsum8(rb, dbc + i * S + ob);
                    add_hsum8(rb + 8, dbc + i * S + ob + 8);
                    add_hsum8(rc, dbc + i * S + oc);
                    add_hsum8(rc + 8, dbc + i * S + oc + 8);
                    store(ddx * dl + g * dskip, du + i * D + d0);
                    dD_sum = dD_sum + g * x;
                    store((ddl + ddx * x) * (1.0f - vexp(ZERO - dl)), ddt + i * D + d0);
                    if (pos[i] == 0)
                        for (int n = 0; n < N; n++) dh[n] = ZERO;
                }
            }
            for (int n = 0; n < N; n++) store(da_sum[n], dA + (((size_t)b * nb + k) * N + n) * W);
            store(dD_sum, dD + (size_t)b * D + d0);
        }
}

// depthwise causal convolution of width 4 + bias + silu; w: [4,D] (w[3] multiplies the current input)
// tail0/tailT: [Bt,3,D], the last three raw inputs before and after
static inline v16 tap(const float* x, const float* tail, size_t b, int t, int L, int D, int d0) {
    if (t >= 0) return load(x + (b * L + t) * D + d0);
    return tail ? load(tail + (b * 3 + (t + 3)) * D + d0) : ZERO;
}
void conv_fwd(const float* x, const float* w, const float* bias, const int32_t* pos, const float* tail0, float* y,
              float* tailT, int Bt, int L, int D) {
#pragma omp parallel for schedule(static)
    for (int b = 0; b < Bt; b++) {
        for (int t = 0; t < L; t++) {
            const int p = pos[(size_t)b * L + t];
            for (int d0 = 0; d0 < D; d0 += W) {
                v16 s = load(bias + d0);
                for (int j = 0; j < 4 && j <= p; j++)
                    s = s + load(w + (3 - j) * D + d0) * tap(x, tail0, b, t - j, L, D, d0);
                store(s * vsigmoid(s), y + ((size_t)b * L + t) * D + d0);
            }
        }
        for (int j = 0; tailT && j < 3; j++)
            for (int d0 = 0; d0 < D; d0 += W)
                store(tap(x, tail0, b, L - 3 + j, L, D, d0), tailT + ((size_t)b * 3 + j) * D + d0);
    }
}
// dw: [Bt,4,D], db: [Bt,D] partial sums, zeroed; dx zeroed
void conv_bwd(const float* x, const float* w, const float* bias, const int32_t* pos, const float* tail0,
              const float* dy, float* dx, float* dw, float* db, int Bt, int L, int D) {
#pragma omp parallel for schedule(static)
    for (int b = 0; b < Bt; b++)
        for (int t = 0; t < L; t++) {
            const int p = pos[(size_t)b * L + t];
            for (int d0 = 0; d0 < D; d0 += W) {
                v16 s = load(bias + d0), xs[4];
                for (int j = 0; j < 4 && j <= p; j++) {
                    xs[j] = tap(x, tail0, b, t - j, L, D, d0);
                    s = s + load(w + (3 - j) * D + d0) * xs[j];
                }
                const v16 sg = vsigmoid(s);
                const v16 g = load(dy + ((size_t)b * L + t) * D + d0) * sg * (1.0f + s * (1.0f - sg));
                float* dbp = db + (size_t)b * D + d0;
                store(load(dbp) + g, dbp);
                for (int j = 0; j < 4 && j <= p; j++) {
                    float* dwp = dw + ((size_t)b * 4 + 3 - j) * D + d0;
                    store(load(dwp) + g * xs[j], dwp);
                    if (t - j >= 0) {
                        float* dxp = dx + ((size_t)b * L + t - j) * D + d0;
                        store(load(dxp) + g * load(w + (3 - j) * D + d0), dxp);
                    }
                }
            }
        }
}

// rms norm of column ranges [off[s], off[s+1]) of each row (all multiples of 4); w: [n] or null
void rms_fwd(const float* x, const float* w, float* y, float* rstd, const int32_t* off, int segs, int M, int n, float eps) {
#pragma omp parallel for schedule(static)
    for (int i = 0; i < M; i++)
        for (int s = 0; s < segs; s++) {
            const float* xr = x + (size_t)i * n;
            float* yr = y + (size_t)i * n;
            const int o = off[s], e = off[s + 1];
            float q = 0;
#pragma omp simd reduction(+ : q)
            for (int c = o; c < e; c++) q += xr[c] * xr[c];
            const float r = 1.0f / sqrtf(q / (e - o) + eps);
            rstd[(size_t)i * segs + s] = r;
            if (w)
                for (int c = o; c < e; c++) yr[c] = xr[c] * r * w[c];
            else
                for (int c = o; c < e; c++) yr[c] = xr[c] * r;
        }
}
void rms_bwd(const float* x, const float* w, const float* dy, const float* rstd, float* dx, float* dw, const int32_t* off,
             int segs, int M, int n) {
#pragma omp parallel
    {
        std::vector<float> acc(w ? n : 0, 0.0f);
#pragma omp for schedule(static)
        for (int i = 0; i < M; i++)
            for (int s = 0; s < segs; s++) {
                const float *xr = x + (size_t)i * n, *gr = dy + (size_t)i * n;
                float* dr = dx + (size_t)i * n;
                const int o = off[s], e = off[s + 1];
                const float r = rstd[(size_t)i * segs + s];
                float q = 0;
                if (w) {
#pragma omp simd reduction(+ : q)
                    for (int c = o; c < e; c++) q += xr[c] * gr[c] * w[c];
                } else {
#pragma omp simd reduction(+ : q)
                    for (int c = o; c < e; c++) q += xr[c] * gr[c];
                }
                const float m = q * r * r * r / (e - o);
                if (w) {
                    float* ap = acc.data();
#pragma omp simd
                    for (int c = o; c < e; c++) {
                        dr[c] = gr[c] * w[c] * r - xr[c] * m;
                        ap[c] += gr[c] * xr[c] * r;
                    }
                } else
                    for (int c = o; c < e; c++) dr[c] = gr[c] * r - xr[c] * m;
            }
        if (w)
#pragma omp critical
            for (int c = 0; c < n; c++) dw[c] += acc[c];
    }
}

// logits [M,V] (V a multiple of 16) become weight * (softmax - onehot); nll[i] is the unweighted loss
void xent(float* logits, const int64_t* target, const float* weight, float* nll, int M, int V, int want_grad) {
#pragma omp parallel for schedule(static)
    for (int i = 0; i < M; i++) {
        float* r = logits + (size_t)i * V;
        v16 mx = load(r);
        for (int c = W; c < V; c += W) {
            v16 x = load(r + c);
            mx = mx > x ? mx : x;
        }
        float m = mx[0];
        for (int c = 1; c < W; c++) m = mx[c] > m ? mx[c] : m;
        const float at = r[target[i]];
        v16 s = {};
        for (int c = 0; c < V; c += W) {
            v16 e = vexp(load(r + c) - m);
            if (want_grad) store(e, r + c);
            s += e;
        }
        const float sum = hsum(fold(s));
        nll[i] = logf(sum) + m - at;
        if (want_grad) {
            const float k = weight[i] / sum;
            for (int c = 0; c < V; c += W) store(load(r + c) * k, r + c);
            r[target[i]] -= weight[i];
        }
    }
}
}

/* Kernels of training that torch takes several passes for, each in one. Compiled on the machine that trains (build.py).

Axes as in seqsmith/batch.py; matrices lie row by row. The file includes itself: what stands below ITEM is compiled for
bfloat16 and for single precision, the types that products are taken in. All sums are in single precision. */

#ifndef ITEM

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

typedef uint16_t bfloat16;
#if defined(__AVX512F__)
enum { LANES = 16 };
#elif defined(__AVX__)
enum { LANES = 8 }; /* wider vectors are taken to pieces, and two to a sum are more than there are registers */
#else
enum { LANES = 4 };
#endif
enum { ROWS = 8, WHOLE = LANES > ROWS ? LANES : ROWS };
typedef float lanes __attribute__((vector_size(4 * LANES), aligned(4)));
typedef int32_t places __attribute__((vector_size(4 * LANES)));

static inline float bfloat16_up(bfloat16 half) {
    uint32_t bits = (uint32_t)half << 16;
    float x;
    memcpy(&x, &bits, 4);
    return x;
}

static inline bfloat16 bfloat16_down(float x) { /* to the nearest, ties to even */
    uint32_t bits;
    memcpy(&bits, &x, 4);
    if (x != x)
        return 0x7fc0;
    return (bfloat16)((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
}

static inline float float_up(float x) { return x; }
static inline float float_down(float x) { return x; }

/* e^x for x <= 0: 2^n times a polynomial of the rest, to a relative error of 2e-7; below -87 it is that of -87 */
static inline float exponential(float x) {
    x = x < -87.0f ? -87.0f : x;
    float n = __builtin_rintf(x * 1.44269504f);
    float r = x - n * 0.693359375f + n * 2.12194440e-4f;
    float y = 1.9875691500e-4f;
    y = y * r + 1.3981999507e-3f;
    y = y * r + 8.3334519073e-3f;
    y = y * r + 4.1665795894e-2f;
    y = y * r + 1.6666665459e-1f;
    y = y * r + 5.0000001201e-1f;
    y = y * r * r + r + 1.0f;
    uint32_t bits = (uint32_t)((int32_t)n + 127) << 23;
    float scale;
    memcpy(&scale, &bits, 4);
    return y * scale;
}

/* Whether element i is kept: a hash of (seed, i), so that no mask is stored (constants of Wellons' lowbias32) */
static inline int kept(uint32_t seed, uint32_t i, uint32_t dropped) {
    uint32_t x = i * 0x9e3779b9u + seed;
    x = (x ^ (x >> 16)) * 0x7feb352du;
    x = (x ^ (x >> 15)) * 0x846ca68bu;
    return (x ^ (x >> 16)) >= dropped;
}

/* c_MN = a_MK b_KN: N in whole lanes, M rounded up to whole ROWS, for which a and c have room */
static void product(long M, long N, long K, const float *a, long a_m, long a_k, const float *b, long b_k, float *c, long c_m) {
    for (long n = 0; n < N; n += LANES)
        for (long m = 0; m < M; m += ROWS) {
            lanes sum[ROWS] = {0}; /* as many as it takes not to wait for the last one */
            for (long k = 0; k < K; k++) {
                lanes row = *(const lanes *)(b + k * b_k + n);
#pragma GCC unroll 8
                for (int i = 0; i < ROWS; i++)
                    sum[i] += a[(m + i) * a_m + k * a_k] * row;
            }
#pragma GCC unroll 8
            for (int i = 0; i < ROWS; i++)
                *(lanes *)(c + (m + i) * c_m + n) = sum[i];
        }
}

/* b_KL = a_LK', both in whole lanes: blocks change their corners, then the corners theirs (Eklundh 1972) */
static void transpose(long L, long K, const float *a, float *b) {
    for (long l = 0; l < L; l += LANES)
        for (long k = 0; k < K; k += LANES) {
            lanes row[LANES];
            for (int i = 0; i < LANES; i++)
                row[i] = *(const lanes *)(a + (l + i) * K + k);
#pragma GCC unroll 4
            for (int step = LANES / 2; step; step /= 2) {
                places first, second;
                for (int j = 0; j < LANES; j++) {
                    first[j] = j & step ? LANES + j - step : j;
                    second[j] = j & step ? LANES + j : j + step;
                }
#pragma GCC unroll 16
                for (int i = 0; i < LANES; i++)
                    if (!(i & step)) {
                        lanes upper = row[i], lower = row[i + step];
                        row[i] = __builtin_shuffle(upper, lower, first);
                        row[i + step] = __builtin_shuffle(upper, lower, second);
                    }
            }
            for (int i = 0; i < LANES; i++)
                *(lanes *)(b + (k + i) * L + l) = row[i];
        }
}

static inline long whole(long n) { return (n + WHOLE - 1) / WHOLE * WHOLE; }

#define JOIN_(a, b) a##_##b
#define JOIN(a, b) JOIN_(a, b)
#define UP JOIN(ITEM, up)
#define DOWN JOIN(ITEM, down)
#define NAMED(f) JOIN(f, ITEM)

#define ITEM bfloat16
#include __FILE__
#undef ITEM
#define ITEM float
#include __FILE__
#undef ITEM

#else

/* y = x, a share of it dropped and the rest scaled up; a gradient's way back is the same */
void NAMED(dropped)(const ITEM *restrict x, ITEM *restrict y, long count, uint32_t seed, uint32_t dropped, float scale) {
#pragma omp parallel for simd schedule(static)
    for (long i = 0; i < count; i++)
        y[i] = DOWN(kept(seed, (uint32_t)i, dropped) ? UP(x[i]) * scale : 0);
}

/* y = relu(x), a share of it dropped and the rest scaled up */
void NAMED(relu_dropped)(const ITEM *restrict x, ITEM *restrict y, long count, uint32_t seed, uint32_t dropped, float scale) {
#pragma omp parallel for simd schedule(static)
    for (long i = 0; i < count; i++) {
        float v = UP(x[i]);
        y[i] = DOWN(v <= 0 || !kept(seed, (uint32_t)i, dropped) ? 0 : v * scale); /* what is no number stays none */
    }
}

/* what is above 0 was kept */
void NAMED(relu_dropped_back)(const ITEM *restrict grad, const ITEM *restrict y, ITEM *restrict grad_x, long count, float scale) {
#pragma omp parallel for simd schedule(static)
    for (long i = 0; i < count; i++)
        grad_x[i] = DOWN(UP(y[i]) > 0 ? UP(grad[i]) * scale : 0);
}

/* sum = x + y, a share of y dropped and the rest scaled up */
void NAMED(add_dropped)(const float *restrict x, const ITEM *restrict y, float *restrict sum, long count, uint32_t seed, uint32_t dropped, float scale) {
#pragma omp parallel for simd schedule(static)
    for (long i = 0; i < count; i++)
        sum[i] = x[i] + (kept(seed, (uint32_t)i, dropped) ? UP(y[i]) * scale : 0);
}

void NAMED(add_dropped_back)(const float *restrict grad, ITEM *restrict grad_y, long count, uint32_t seed, uint32_t dropped, float scale) {
#pragma omp parallel for simd schedule(static)
    for (long i = 0; i < count; i++)
        grad_y[i] = DOWN(kept(seed, (uint32_t)i, dropped) ? grad[i] * scale : 0);
}

/* y = (x - mean) / deviation * weight + bias for each row of D numbers */
void NAMED(norm)(const float *restrict x, const float *restrict weight, const float *restrict bias, ITEM *restrict y, float *restrict mean, float *restrict inverse, long rows, long D, float epsilon) {
#pragma omp parallel for schedule(static)
    for (long row = 0; row < rows; row++) {
        const float *x_D = x + row * D;
        ITEM *y_D = y + row * D;
        float sum = 0, squares = 0;
#pragma omp simd reduction(+ : sum)
        for (long i = 0; i < D; i++)
            sum += x_D[i];
        float middle = sum / D;
#pragma omp simd reduction(+ : squares)
        for (long i = 0; i < D; i++)
            squares += (x_D[i] - middle) * (x_D[i] - middle);
        float scale = 1 / sqrtf(squares / D + epsilon);
        mean[row] = middle;
        inverse[row] = scale;
#pragma omp simd
        for (long i = 0; i < D; i++)
            y_D[i] = DOWN((x_D[i] - middle) * scale * weight[i] + bias[i]);
    }
}

/* The sums over rows are made in `parts`, which do not depend on the number of threads; grad_weight and grad_bias hold one row each. */
void NAMED(norm_back)(const ITEM *restrict grad, const float *restrict x, const float *restrict weight, const float *restrict mean, const float *restrict inverse, float *restrict grad_x, float *restrict grad_weight, float *restrict grad_bias, long rows, long D, long parts) {
#pragma omp parallel for schedule(static)
    for (long part = 0; part < parts; part++) {
        float *weight_D = grad_weight + part * D, *bias_D = grad_bias + part * D;
        memset(weight_D, 0, D * sizeof(float));
        memset(bias_D, 0, D * sizeof(float));
        for (long row = rows * part / parts; row < rows * (part + 1) / parts; row++) {
            const ITEM *grad_D = grad + row * D;
            const float *x_D = x + row * D;
            float *out_D = grad_x + row * D;
            float middle = mean[row], scale = inverse[row], sum = 0, along = 0;
#pragma omp simd reduction(+ : sum, along)
            for (long i = 0; i < D; i++) {
                float g = UP(grad_D[i]), normal = (x_D[i] - middle) * scale;
                weight_D[i] += g * normal;
                bias_D[i] += g;
                g *= weight[i];
                sum += g;
                along += g * normal;
            }
            sum /= D;
            along /= D;
#pragma omp simd
            for (long i = 0; i < D; i++)
                out_D[i] = scale * (UP(grad_D[i]) * weight[i] - sum - (x_D[i] - middle) * scale * along);
        }
    }
}

/* Overwrites each row of V logits with softmax - (1 - smoothing) [true]; nats: -log p(true), and the loss without the mean logit */
void NAMED(slopes)(ITEM *restrict logit, const int64_t *restrict true_id, float *restrict truth, float *restrict loss, long rows, long V, float smoothing) {
#pragma omp parallel
    {
        float *p = malloc(V * sizeof(float));
#pragma omp for schedule(static)
        for (long row = 0; row < rows; row++) {
            ITEM *x = logit + row * V;
            float most = -INFINITY, sum = 0;
#pragma omp simd reduction(max : most)
            for (long i = 0; i < V; i++) {
                p[i] = UP(x[i]);
                most = p[i] > most ? p[i] : most;
            }
            float right = p[true_id[row]];
#pragma omp simd reduction(+ : sum)
            for (long i = 0; i < V; i++) {
                p[i] = exponential(p[i] - most);
                sum += p[i];
            }
            float share = 1 / sum;
            truth[row] = most - right + logf(sum);
            loss[row] = truth[row] + smoothing * right;
            float slope = p[true_id[row]] * share - (1 - smoothing);
#pragma omp simd
            for (long i = 0; i < V; i++)
                x[i] = DOWN(p[i] * share);
            x[true_id[row]] = DOWN(slope);
        }
        free(p);
    }
}

/* One head's rows of K numbers to out_LK (K in whole lanes), scaled and, with angles, turned */
static void NAMED(load)(const ITEM *x, long stride, long L, long K, long lane_K, const float *cosine, const float *sine, float scale, float *restrict out) {
    long half = K / 2;
    for (long l = 0; l < L; l++) {
        const ITEM *x_K = x + l * stride;
        float *out_K = out + l * lane_K;
        if (cosine) {
            const float *cos_J = cosine + l * half, *sin_J = sine + l * half;
#pragma omp simd
            for (long j = 0; j < half; j++) {
                float left = UP(x_K[j]) * scale, right = UP(x_K[j + half]) * scale;
                out_K[j] = left * cos_J[j] - right * sin_J[j];
                out_K[j + half] = left * sin_J[j] + right * cos_J[j];
            }
        } else {
#pragma omp simd
            for (long k = 0; k < K; k++)
                out_K[k] = UP(x_K[k]) * scale;
        }
    }
}

/* The way back of a gradient: turned by the opposite angle, scaled */
static void NAMED(store)(const float *x, long L, long K, long lane_K, const float *cosine, const float *sine, float scale, ITEM *out, long stride) {
    long half = K / 2;
    for (long l = 0; l < L; l++) {
        const float *x_K = x + l * lane_K;
        ITEM *out_K = out + l * stride;
        if (cosine) {
            const float *cos_J = cosine + l * half, *sin_J = sine + l * half;
#pragma omp simd
            for (long j = 0; j < half; j++) {
                float left = x_K[j] * scale, right = x_K[j + half] * scale;
                out_K[j] = DOWN(left * cos_J[j] + right * sin_J[j]);
                out_K[j + half] = DOWN(right * cos_J[j] - left * sin_J[j]);
            }
        } else {
#pragma omp simd
            for (long k = 0; k < K; k++)
                out_K[k] = DOWN(x_K[k] * scale);
        }
    }
}

typedef struct {
    long B, H, T, S, K;
    long query, key, value; /* from one row to the next */
    long bias_b, bias_t;    /* from one sequence and query to the next of bias_BTS, which is the same for all heads */
} NAMED(sizes);

/* weight_TS = softmax(query key' + bias); past S zeros */
static void NAMED(weigh)(const float *query, const float *key_KS, const float *bias, long bias_t, long T, long S, long K, long lane_K, long lane_S, float *restrict weight) {
    product(T, lane_S, K, query, lane_K, 1, key_KS, lane_S, weight, lane_S);
    for (long t = 0; t < T; t++) {
        float *w = weight + t * lane_S, most = -INFINITY, sum = 0;
        for (long s = 0; s < S; s++)
            w[s] += bias[t * bias_t + s];
        for (long s = S; s < lane_S; s++)
            w[s] = -INFINITY;
#pragma omp simd reduction(max : most)
        for (long s = 0; s < lane_S; s++)
            most = w[s] > most ? w[s] : most;
#pragma omp simd reduction(+ : sum)
        for (long s = 0; s < lane_S; s++) {
            float low = w[s] - most;
            w[s] = low < -87 ? 0 : exponential(low);
            sum += w[s];
        }
        float share = 1 / sum;
#pragma omp simd
        for (long s = 0; s < lane_S; s++)
            w[s] *= share;
    }
}

/* y_BTHK = softmax(turned query . turned key / sqrt(K) + bias) value */
void NAMED(attend)(const ITEM *query, const ITEM *key, const ITEM *value, const float *bias, const float *cosine, const float *sine, ITEM *y, const NAMED(sizes) *z) {
    long T = z->T, S = z->S, K = z->K, lane_K = whole(K), lane_S = whole(S), lane_T = whole(T);
#pragma omp parallel
    {
        float *q = calloc(lane_T * lane_K + 2 * lane_S * lane_K + lane_K * lane_S + lane_T * lane_S + lane_T * lane_K, sizeof(float));
        float *k = q + lane_T * lane_K, *k_KS = k + lane_S * lane_K, *v = k_KS + lane_K * lane_S, *w = v + lane_S * lane_K, *out = w + lane_T * lane_S;
#pragma omp for schedule(static)
        for (long n = 0; n < z->B * z->H; n++) {
            long b = n / z->H, h = n % z->H;
            NAMED(load)(query + b * T * z->query + h * K, z->query, T, K, lane_K, cosine, sine, 1 / sqrtf(K), q);
            NAMED(load)(key + b * S * z->key + h * K, z->key, S, K, lane_K, cosine, sine, 1, k);
            transpose(lane_S, lane_K, k, k_KS);
            NAMED(load)(value + b * S * z->value + h * K, z->value, S, K, lane_K, 0, 0, 1, v);
            NAMED(weigh)(q, k_KS, bias + b * z->bias_b, z->bias_t, T, S, K, lane_K, lane_S, w);
            product(T, lane_K, S, w, lane_S, 1, v, lane_K, out, lane_K);
            NAMED(store)(out, T, K, lane_K, 0, 0, 1, y + (b * T * z->H + h) * K, z->H * K);
        }
        free(q);
    }
}

/* The gradients; from one of their rows to the next it is query_step and memory_step */
void NAMED(attend_back)(const ITEM *grad, const ITEM *query, const ITEM *key, const ITEM *value, const float *bias, const float *cosine, const float *sine, ITEM *grad_query, ITEM *grad_key, ITEM *grad_value, long query_step, long memory_step, const NAMED(sizes) *z) {
    long T = z->T, S = z->S, K = z->K, lane_K = whole(K), lane_S = whole(S), lane_T = whole(T), HK = z->H * K;
    long queries = lane_T * lane_K, keys = lane_S * lane_K, weights = lane_T * lane_S;
#pragma omp parallel
    {
        float *q = calloc(3 * queries + 5 * keys + 2 * weights, sizeof(float));
        float *dy = q + queries, *k = dy + queries, *k_KS = k + keys, *v = k_KS + keys, *v_KS = v + keys;
        float *w = v_KS + keys, *dw = w + weights, *out = dw + weights, *out_S = out + queries;
#pragma omp for schedule(static)
        for (long n = 0; n < z->B * z->H; n++) {
            long b = n / z->H, h = n % z->H;
            NAMED(load)(query + b * T * z->query + h * K, z->query, T, K, lane_K, cosine, sine, 1 / sqrtf(K), q);
            NAMED(load)(grad + b * T * HK + h * K, HK, T, K, lane_K, 0, 0, 1, dy);
            NAMED(load)(key + b * S * z->key + h * K, z->key, S, K, lane_K, cosine, sine, 1, k);
            transpose(lane_S, lane_K, k, k_KS);
            NAMED(load)(value + b * S * z->value + h * K, z->value, S, K, lane_K, 0, 0, 1, v);
            transpose(lane_S, lane_K, v, v_KS);
            NAMED(weigh)(q, k_KS, bias + b * z->bias_b, z->bias_t, T, S, K, lane_K, lane_S, w);
            product(S, lane_K, T, w, 1, lane_S, dy, lane_K, out_S, lane_K);
            NAMED(store)(out_S, S, K, lane_K, 0, 0, 1, grad_value + b * S * memory_step + h * K, memory_step);
            product(T, lane_S, K, dy, lane_K, 1, v_KS, lane_S, dw, lane_S);
            for (long t = 0; t < T; t++) {
                float *w_S = w + t * lane_S, *dw_S = dw + t * lane_S, mean = 0;
#pragma omp simd reduction(+ : mean)
                for (long s = 0; s < lane_S; s++)
                    mean += w_S[s] * dw_S[s];
#pragma omp simd
                for (long s = 0; s < lane_S; s++)
                    dw_S[s] = w_S[s] * (dw_S[s] - mean);
            }
            product(T, lane_K, S, dw, lane_S, 1, k, lane_K, out, lane_K);
            NAMED(store)(out, T, K, lane_K, cosine, sine, 1 / sqrtf(K), grad_query + b * T * query_step + h * K, query_step);
            product(S, lane_K, T, dw, 1, lane_S, q, lane_K, out_S, lane_K);
            NAMED(store)(out_S, S, K, lane_K, cosine, sine, 1, grad_key + b * S * memory_step + h * K, memory_step);
        }
        free(q);
    }
}

#endif

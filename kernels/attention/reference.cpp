#include "kernels/attention/attention.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "kernels/reference.h"

namespace scene::reference {
namespace {

/// Element d of token t's query (part 0), key (1) or value (2), of one head of one clip.
struct Head {
    int64_t clip, head, tokens, features, size;

    int64_t qkv(int64_t t, int64_t part, int64_t d) const {
        return ((clip * tokens + t) * 3 + part) * features + head * size + d;
    }
    int64_t y(int64_t t, int64_t d) const { return (clip * tokens + t) * features + head * size + d; }
    int64_t dropout(int64_t heads, int64_t i, int64_t j) const {
        return ((clip * heads + head) * tokens + i) * tokens + j;
    }
};

template <typename Work> void for_each_head(const Shape& qkv, int heads, Work&& work) {
    const int64_t features = qkv[2] / 3;
    for (int64_t n = 0; n < qkv[0]; ++n)
        for (int64_t h = 0; h < heads; ++h) work(Head{n, h, qkv[1], features, features / heads});
}

/// softmax over j of q_i k_j / sqrt(D/heads).
template <typename Real> std::vector<Real> probabilities(const Real* qkv, const Head& at, int64_t i) {
    std::vector<Real> p(static_cast<size_t>(at.tokens));
    for (int64_t j = 0; j < at.tokens; ++j) {
        Real score = 0;
        for (int64_t d = 0; d < at.size; ++d) score += qkv[at.qkv(i, 0, d)] * qkv[at.qkv(j, 1, d)];
        p[j] = score / std::sqrt(static_cast<Real>(at.size));
    }
    const Real largest = *std::max_element(p.begin(), p.end());
    Real sum = 0;
    for (Real& value : p) sum += value = std::exp(value - largest);
    for (Real& value : p) value /= sum;
    return p;
}

template <typename Real> void forward(const AttentionForward<Tensor>& op) {
    const Real* qkv = values<Real>(op.qkv);
    Real* y = values<Real>(op.y);
    for_each_head(op.qkv.shape, op.heads, [&](const Head& at) {
        for (int64_t i = 0; i < at.tokens; ++i) {
            const std::vector<Real> p = probabilities(qkv, at, i);
            for (int64_t d = 0; d < at.size; ++d) {
                Real sum = 0;
                for (int64_t j = 0; j < at.tokens; ++j)
                    sum += p[j] * dropout_factor<Real>(op.dropout, op.control, at.dropout(op.heads, i, j)) *
                           qkv[at.qkv(j, 2, d)];
                y[at.y(i, d)] = sum;
            }
        }
    });
}

/// With p the probabilities, m their dropout factors and dp_j = m_j dy.v_j: dv_j += p_j m_j dy, and of the scores
/// dscore_j = p_j (dp_j - sum_k p_k dp_k).
template <typename Real> void backward(const AttentionBackward<Tensor>& op) {
    const Real *qkv = values<Real>(op.qkv), *dy = values<Real>(op.dy);
    Real* dqkv = values<Real>(op.dqkv);
    std::fill_n(dqkv, op.dqkv.elements(), Real(0));
    for_each_head(op.qkv.shape, op.heads, [&](const Head& at) {
        const Real scale = 1 / std::sqrt(static_cast<Real>(at.size));
        std::vector<Real> dp(static_cast<size_t>(at.tokens));
        for (int64_t i = 0; i < at.tokens; ++i) {
            const std::vector<Real> p = probabilities(qkv, at, i);
            Real inner = 0;
            for (int64_t j = 0; j < at.tokens; ++j) {
                const Real factor = dropout_factor<Real>(op.dropout, op.control, at.dropout(op.heads, i, j));
                Real sum = 0;
                for (int64_t d = 0; d < at.size; ++d) {
                    sum += dy[at.y(i, d)] * qkv[at.qkv(j, 2, d)];
                    dqkv[at.qkv(j, 2, d)] += p[j] * factor * dy[at.y(i, d)];
                }
                dp[j] = sum * factor;
                inner += p[j] * dp[j];
            }
            for (int64_t j = 0; j < at.tokens; ++j) {
                const Real dscore = p[j] * (dp[j] - inner) * scale;
                for (int64_t d = 0; d < at.size; ++d) {
                    dqkv[at.qkv(i, 0, d)] += dscore * qkv[at.qkv(j, 1, d)];
                    dqkv[at.qkv(j, 1, d)] += dscore * qkv[at.qkv(i, 0, d)];
                }
            }
        }
    });
}

} // namespace

void run(const AttentionForward<Tensor>& op) {
    with_real(op.qkv, [&](auto real) { forward<decltype(real)>(op); });
}
void run(const AttentionBackward<Tensor>& op) {
    with_real(op.qkv, [&](auto real) { backward<decltype(real)>(op); });
}

} // namespace scene::reference

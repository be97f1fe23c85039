#include "kernels/attention/attention.h"

#include <cmath>
#include <vector>

#include "kernels/reference.h"

namespace scene::reference {
namespace {

/// One head of one clip.
template <typename Real> struct Head {
    int64_t tokens, features, size, n, h;

    enum Part : int64_t { Query, Key, Value };
    /// Element d of a token's query, key or value in qkv [N, T, 3D].
    int64_t at(int64_t token, Part part, int64_t d) const {
        return ((n * tokens + token) * 3 + part) * features + h * size + d;
    }
    /// The same in y [N, T, D].
    int64_t in_y(int64_t token, int64_t d) const { return (n * tokens + token) * features + h * size + d; }
    Real scale() const { return 1 / std::sqrt(static_cast<Real>(size)); }

    /// softmax over j of q_i k_j / sqrt(D/heads). The largest score is subtracted so that exp does not overflow.
    std::vector<Real> probabilities(const Real* qkv, int64_t i) const {
        std::vector<Real> p(static_cast<size_t>(tokens));
        for (int64_t j = 0; j < tokens; ++j) {
            for (int64_t d = 0; d < size; ++d) p[j] += qkv[at(i, Query, d)] * qkv[at(j, Key, d)];
            p[j] *= scale();
        }
        Real largest = p[0], sum = 0;
        for (const Real score : p) largest = std::max(largest, score);
        for (Real& value : p) sum += value = std::exp(value - largest);
        for (Real& value : p) value /= sum;
        return p;
    }
};

/// Calls work(head, factor) for every head. factor(i, j) is what dropout multiplies p_ij with.
template <typename Real, typename Op, typename Work> void for_each_head(const Op& op, Work&& work) {
    const int64_t tokens = op.qkv.shape[1], features = op.qkv.shape[2] / 3;
    for (int64_t n = 0; n < op.qkv.shape[0]; ++n)
        for (int64_t h = 0; h < op.heads; ++h)
            work(Head<Real>{tokens, features, features / op.heads, n, h}, [&](int64_t i, int64_t j) {
                return dropout_factor<Real>(op.dropout, op.control, ((n * op.heads + h) * tokens + i) * tokens + j);
            });
}

template <typename Real> void forward(const AttentionForward<Tensor>& op) {
    const Real* qkv = values<Real>(op.qkv);
    Real* y = values<Real>(op.y);
    for_each_head<Real>(op, [&](const Head<Real>& head, const auto& factor) {
        for (int64_t i = 0; i < head.tokens; ++i) {
            const std::vector<Real> p = head.probabilities(qkv, i);
            for (int64_t d = 0; d < head.size; ++d) {
                Real sum = 0;
                for (int64_t j = 0; j < head.tokens; ++j)
                    sum += p[j] * factor(i, j) * qkv[head.at(j, Head<Real>::Value, d)];
                y[head.in_y(i, d)] = sum;
            }
        }
    });
}

/// With P = p*factor: dv = P^T dy, dp = (dy v^T)*factor, dscore = p*(dp - sum_j p_j dp_j)*scale, dq = dscore k,
/// dk = dscore^T q.
template <typename Real> void backward(const AttentionBackward<Tensor>& op) {
    using Of = Head<Real>;
    const Real *qkv = values<Real>(op.qkv), *dy = values<Real>(op.dy);
    Real* dqkv = values<Real>(op.dqkv);
    std::fill_n(dqkv, op.dqkv.elements(), Real(0));
    for_each_head<Real>(op, [&](const Of& head, const auto& factor) {
        for (int64_t i = 0; i < head.tokens; ++i) {
            const std::vector<Real> p = head.probabilities(qkv, i);
            std::vector<Real> dp(p.size());
            Real inner = 0;
            for (int64_t j = 0; j < head.tokens; ++j) {
                for (int64_t d = 0; d < head.size; ++d) {
                    dqkv[head.at(j, Of::Value, d)] += p[j] * factor(i, j) * dy[head.in_y(i, d)];
                    dp[j] += dy[head.in_y(i, d)] * qkv[head.at(j, Of::Value, d)];
                }
                dp[j] *= factor(i, j);
                inner += p[j] * dp[j];
            }
            for (int64_t j = 0; j < head.tokens; ++j) {
                const Real dscore = p[j] * (dp[j] - inner) * head.scale();
                for (int64_t d = 0; d < head.size; ++d) {
                    dqkv[head.at(i, Of::Query, d)] += dscore * qkv[head.at(j, Of::Key, d)];
                    dqkv[head.at(j, Of::Key, d)] += dscore * qkv[head.at(i, Of::Query, d)];
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

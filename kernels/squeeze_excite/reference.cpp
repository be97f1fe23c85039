#include "kernels/squeeze_excite/squeeze_excite.h"

#include <algorithm>

#include "kernels/reference.h"

namespace scene::reference {
namespace {

/// z = scale*x + shift, its gate and, with avg_pool, the pooling windows.
template <typename Real> struct Input {
    const Real *x, *scale, *shift, *gate;
    int64_t clips, height, width, channels;
    bool avg_pool;

    template <class Op> Input(const Op& op, const Tensor& gates, bool pooled)
        : x(values<Real>(op.x)), scale(values<Real>(op.scale)), shift(values<Real>(op.shift)),
          gate(values<Real>(gates)), clips(op.x.shape[0]), height(op.x.shape[1]), width(op.x.shape[2]),
          channels(op.x.shape[3]), avg_pool(pooled) {}

    /// Calls visit(i, nc, out) with the indices of each element of x: in x, in [N, C], and in y, where it is -1 outside
    /// the whole pooling windows.
    template <typename Visit> void for_each_element(Visit&& visit) const {
        const int64_t out_height = avg_pool ? height / 2 : height, out_width = avg_pool ? width / 2 : width;
        const int64_t stride = avg_pool ? 2 : 1;
        for (int64_t n = 0; n < clips; ++n)
            for (int64_t h = 0; h < height; ++h)
                for (int64_t w = 0; w < width; ++w)
                    for (int64_t c = 0; c < channels; ++c) {
                        const int64_t p = h / stride, q = w / stride;
                        const bool inside = p < out_height && q < out_width;
                        visit(((n * height + h) * width + w) * channels + c, n * channels + c,
                              inside ? ((n * out_height + p) * out_width + q) * channels + c : -1);
                    }
    }
    Real z(int64_t i) const { return scale[i % channels] * x[i] + shift[i % channels]; }
    Real positions() const { return static_cast<Real>(height * width); }
    /// The weight of each position in an element of y.
    Real share() const { return avg_pool ? Real(0.25) : Real(1); }
    /// The gradient of z*gate, with the indices of for_each_element.
    Real du(const Real* dy, int64_t i, int64_t nc, int64_t out) const {
        return out >= 0 && z(i) * gate[nc] > 0 ? dy[out] * share() : Real(0);
    }
};

template <typename Real> void squeeze(const SqueezeExciteSqueeze<Tensor>& op) {
    const Input<Real> in(op, {}, false);
    Real* pooled = values<Real>(op.pooled);
    std::fill_n(pooled, op.pooled.elements(), Real(0));
    in.for_each_element([&](int64_t i, int64_t nc, int64_t) { pooled[nc] += in.z(i); });
    for (int64_t nc = 0; nc < op.pooled.elements(); ++nc) pooled[nc] /= in.positions();
}

template <typename Real> void forward(const SqueezeExciteForward<Tensor>& op) {
    const Input<Real> in(op, op.gate, op.avg_pool);
    Real* y = values<Real>(op.y);
    std::fill_n(y, op.y.elements(), Real(0));
    in.for_each_element([&](int64_t i, int64_t nc, int64_t out) {
        if (out >= 0) y[out] += in.share() * std::max(in.z(i) * in.gate[nc], Real(0));
    });
}

template <typename Real> void backward_gate(const SqueezeExciteBackwardGate<Tensor>& op) {
    const Input<Real> in(op, op.gate, op.avg_pool);
    const Real* dy = values<Real>(op.dy);
    Real* dgate = values<Real>(op.dgate);
    std::fill_n(dgate, op.dgate.elements(), Real(0));
    in.for_each_element([&](int64_t i, int64_t nc, int64_t out) { dgate[nc] += in.du(dy, i, nc, out) * in.z(i); });
}

template <typename Real> void backward(const SqueezeExciteBackward<Tensor>& op) {
    const Input<Real> in(op, op.gate, op.avg_pool);
    const Real *dy = values<Real>(op.dy), *dpooled = values<Real>(op.dpooled);
    Real* dz = values<Real>(op.dz);
    in.for_each_element([&](int64_t i, int64_t nc, int64_t out) {
        dz[i] = in.du(dy, i, nc, out) * in.gate[nc] + dpooled[nc] / in.positions();
    });
}

} // namespace

void run(const SqueezeExciteSqueeze<Tensor>& op) {
    with_real(op.x, [&](auto real) { squeeze<decltype(real)>(op); });
}
void run(const SqueezeExciteForward<Tensor>& op) {
    with_real(op.x, [&](auto real) { forward<decltype(real)>(op); });
}
void run(const SqueezeExciteBackwardGate<Tensor>& op) {
    with_real(op.x, [&](auto real) { backward_gate<decltype(real)>(op); });
}
void run(const SqueezeExciteBackward<Tensor>& op) {
    with_real(op.x, [&](auto real) { backward<decltype(real)>(op); });
}

} // namespace scene::reference

#pragma once

// Everything the machine can do: one virtual function per op. CpuBackend (kernels/cpu) and, where it is built,
// CudaBackend (kernels/cuda) implement it; `kernels/cpu/<op>.cpp` is the readable reference of
// `kernels/cuda/<op>.cu`.
//
// Conventions
// - Outputs come first, then inputs, then scratch, then sizes and settings. Every output is overwritten (=)
//   unless its line says +=. An output may alias an input only where its line says "in place".
// - Layout is NHWC: activations [N, H, W, C] with H = time and W = frequency, convolution weights
//   [K, R, S, C], linear weights [out, in]. N clips, T tokens, D features per token, K classes.
// - "activation type" is F32, or F16 on devices that train in half precision. Statistics, parameters' master
//   copies, losses and everything marked f32 are always F32; indices are I32.
// - Reductions have a fixed order: the same inputs give the same bits, run after run.
// - Shapes and types are checked; a wrong one throws std::logic_error that says what was expected.
// - Tensors are in the backend's memory (`allocate`). Ops are queued in order and may run asynchronously;
//   `download` and `synchronize` wait for them. No op allocates device memory, builds plans or waits when it
//   is called a second time with the same shapes.

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "kernels/augmentation.h"
#include "kernels/device.h"
#include "kernels/log_mel_spec.h"
#include "kernels/op_types.h"
#include "kernels/tensor.h"

namespace scene {

/// The ops that are not in folders of their own yet.
class Backend : public Device, public Planner {
public:
    const Planner& planner() const override { return *this; }

    // ---- convolution ----------------------------------------------------------------------------------------
    // A convolution y of windows, the taps T = R*S*C of x that an output position sees (zeros in the padding), with
    // batch norm and relu behind it, a = relu(scale*y + shift), where y itself is never written. For few input
    // channels: y is linear in its window, so the windows' mean m [T] and covariance C [T, T] tell y's statistics
    // before y is there, mean = w.m and variance = w.C w; a is then a convolution with weights scale*w and bias shift.
    /// mean, variance (biased) f32 [K] of y; moments f32 [1 + T, T]: m, then C. x [N, H, W, C], w [K, R, S, C] f32.
    virtual void conv2d_norm_statistics(Tensor mean, Tensor variance, Tensor moments, Tensor x, Tensor w,
                                        Tensor scratch, const Conv2dShape& shape) = 0;
    virtual size_t conv2d_norm_statistics_scratch_bytes(const Conv2dShape& shape) const = 0;
    /// dgamma, dbeta f32 [K], dw f32 [K, R, S, C] and dx [N, H, W, C] (absent: not wanted) from da, the gradient of a
    /// [N, P, Q, K]. With dz = da where a > 0 and S the sum of dz*(window - m): dbeta = sum of dz, dgamma =
    /// inv_std*w.S, dw = scale*(S - dgamma*inv_std*C w), and dx is the convolution's gradient from dy as in
    /// batch_norm_backward.
    virtual void conv2d_norm_backward(Tensor dx, Tensor dw, Tensor dgamma, Tensor dbeta, Tensor da, Tensor a, Tensor x,
                                      Tensor w, Tensor moments, Tensor mean, Tensor inv_std, Tensor scale,
                                      Tensor scratch, const Conv2dShape& shape) = 0;
    virtual size_t conv2d_norm_backward_scratch_bytes(const Conv2dShape& shape) const = 0;


    // ---- linear ---------------------------------------------------------------------------------------------

    // ---- transformer encoder --------------------------------------------------------------------------------

    // ---- loss, metrics, optimiser ---------------------------------------------------------------------------

protected:
    Backend(const RunTable& run, const ScratchTable& scratch) : Device(run), Planner(scratch) {}
};

/// The CPU backend: oneDNN, OpenMP and SIMD, compiled for the best that this processor has (kernels/cpu_isa.h).
/// `threads` 0 means all cores.
std::unique_ptr<Backend> make_cpu_backend(int threads);

} // namespace scene

#pragma once

// A batch norm as a training step has it, for tests of what replaces a convolution together with its batch norm.

#include "kernels/op_fields.h"
#include "tests/support/tensors.h"

namespace scene::test {

struct BatchNorm {
    Guarded mean, variance, inv_std, scale, shift, running_mean, running_variance;

    /// With the statistics of x.
    BatchNorm(const Guarded& x, const Guarded& gamma, const Guarded& beta)
        : mean(gamma.shape()), variance(gamma.shape()), inv_std(gamma.shape()), scale(gamma.shape()),
          shift(gamma.shape()), running_mean(uniform(gamma.shape(), 6)),
          running_variance(uniform(gamma.shape(), 7, 0.5f, 1)) {
        with_scratch(BatchNormStatistics<Tensor>{.mean = Tensor(mean), .variance = Tensor(variance), .x = Tensor(x)});
        cpu().run(BatchNormFinalize<Tensor>{.scale = Tensor(scale),
                                            .shift = Tensor(shift),
                                            .inv_std = Tensor(inv_std),
                                            .running_mean = Tensor(running_mean),
                                            .running_variance = Tensor(running_variance),
                                            .mean = Tensor(mean),
                                            .variance = Tensor(variance),
                                            .gamma = Tensor(gamma),
                                            .beta = Tensor(beta),
                                            .rows = x.size() / gamma.size(),
                                            .momentum = 0.1f,
                                            .epsilon = 1e-5f});
    }

    void forward(const Guarded& y, const Guarded& x, const Guarded& control) const {
        cpu().run(BatchNormForward<Tensor>{.y = Tensor(y),
                                           .x = Tensor(x),
                                           .scale = Tensor(scale),
                                           .shift = Tensor(shift),
                                           .control = Tensor(control),
                                           .epilogue = {}});
    }

    void backward(const Guarded& dx, const Guarded& dgamma, const Guarded& dbeta, const Guarded& dy, const Guarded& x,
                  const Guarded& control) const {
        with_scratch(BatchNormBackward<Tensor>{.dx = Tensor(dx),
                                               .dgamma = Tensor(dgamma),
                                               .dbeta = Tensor(dbeta),
                                               .dy = Tensor(dy),
                                               .x = Tensor(x),
                                               .mean = Tensor(mean),
                                               .inv_std = Tensor(inv_std),
                                               .scale = Tensor(scale),
                                               .shift = Tensor(shift),
                                               .control = Tensor(control),
                                               .epilogue = {}});
    }

private:
    template <template <class> class Op> static void with_scratch(Op<Tensor> op) {
        const auto spec = rebound<TensorSpec>(op, [](const Tensor& tensor) { return spec_of(tensor); });
        const Guarded scratch({static_cast<int64_t>(cpu().planner().scratch_bytes(spec))}, DType::U8);
        op.scratch = Tensor(scratch);
        cpu().run(op);
    }
};

} // namespace scene::test

#include "kernels/conv2d/cpu_algorithm.h"

#include "kernels/conv2d/cpu_im2col.h"
#include "kernels/conv2d/cpu_winograd.h"
#include "kernels/cpu/convolution_plans.h"
#include "kernels/operands.h"

namespace scene::cpu {

ConvAlgorithm conv_algorithm(const Conv2dShape& shape) {
    check_convolution(shape);
    if (im2col_suits(shape)) return ConvAlgorithm::Im2col;
    return winograd_suits(shape) ? ConvAlgorithm::Winograd : ConvAlgorithm::OneDnn;
}

ConvFusion conv2d_fusion(const Conv2dShape& shape) {
    const ConvAlgorithm algorithm = conv_algorithm(shape);
    return {.normalize_input = algorithm == ConvAlgorithm::Winograd,
            .statistics = algorithm != ConvAlgorithm::OneDnn,
            .bias_relu = true};
}

PreparedWeights conv2d_prepared_weights(int threads, const Conv2dShape& shape) {
    if (conv_algorithm(shape) != ConvAlgorithm::Winograd) return {};
    return winograd_prepared_weights(threads, shape);
}

size_t conv2d_scratch_bytes(int threads, ConvolutionPlans& plans, const Conv2dShape& shape, ConvPass pass) {
    switch (conv_algorithm(shape)) {
    case ConvAlgorithm::Im2col: return im2col_scratch_bytes(threads, shape, pass);
    case ConvAlgorithm::Winograd: return winograd_scratch_bytes(threads, shape, pass);
    case ConvAlgorithm::OneDnn: return plans.scratch_bytes(shape, pass);
    }
    return 0;
}

} // namespace scene::cpu

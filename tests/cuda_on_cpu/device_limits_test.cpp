// Devices other than an H100, on the emulator: the bits of a step do not depend on the number of multiprocessors, and
// with little shared memory a kernel that needs more gives way to the library.

#include "kernels/batch_norm/batch_norm.h"
#include "kernels/conv2d/stem.h"
#include "kernels/conv2d_bn_relu/conv2d_bn_relu.h"
#include "kernels/cuda/cuda_device.h"
#include "tests/cuda_on_cpu/library_stand_ins.h"
#include "tests/cuda_on_cpu/support.h"
#include "tests/support/run_with_scratch.h"
#include "tests/support/small_step.h"

namespace scene::test {
namespace {

constexpr size_t small_shared = 99 * 1024; // compute capability 8.6, 8.9 and 12.0

/// Changes the emulated device until the end of its scope.
class Limits {
public:
    Limits(int multiprocessors, size_t shared) { emulator::limits = {multiprocessors, shared}; }
    ~Limits() { emulator::limits = {}; }
    Limits(const Limits&) = delete;
    Limits& operator=(const Limits&) = delete;
};

struct Result {
    std::vector<std::pair<std::string, std::vector<float>>> gradients, parameters;
    double loss = 0;
};

Result step_on(int multiprocessors, size_t shared, DType activation, const StepConfig& config) {
    const Limits limits(multiprocessors, shared);
    cuda::CudaDevice device(activation, convolutions_on_cpu(activation), gemm_on_cpu(), Fusions::Always);
    EXPECT_EQ(device.context().limits.multiprocessors, multiprocessors);
    EXPECT_EQ(device.context().limits.block_shared_bytes, shared);
    SmallStep step(device, config, Mode::Training);
    step.run();
    Result result{{}, {}, step.loss_sum()};
    for (const auto& [name, values] : step.all(Segment::Gradients)) result.gradients.emplace_back(name, values);
    for (const auto& [name, values] : step.all(Segment::Parameters)) result.parameters.emplace_back(name, values);
    return result;
}

/// One multiprocessor is the case that splits the small networks' rows otherwise than 132 would.
TEST(DeviceLimits, AStepHasTheSameBitsOnEveryDevice) {
    for (const Network* network : {&fcnn, &se_trans}) {
        const StepConfig config = small_step(network, false, true);
        for (const DType type : {DType::F32, DType::F16}) {
            SCOPED_TRACE(std::string(network->name) + ", " + std::string(name_of(type)));
            const Result h100 = step_on(132, emulator::max_shared, type, config);
            for (const int multiprocessors : {58, 148, 1}) {
                SCOPED_TRACE(multiprocessors);
                const Result other = step_on(multiprocessors, small_shared, type, config);
                EXPECT_EQ(other.loss, h100.loss);
                EXPECT_EQ(other.gradients, h100.gradients);
                EXPECT_EQ(other.parameters, h100.parameters);
            }
        }
    }
}

/// The elementwise pass takes as many blocks as the device has room for; the sums before it are split as on an H100.
TEST(DeviceLimits, ElementwisePassesFitTheDeviceAndSumsDoNot) {
    const Shape map{1, 60, 50, 64}, per_channel{64};
    const OnDevice x(uniform(map, 1)), dy(uniform(map, 2)), mean(uniform(per_channel, 3)),
        inv_std(uniform(per_channel, 4)), scale(uniform(per_channel, 5)), shift(uniform(per_channel, 6));
    std::vector<std::vector<float>> results;
    std::vector<unsigned> blocks;
    for (const int multiprocessors : {132, 1}) {
        const Limits limits(multiprocessors, small_shared);
        cuda::CudaDevice device(DType::F32, convolutions_on_cpu(DType::F32), gemm_on_cpu());
        const OnDevice dx(map), dgamma(per_channel), dbeta(per_channel);
        run_with_scratch(device, BatchNormBackward<Tensor>{.dx = Tensor(dx),
                                                           .dgamma = Tensor(dgamma),
                                                           .dbeta = Tensor(dbeta),
                                                           .dy = Tensor(dy),
                                                           .x = Tensor(x),
                                                           .mean = Tensor(mean),
                                                           .inv_std = Tensor(inv_std),
                                                           .scale = Tensor(scale),
                                                           .shift = Tensor(shift),
                                                           .epilogue = {}});
        blocks.push_back(emulator::grid_extent.x); // of the last launch
        std::vector<float> all;
        for (const OnDevice* one : {&dx, &dgamma, &dbeta}) {
            const auto* values = static_cast<const float*>(Tensor(*one).data);
            all.insert(all.end(), values, values + Tensor(*one).elements());
        }
        results.push_back(all);
    }
    EXPECT_EQ(results[1], results[0]);
    EXPECT_EQ(blocks, (std::vector<unsigned>{47, 24}));
}

/// Its tiles fit into the shared memory of an H100 alone.
constexpr Conv2dShape wide{.batch = 1,
                           .height = 8,
                           .width = 200,
                           .in_channels = 4,
                           .out_channels = 128,
                           .kernel = 3,
                           .stride = 1,
                           .padding = 1};

TEST(DeviceLimits, AStemThatDoesNotFitIsTheLibrarys) {
    const cuda::DeviceLimits small{.block_shared_bytes = small_shared};
    ASSERT_TRUE(cuda::conv2d_bn_relu_suits(wide));
    EXPECT_FALSE(cuda::conv2d_stem_suits(wide, small));
    EXPECT_FALSE(cuda::conv2d_bn_relu_suits(wide, small));
    for (const bool fits : {true, false}) {
        cuda::CudaPlanner planner(std::make_unique<cuda::TunedConvolutions>(DType::F16, convolutions_on_cpu(DType::F16),
                                                                            Fusions::Quickest,
                                                                            fits ? cuda::DeviceLimits{} : small),
                                  0);
        planner.autotune({wide});
        EXPECT_EQ(planner.conv2d_fusion(wide).closed_form_bn, fits);
        EXPECT_EQ(planner.conv2d_report().choices.empty(), fits) << "the library has no part in a stem";
        const Conv2dForward<TensorSpec> op{.y = TensorSpec(DType::F16, wide.y()),
                                           .x = TensorSpec(DType::F16, wide.x()),
                                           .w = TensorSpec(DType::F16, wide.w()),
                                           .shape = wide};
        EXPECT_EQ(planner.scratch_bytes(op) == 0, fits);
    }
}

TEST(DeviceLimits, AStemThatDoesNotFitRunsAllTheSame) {
    const OnDevice x(uniform(wide.x(), 1)), w(uniform(wide.w(), 2));
    std::vector<std::vector<float>> results;
    for (const size_t shared : {emulator::max_shared, small_shared}) {
        const Limits limits(132, shared);
        cuda::CudaDevice device(DType::F32, convolutions_on_cpu(DType::F32), gemm_on_cpu());
        device.autotune({wide});
        const OnDevice y(wide.y());
        run_with_scratch(device, Conv2dForward<Tensor>{.y = Tensor(y), .x = Tensor(x), .w = Tensor(w), .shape = wide});
        const auto* values = static_cast<const float*>(Tensor(y).data);
        results.emplace_back(values, values + Tensor(y).elements());
    }
    for (size_t i = 0; i < results[0].size(); ++i) ASSERT_NEAR(results[1][i], results[0][i], 1e-5);
}

/// Both networks' stems fit into every device's shared memory.
TEST(DeviceLimits, TheNetworksStemsFitEverywhere) {
    const cuda::DeviceLimits small{.block_shared_bytes = small_shared};
    for (const Network* network : {&fcnn, &se_trans}) {
        for (const bool deltas : {false, true}) {
            StepConfig config;
            config.model.network = network;
            config.model.deltas = deltas;
            for (const Conv2dShape& shape : convolution_shapes(config, Mode::Training, config.batch)) {
                EXPECT_EQ(cuda::conv2d_stem_suits(shape, small), cuda::conv2d_stem_suits(shape));
                EXPECT_EQ(cuda::conv2d_bn_relu_suits(shape, small), cuda::conv2d_bn_relu_suits(shape));
            }
        }
    }
}

} // namespace
} // namespace scene::test

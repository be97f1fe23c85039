#include "model/networks/network.h"

#include <gtest/gtest.h>

#include "model/executor.h"
#include "model/initialize.h"
#include "model/step.h"

namespace scene {
namespace {

StepConfig step_of(const Network* network, int64_t batch, double width = 1, bool multimodal = false) {
    StepConfig config;
    config.model.network = network;
    config.model.width = width;
    config.model.multimodal = multimodal;
    config.batch = batch;
    config.rows = 64;
    config.label_smoothing = 0.1f;
    return config;
}

int64_t parameters_of(const Network* network, bool multimodal) {
    const auto device = make_cpu_device(1);
    Variables variables;
    build_training_step(device->planner(), variables, step_of(network, 1, 1, multimodal), 1);
    return variables.parameter_count();
}

TEST(Network, SeTransHasTheParametersOfTheBaseline) {
    EXPECT_EQ(parameters_of(&se_trans, false), 340842);
    EXPECT_EQ(parameters_of(&se_trans, true), 361946);
}

TEST(Network, FusionHeadAddsTheSameToEveryNetwork) {
    EXPECT_EQ(parameters_of(&fcnn, true) - parameters_of(&fcnn, false), 361946 - 340842);
}

TEST(Network, FcnnForwardCostsWhatTheNotesSay) {
    const auto device = make_cpu_device(1);
    Variables variables;
    const Program program = build_inference_step(device->planner(), variables, step_of(&fcnn, 4), 4);
    // 17.96 GFLOP with the 1x1 convolution at 62 x 8; the third pooling makes it a quarter of its 0.073.
    EXPECT_NEAR(program.flops(Phase::Forward) / 4 / 1e9, 17.96, 0.09);
}

TEST(Network, ArenaIsWithinOnePercentOfTheLargestLiveSet) {
    const auto device = make_cpu_device(1);
    for (const Network* network : networks()) {
        for (int64_t batch : {1, 16, 64}) {
            for (double width : {1.0, 0.25}) {
                Variables variables;
                const StepConfig config = step_of(network, batch, width, true);
                for (const Program& program : {build_training_step(device->planner(), variables, config, batch),
                                               build_inference_step(device->planner(), variables, config, batch)}) {
                    EXPECT_LE(static_cast<double>(program.transient_bytes),
                              1.01 * static_cast<double>(program.lower_bound))
                        << program.name << " width " << width;
                }
            }
        }
    }
}

TEST(Network, InitialValuesDependOnSeedAndNameOnly) {
    const auto device = make_cpu_device(1);
    const auto classifier = [&](bool deltas, uint64_t seed) {
        Variables variables;
        StepConfig config = step_of(&se_trans, 1, 0.25);
        config.model.deltas = deltas;
        const Program program = build_training_step(device->planner(), variables, config, 1);
        Executor executor(*device, variables, {&program});
        initialize_parameters(executor, seed);
        const Tensor weight = executor.tensor(Segment::Parameters, "head.classifier.weight");
        return std::vector<float>(weight.as<float>(), weight.as<float>() + weight.elements());
    };
    EXPECT_EQ(classifier(false, 1), classifier(true, 1));
    EXPECT_NE(classifier(false, 1), classifier(false, 2));
}

} // namespace
} // namespace scene

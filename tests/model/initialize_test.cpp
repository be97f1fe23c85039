// Initial values: the distribution of each parameter, against a separate table, and the independence of the draws.

#include "model/initialize.h"

#include <cmath>
#include <optional>

#include <gtest/gtest.h>

#include "model/step.h"

namespace scene {
namespace {

/// An initialised model without data.
class Initialized {
public:
    Initialized(const Network* architecture, uint64_t seed) {
        config_.model.network = architecture;
        config_.model.width = 0.25;
        config_.model.multimodal = true;
        config_.batch = 1;
        training_ = build_training_step(device_->planner(), variables_, config_, 1);
        executor_.emplace(*device_, variables_, std::vector<const Program*>{&training_});
        initialize_parameters(*executor_, seed);
    }
    const Variables& variables() const { return variables_; }
    std::vector<float> values(const Variable& variable) const {
        std::vector<float> out(static_cast<size_t>(variable.shape.elements()));
        executor_->download(variable.segment, variable.name, out.data(), out.size() * sizeof(float));
        return out;
    }
    std::vector<float> values(const std::string& name) const {
        return values(*variables_.find(Segment::Parameters, name));
    }

private:
    std::unique_ptr<Device> device_ = make_cpu_device(1);
    StepConfig config_;
    Variables variables_;
    Program training_;
    std::optional<Executor> executor_;
};

struct Expected {
    double constant = NAN; ///< all elements equal
    double uniform = NAN;  ///< bound a of Uniform(-a, a)
    double normal = NAN;   ///< standard deviation
};

/// By parameter name: PyTorch's defaults for the encoder, the initialisers of the challenge baseline and of the FCNN
/// for the rest.
Expected expected_of(const std::string& name, const Shape& shape, bool fcnn) {
    const int64_t area = shape.rank() == 4 ? shape[1] * shape[2] : 1;
    const auto in = static_cast<double>(area * shape[shape.rank() - 1]), out = static_cast<double>(area * shape[0]);
    if (name.find("norm") != std::string::npos) return {.constant = name.ends_with("bias") ? 0.0 : 1.0};
    if (name == "encoder.linear1.bias") return {.uniform = 1 / std::sqrt(fcnn ? 128.0 : 32.0)};
    if (name == "encoder.linear2.bias") return {.uniform = 1 / std::sqrt(32.0)};
    if (name.ends_with("bias")) return {.constant = 0};
    if (name == "head.city.weight") return {.normal = 1};
    if (name.starts_with("encoder.linear") || name == "encoder.self_attn.out_proj.weight")
        return {.uniform = 1 / std::sqrt(in)};
    if (shape.rank() == 4 && fcnn) return {.normal = std::sqrt(2 / in)};
    return {.uniform = std::sqrt(6 / (in + out))};
}

double correlation(const std::vector<float>& a, const std::vector<float>& b, size_t lag = 0) {
    const size_t count = std::min(a.size(), b.size()) - lag;
    double ab = 0, aa = 0, bb = 0;
    for (size_t i = 0; i < count; ++i) {
        ab += static_cast<double>(a[i]) * b[i + lag];
        aa += static_cast<double>(a[i]) * a[i];
        bb += static_cast<double>(b[i + lag]) * b[i + lag];
    }
    return ab / std::sqrt(aa * bb);
}

class FirstValues : public testing::TestWithParam<const Network*> {};
INSTANTIATE_TEST_SUITE_P(Networks, FirstValues, testing::Values(&fcnn, &se_trans),
                         [](const auto& instance) { return instance.param == &fcnn ? "Fcnn" : "SeTrans"; });

/// Within five standard errors of each moment, for the parameter's number of elements.
TEST_P(FirstValues, HaveTheMomentsOfTheirFormulas) {
    const Initialized model(GetParam(), 1);
    for (const Variable* parameter : model.variables().all(Segment::Parameters)) {
        const std::vector<float> values = model.values(*parameter);
        const auto count = static_cast<double>(values.size());
        const Expected expected = expected_of(parameter->name, parameter->shape, GetParam() == &fcnn);
        if (!std::isnan(expected.constant)) {
            for (const float value : values) ASSERT_EQ(value, expected.constant) << parameter->name;
            continue;
        }
        const bool is_normal = std::isnan(expected.uniform);
        const double variance = is_normal ? expected.normal * expected.normal : expected.uniform * expected.uniform / 3;
        double mean = 0, squares = 0, fourth = 0, largest = 0;
        for (const float value : values) {
            mean += value / count;
            squares += value * static_cast<double>(value) / count;
            fourth += std::pow(value, 4) / count;
            largest = std::max(largest, std::abs(static_cast<double>(value)));
        }
        // x^2 has the variance (kurtosis - 1) variance^2, x^4 at most 96 variance^4 (of a normal x).
        const double kurtosis = is_normal ? 3 : 1.8;
        EXPECT_LE(std::abs(mean), 5 * std::sqrt(variance / count)) << parameter->name;
        EXPECT_NEAR(squares / variance, 1, 5 * std::sqrt((kurtosis - 1) / count)) << parameter->name;
        EXPECT_NEAR(fourth / (variance * variance), kurtosis, 5 * std::sqrt(96 / count)) << parameter->name;
        EXPECT_LE(largest, is_normal ? INFINITY : expected.uniform * (1 + 1e-6)) << parameter->name;
    }
    for (const Variable* statistic : model.variables().all(Segment::Statistics))
        for (const float value : model.values(*statistic))
            ASSERT_EQ(value, statistic->name.ends_with("running_var") ? 1.0f : 0.0f) << statistic->name;
}

/// Neither two parameters nor neighbouring elements of one are correlated.
TEST_P(FirstValues, AreIndependent) {
    const Initialized model(GetParam(), 1), other(GetParam(), 2);
    std::vector<std::pair<std::string, std::vector<float>>> drawn;
    for (const Variable* parameter : model.variables().all(Segment::Parameters)) {
        std::vector<float> values = model.values(*parameter);
        if (values.size() >= 100 && values[0] != values[1]) drawn.emplace_back(parameter->name, std::move(values));
    }
    ASSERT_GE(drawn.size(), 12u);
    const auto allowed = [](size_t count) { return 5 / std::sqrt(static_cast<double>(count)); };
    for (size_t i = 0; i < drawn.size(); ++i) {
        const auto& [name, values] = drawn[i];
        EXPECT_LE(std::abs(correlation(values, values, 1)), allowed(values.size())) << name << ", neighbours";
        EXPECT_LE(std::abs(correlation(values, other.values(name))), allowed(values.size())) << name << ", seeds";
        for (size_t j = 0; j < i; ++j)
            EXPECT_LE(std::abs(correlation(values, drawn[j].second)),
                      allowed(std::min(values.size(), drawn[j].second.size())))
                << name << " and " << drawn[j].first;
    }
}

TEST_P(FirstValues, AreTheSameForTheSameSeed) {
    const Initialized one(GetParam(), 7), again(GetParam(), 7), other(GetParam(), uint64_t{7} << 32 | 7);
    size_t differ = 0;
    for (const Variable* parameter : one.variables().all(Segment::Parameters)) {
        const std::vector<float> values = one.values(*parameter);
        ASSERT_EQ(values, again.values(*parameter)) << parameter->name;
        differ += values != other.values(*parameter) ? 1 : 0; // all 64 bits of a seed count
    }
    EXPECT_GE(differ, 12u);
}

/// These draws must never change, so that a run of an earlier build can be repeated. Uniform ones only: they do not
/// depend on the rounding of a math library.
TEST(FirstValuesPinned, StayFromBuildToBuild) {
    const Initialized model(&se_trans, 1234);
    const std::vector<float> weight = model.values("head.classifier.weight");
    EXPECT_FLOAT_EQ(weight[0], 0.20668192f);
    EXPECT_FLOAT_EQ(weight[1], -0.077617049f);
    EXPECT_FLOAT_EQ(weight[1000], 0.043906901f);
}

} // namespace
} // namespace scene

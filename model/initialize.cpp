#include "model/initialize.h"

#include <cmath>
#include <numbers>
#include <string_view>

#include "kernels/philox.h"

namespace scene {
namespace {

/// A random stream per parameter: FNV-1a of its name.
uint32_t stream_of(std::string_view name) {
    uint32_t hash = 2166136261u;
    for (char letter : name) hash = (hash ^ static_cast<uint8_t>(letter)) * 16777619u;
    return hash;
}

class Draws {
public:
    Draws(uint64_t seed, uint32_t stream) : seed_(seed), stream_(stream) {}

    float uniform(size_t index, double bound) const {
        return static_cast<float>(bound * (2.0 * uniform_of(random_word(seed_, stream_, 0, index)) - 1.0));
    }
    /// Box-Muller transform of two words of the element's own Philox block.
    float normal(size_t index, double deviation) const {
        const PhiloxBlock block = random_block(seed_, stream_, 1, index);
        const double radius = std::sqrt(-2.0 * std::log(1.0 - uniform_of(block.word[0])));
        return static_cast<float>(deviation * radius * std::cos(2.0 * std::numbers::pi * uniform_of(block.word[1])));
    }

private:
    uint64_t seed_;
    uint32_t stream_;
};

float first_value(const Init& init, const Draws& draws, size_t index) {
    const auto fan_in = static_cast<double>(init.fan_in), fan_out = static_cast<double>(init.fan_out);
    switch (init.kind) {
    case Init::Kind::Zeros: return 0;
    case Init::Kind::Ones: return 1;
    case Init::Kind::XavierUniform: return draws.uniform(index, std::sqrt(6.0 / (fan_in + fan_out)));
    case Init::Kind::HeNormal: return draws.normal(index, std::sqrt(2.0 / fan_in));
    case Init::Kind::LinearUniform: return draws.uniform(index, 1.0 / std::sqrt(fan_in));
    case Init::Kind::Normal: return draws.normal(index, 1.0);
    }
    return 0;
}

} // namespace

void initialize_parameters(Executor& executor, uint64_t seed) {
    std::vector<float> values;
    for (const Variable* parameter : executor.variables().all(Segment::Parameters)) {
        const Draws draws(seed, stream_of(parameter->name));
        values.resize(static_cast<size_t>(parameter->shape.elements()));
        for (size_t index = 0; index < values.size(); ++index)
            values[index] = first_value(parameter->init, draws, index);
        executor.upload(Segment::Parameters, parameter->name, values.data(), values.size() * sizeof(float));
    }
    for (const Variable* statistic : executor.variables().all(Segment::Statistics)) {
        values.assign(static_cast<size_t>(statistic->shape.elements()),
                      statistic->name.ends_with("running_var") ? 1.0f : 0.0f);
        executor.upload(Segment::Statistics, statistic->name, values.data(), values.size() * sizeof(float));
    }
}

} // namespace scene

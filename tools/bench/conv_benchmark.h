#pragma once

#include <memory>
#include <optional>
#include <string_view>

#include "tools/bench/benchmark.h"

namespace scene {

/// The 3x3 convolution of "conv_250x32x144_b256"; nothing for another name.
std::optional<Conv2dShape> parse_conv(std::string_view name);

/// The three passes of one convolution on random data. Its ops are the passes.
std::unique_ptr<Benchmark> make_conv_benchmark(Device& device, const Conv2dShape& shape, uint64_t seed);

} // namespace scene

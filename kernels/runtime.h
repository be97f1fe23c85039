#pragma once

// Runtime settings (device, precision, fusions, autotuning) and their names in configurations and on the command line.

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/error.h"
#include "kernels/tensor.h"

namespace scene {

enum class DeviceChoice : uint8_t {
    Auto, ///< a GPU if there is one
    Cpu,
    Cuda,
};

enum class Precision : uint8_t {
    Fp32, ///< everything in float
    Tf32, ///< float; GEMMs and convolutions round their inputs to TF32 and accumulate in float
    Fp16, ///< convolutional part in half, accumulated in float; the rest as Tf32; master weights and optimiser in float
    Bf16, ///< as Fp16 in BF16, which has float's range and so needs no loss scale, but 8 bits of precision and not 11
};

/// The element type of activations in the convolutional part of a network.
constexpr DType activation_type_of(Precision precision) {
    switch (precision) {
    case Precision::Fp16: return DType::F16;
    case Precision::Bf16: return DType::BF16;
    default: return DType::F32;
    }
}

/// Which of cuDNN's fusions of batch norm and convolution a GPU offers.
enum class Fusions : uint8_t {
    Quickest, ///< those measured to be faster than separate ops on the device; without a device none
    Never,
    Always, ///< all that cuDNN has, however slow
};

/// Which of cuDNN's engines autotuning measures.
enum class Autotune : uint8_t {
    Precompiled, ///< those that need no compilation at run time
    Full,        ///< also those that cuDNN compiles at run time for each problem, which takes seconds each
};

/// Seconds that autotuning may take for a step if the user sets none.
constexpr int64_t default_autotune_seconds(Autotune autotune) { return autotune == Autotune::Full ? 600 : 60; }

/// A row of a table of names.
template <typename Value> struct Named {
    std::string_view name;
    Value value;
};

inline constexpr std::array<Named<DeviceChoice>, 3> device_choices{
    {{"auto", DeviceChoice::Auto}, {"cpu", DeviceChoice::Cpu}, {"cuda", DeviceChoice::Cuda}}};
inline constexpr std::array<Named<Precision>, 4> precisions{
    {{"fp32", Precision::Fp32}, {"tf32", Precision::Tf32}, {"fp16", Precision::Fp16}, {"bf16", Precision::Bf16}}};
inline constexpr std::array<Named<Fusions>, 3> fusion_choices{
    {{"quickest", Fusions::Quickest}, {"never", Fusions::Never}, {"always", Fusions::Always}}};
inline constexpr std::array<Named<Autotune>, 2> autotune_choices{
    {{"precompiled", Autotune::Precompiled}, {"full", Autotune::Full}}};

/// The value of a name. Throws std::logic_error if the table lacks it.
template <typename Value, size_t N> Value value_named(const std::array<Named<Value>, N>& table, std::string_view name) {
    for (const Named<Value>& one : table)
        if (one.name == name) return one.value;
    throw std::logic_error("no value is named " + std::string(name));
}

/// All names, in the order of the table.
template <typename Value, size_t N> std::vector<std::string> names_of(const std::array<Named<Value>, N>& table) {
    std::vector<std::string> names;
    for (const Named<Value>& one : table) names.emplace_back(one.name);
    return names;
}

/// The name of a value; "?" if the table lacks it.
template <typename Value, size_t N> std::string_view name_in(const std::array<Named<Value>, N>& table, Value value) {
    for (const Named<Value>& one : table)
        if (one.value == value) return one.name;
    return "?";
}

} // namespace scene

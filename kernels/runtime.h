#pragma once

// Where and how to compute, as a configuration, the command line and the devices name it.

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/error.h"

namespace scene {

enum class DeviceChoice : uint8_t {
    Auto, ///< a GPU if there is one
    Cpu,
    Cuda,
};

enum class Precision : uint8_t {
    Fp32, ///< everything in float
    Tf32, ///< float, products of matrices and convolutions rounded to TF32 and summed in float
    Fp16, ///< convolutional part in half with float sums, the rest as Tf32; parameters and optimiser in float
};

/// Which of the library's fusions of batch norm and convolution a device offers.
enum class Fusions : uint8_t {
    Quickest, ///< those that are quicker than separate ops, as measured on the device; none where there is no device
    Never,
    Always, ///< all that the library has, however slow
};

/// Which of the library's engines are measured to find the quickest.
enum class Autotune : uint8_t {
    Precompiled,
    Full, ///< also those that the library compiles for a problem, at seconds each
};

template <typename Value> struct Named {
    std::string_view name;
    Value value;
};

inline constexpr std::array<Named<DeviceChoice>, 3> device_choices{
    {{"auto", DeviceChoice::Auto}, {"cpu", DeviceChoice::Cpu}, {"cuda", DeviceChoice::Cuda}}};
inline constexpr std::array<Named<Precision>, 3> precisions{
    {{"fp32", Precision::Fp32}, {"tf32", Precision::Tf32}, {"fp16", Precision::Fp16}}};
inline constexpr std::array<Named<Fusions>, 3> fusion_choices{
    {{"quickest", Fusions::Quickest}, {"never", Fusions::Never}, {"always", Fusions::Always}}};
inline constexpr std::array<Named<Autotune>, 2> autotune_choices{
    {{"precompiled", Autotune::Precompiled}, {"full", Autotune::Full}}};

/// The value of that name, which must be in the table.
template <typename Value, size_t N> Value value_named(const std::array<Named<Value>, N>& table, std::string_view name) {
    for (const Named<Value>& one : table)
        if (one.name == name) return one.value;
    throw std::logic_error("no value is named " + std::string(name));
}

template <typename Value, size_t N> std::vector<std::string> names_of(const std::array<Named<Value>, N>& table) {
    std::vector<std::string> names;
    for (const Named<Value>& one : table) names.emplace_back(one.name);
    return names;
}

template <typename Value, size_t N> std::string_view name_in(const std::array<Named<Value>, N>& table, Value value) {
    for (const Named<Value>& one : table)
        if (one.value == value) return one.name;
    return "?";
}

} // namespace scene

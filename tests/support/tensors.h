#pragma once

// Tensors for op tests: memory that starts as NaN between sentinels, random fills, and the checks that go with it.

#include <algorithm>
#include <cmath>
#include <cstring>
#include <functional>
#include <span>
#include <vector>

#include <gtest/gtest.h>

#include "kernels/device.h"
#include "kernels/philox.h"
#include "tests/support/compare.h"

namespace scene::test {

/// A tensor with memory of its own. Every byte starts as 0xFF (NaN as a floating-point number, -1 as an integer). The
/// 64 bytes before and behind it are sentinels: an op that writes there fails the test when the tensor is destroyed.
class Guarded {
public:
    explicit Guarded(const Shape& shape, DType dtype = DType::F32) : view_{nullptr, dtype, shape} {
        bytes_.assign(view_.bytes() + 2 * margin, sentinel);
        std::memset(bytes_.data() + margin, 0xFF, view_.bytes());
        view_.data = bytes_.data() + margin;
    }
    Guarded(Guarded&& other) noexcept : bytes_(std::move(other.bytes_)), view_(other.view_) { other.bytes_.clear(); }
    Guarded(const Guarded& other) : bytes_(other.bytes_), view_(other.view_) { view_.data = bytes_.data() + margin; }
    Guarded& operator=(const Guarded&) = delete;
    ~Guarded() {
        for (size_t i = 0; i < margin && !bytes_.empty(); ++i)
            if (bytes_[i] != sentinel || bytes_[bytes_.size() - 1 - i] != sentinel) {
                ADD_FAILURE() << "memory around a tensor " << view_.shape.text() << " was written";
                return;
            }
    }

    operator Tensor() const { return view_; } // NOLINT: ops take it as the tensor that it is
    const Shape& shape() const { return view_.shape; }
    int64_t size() const { return view_.elements(); }
    template <typename T> std::span<T> as() const { return {view_.as<T>(), static_cast<size_t>(view_.elements())}; }
    std::span<float> floats() const { return as<float>(); }
    float& operator[](int64_t i) const { return view_.as<float>()[i]; }
    std::vector<double> doubles() const { return {floats().begin(), floats().end()}; }
    bool same_bytes(const Guarded& other) const { return bytes_ == other.bytes_; }

private:
    static constexpr size_t margin = 64;
    static constexpr unsigned char sentinel = 0xA5;
    std::vector<unsigned char> bytes_;
    Tensor view_;
};

/// Uniform in [low, high), drawn from (seed, element index).
inline Guarded uniform(const Shape& shape, uint64_t seed, float low = -1, float high = 1) {
    Guarded tensor(shape);
    for (int64_t i = 0; i < tensor.size(); ++i)
        tensor[i] = low + (high - low) * uniform_of(random_word(seed, 0, 0, static_cast<uint64_t>(i)));
    return tensor;
}

/// Integers in [low, high], so that equal values are frequent and sums are exact.
inline Guarded integers(const Shape& shape, uint64_t seed, int low, int high) {
    Guarded tensor = uniform(shape, seed, static_cast<float>(low), static_cast<float>(high + 1));
    for (float& value : tensor.floats()) value = std::floor(value);
    return tensor;
}

inline Guarded filled(const Shape& shape, const std::vector<float>& values) {
    Guarded tensor(shape);
    std::copy(values.begin(), values.end(), tensor.floats().begin());
    return tensor;
}

inline Guarded filled_int(const Shape& shape, const std::vector<int32_t>& values) {
    Guarded tensor(shape, DType::I32);
    std::copy(values.begin(), values.end(), tensor.as<int32_t>().begin());
    return tensor;
}

inline Guarded control_with(const StepControl& control) {
    Guarded tensor({sizeof(StepControl)}, DType::U8);
    std::memcpy(static_cast<Tensor>(tensor).data, &control, sizeof control);
    return tensor;
}

inline StepControl control_in(const Guarded& tensor) {
    StepControl control;
    std::memcpy(&control, static_cast<Tensor>(tensor).data, sizeof control);
    return control;
}

/// The factor of element `index` as the contract of Dropout defines it.
inline double dropout_factor(const Dropout& dropout, const StepControl& control, int64_t index) {
    if (dropout.p == 0) return 1;
    const uint32_t word = random_word(control.seed, dropout.stream, control.step, static_cast<uint64_t>(index));
    return word < dropout_threshold(dropout.p) ? 0 : 1 / (1 - static_cast<double>(dropout.p));
}

/// An error of `count` roundings to single precision, relative to the largest expected value.
inline Tolerance roundings(double count) { return {.of_largest = count * 0x1p-24}; }

inline testing::AssertionResult close(const Guarded& actual, const std::vector<double>& expected, Tolerance tolerance,
                                      const std::string& label) {
    return all_close(actual.floats(), std::span<const double>(expected), tolerance, label);
}

inline Device& cpu() {
    static const std::unique_ptr<Device> device = make_cpu_device(2);
    return *device;
}

/// `run` returns the outputs of an op on a device. They must be the same bytes twice, and with 1, 2 and 3 threads.
inline void expect_same_bits(const std::function<std::vector<Guarded>(Device&)>& run) {
    const std::vector<Guarded> expected = run(cpu());
    for (const int threads : {2, 1, 3}) {
        const std::vector<Guarded> again = run(*make_cpu_device(threads));
        ASSERT_EQ(again.size(), expected.size());
        for (size_t i = 0; i < expected.size(); ++i)
            EXPECT_TRUE(again[i].same_bytes(expected[i]))
                << "output " << i << " differs with " << threads << " threads";
    }
}

} // namespace scene::test

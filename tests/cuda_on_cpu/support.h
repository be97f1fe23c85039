#pragma once

// For tests that run CUDA code on the emulator, or compiled with SCENE_ON_GPU on a GPU, and compare it with the host.

#include <algorithm>
#include <cstdlib>
#include <initializer_list>
#include <span>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include <cuda_runtime.h>

#include "kernels/cuda/launch.h"
#include "kernels/device.h"
#include "kernels/half_width.h"
#include "tests/support/tensors.h"

namespace scene::test {

/// A tensor in the emulated device's memory: NaN patterns, or a copy of a host tensor, as F16 or BF16 where asked.
class OnDevice {
public:
    explicit OnDevice(const Shape& shape, DType dtype = DType::F32) : view_{nullptr, dtype, shape} {
        SCENE_CUDA(cudaMalloc(&view_.data, view_.bytes()));
#if defined(SCENE_ON_GPU) // whose memory does not start as NaN; SCENE_LEAVE_MEMORY is for the sanitizer's initcheck
        if (const char* leave = std::getenv("SCENE_LEAVE_MEMORY"); !leave || !*leave)
            SCENE_CUDA(cudaMemset(view_.data, 0xFF, view_.bytes()));
#endif
    }
    explicit OnDevice(const Guarded& host) : OnDevice(host.shape(), static_cast<Tensor>(host).dtype) {
        copy_in(static_cast<Tensor>(host).data);
    }
    /// An activation: `host` is F32.
    OnDevice(const Guarded& host, DType dtype) : OnDevice(host.shape(), dtype) {
        if (is_half_width(dtype))
            copy_in(half_width_bytes(dtype, host.floats()).data());
        else
            copy_in(static_cast<Tensor>(host).data);
    }
    OnDevice(const OnDevice&) = delete;
    OnDevice& operator=(const OnDevice&) = delete;
    ~OnDevice() { EXPECT_EQ(cudaFree(view_.data), cudaSuccess) << "memory around " << view_.shape.text(); }

    operator Tensor() const { return view_; } // NOLINT: ops take it as the tensor that it is
    /// A copy on the host; F16 and BF16 become F32.
    Guarded host() const {
        if (is_half_width(view_.dtype)) {
            Guarded out(view_.shape);
            with_half_width(view_.dtype, [&](auto type) {
                std::vector<decltype(type)> halves(static_cast<size_t>(view_.elements()));
                copy_out(halves.data());
                for (size_t i = 0; i < halves.size(); ++i) out[static_cast<int64_t>(i)] = static_cast<float>(halves[i]);
            });
            return out;
        }
        Guarded out(view_.shape, view_.dtype);
        copy_out(static_cast<Tensor>(out).data);
        return out;
    }

private:
    void copy_in(const void* from) {
        SCENE_CUDA(cudaMemcpyAsync(view_.data, from, view_.bytes(), cudaMemcpyHostToDevice, nullptr));
    }
    void copy_out(void* to) const {
        SCENE_CUDA(cudaMemcpyAsync(to, view_.data, view_.bytes(), cudaMemcpyDeviceToHost, nullptr));
    }
    Tensor view_;
};

inline OnDevice scratch_on_device(size_t bytes) {
    return OnDevice(Shape{static_cast<int64_t>(std::max<size_t>(bytes, 1))}, DType::U8);
}

/// The values as an activation of this type stores them.
inline Guarded stored_as(DType dtype, const Guarded& values) {
    Guarded out(values);
    if (is_half_width(dtype))
        with_half_width(dtype, [&](auto type) {
            for (float& value : out.floats()) value = static_cast<float>(static_cast<decltype(type)>(value));
        });
    return out;
}

/// For outputs that are rounded once to the activation type: half an ulp of it, plus the difference between two orders
/// of summation in float. `terms` is the length of the longest sum.
inline Tolerance rounding(DType dtype, double terms = 1) {
    const double sum = 4e-7 * (1 + std::sqrt(terms));
    if (dtype == DType::F16) return {.absolute = 6e-8, .relative = 0x1.02p-11, .of_largest = sum};
    if (dtype == DType::BF16) return {.absolute = 1e-30, .relative = 0x1.02p-8, .of_largest = sum};
    return {.absolute = 1e-30, .relative = 1e-6, .of_largest = sum};
}

/// Runs `check(dtype)` for each activation type in emulator::orders() orders of threads and blocks, and for BF16, whose
/// kernels differ from those for F16 in rounding alone, in one order.
template <typename Check> void for_each_setting(Check&& check) {
    for (const DType dtype : {DType::F32, DType::F16, DType::BF16}) {
        for (int seed = 1; seed <= (dtype == DType::BF16 ? 1 : emulator::orders()); ++seed) {
            SCOPED_TRACE(std::string(name_of(dtype)) + ", order " + std::to_string(seed));
            emulator::shuffle(static_cast<uint64_t>(seed));
            check(dtype);
        }
    }
}

inline testing::AssertionResult close(const OnDevice& actual, const Guarded& expected, Tolerance tolerance,
                                      const std::string& label) {
    const Guarded host = actual.host();
    return all_close(host.floats(), expected.floats(), tolerance, label);
}

} // namespace scene::test

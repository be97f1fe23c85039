#pragma once

#include <cstddef>

#include "kernels/tensor.h"

namespace scene::cuda {

/// Device memory for a measurement.
class AutotuneBuffer {
public:
    /// Content unspecified.
    explicit AutotuneBuffer(size_t bytes);
    /// Filled with random numbers in [-1, 1): zeros draw less power and run quicker than data does.
    AutotuneBuffer(const Shape& shape, DType type);
    ~AutotuneBuffer();
    AutotuneBuffer(const AutotuneBuffer&) = delete;
    AutotuneBuffer& operator=(const AutotuneBuffer&) = delete;
    void* get() const { return memory_; }
    size_t bytes() const { return bytes_; }

private:
    size_t bytes_ = 0;
    void* memory_ = nullptr;
};

} // namespace scene::cuda

#pragma once

#include <cuda_runtime.h>

#include "kernels/cuda/launch.h"

namespace scene::cuda {

/// A CUDA stream that does not synchronise with the default stream.
class Stream {
public:
    Stream() { SCENE_CUDA(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking)); }
    ~Stream() { (void)cudaStreamDestroy(stream_); }
    Stream(const Stream&) = delete;
    Stream& operator=(const Stream&) = delete;

    operator cudaStream_t() const { return stream_; } // NOLINT: ops take it as the stream that it is

private:
    cudaStream_t stream_ = nullptr;
};

} // namespace scene::cuda

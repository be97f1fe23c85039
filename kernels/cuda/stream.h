#pragma once

#include <cuda_runtime.h>

#include "kernels/cuda/launch.h"

namespace scene::cuda {

/// A queue of work that does not wait for the default stream.
class Stream {
public:
    Stream() { SCENE_CUDA(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking)); }
    ~Stream() { (void)cudaStreamDestroy(stream_); }
    Stream(const Stream&) = delete;
    Stream& operator=(const Stream&) = delete;

    operator cudaStream_t() const { return stream_; } // NOLINT: it is handed to ops as the stream it is

private:
    cudaStream_t stream_ = nullptr;
};

} // namespace scene::cuda

#pragma once

// Times on the device, and memory to take them on.

#include <cuda_runtime.h>

#include "kernels/cuda/launch.h"
#include "kernels/tensor.h"

namespace scene::cuda {

/// A place in the stream's order whose time the device notes.
class Event {
public:
    Event() { SCENE_CUDA(cudaEventCreate(&event_)); }
    ~Event() { (void)cudaEventDestroy(event_); }
    Event(const Event&) = delete;
    Event& operator=(const Event&) = delete;

    void record(cudaStream_t stream) { SCENE_CUDA(cudaEventRecord(event_, stream)); }
    /// Waits for this event; seconds since `before`.
    double seconds_since(const Event& before) const {
        float milliseconds = 0;
        SCENE_CUDA(cudaEventSynchronize(event_));
        SCENE_CUDA(cudaEventElapsedTime(&milliseconds, before.event_, event_));
        return 1e-3 * static_cast<double>(milliseconds);
    }

private:
    cudaEvent_t event_ = nullptr;
};

} // namespace scene::cuda

#pragma once

// Times on the device, and memory to take them on.

#include <algorithm>
#include <array>

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

/// Seconds that the device takes for what `queue()` puts on the stream: the median of five runs, after two that warm
/// up.
template <typename Queue> double median_seconds(cudaStream_t stream, const Queue& queue) {
    std::array<double, 5> seconds{};
    for (int run = 0; run < 2; ++run) queue();
    for (double& time : seconds) {
        Event begin, end;
        begin.record(stream);
        queue();
        end.record(stream);
        time = end.seconds_since(begin);
    }
    std::sort(seconds.begin(), seconds.end());
    return seconds[seconds.size() / 2];
}

} // namespace scene::cuda

#pragma once

// Measures time on the device.

#include <cuda_runtime.h>

#include "kernels/cuda/autotune/quickest.h"
#include "kernels/cuda/launch.h"

namespace scene::cuda {

/// A CUDA event: a point in a stream whose time the device records.
class Event {
public:
    Event() { SCENE_CUDA(cudaEventCreate(&event_)); }
    ~Event() { (void)cudaEventDestroy(event_); }
    Event(const Event&) = delete;
    Event& operator=(const Event&) = delete;

    void record(cudaStream_t stream) { SCENE_CUDA(cudaEventRecord(event_, stream)); }
    /// Waits for this event. Seconds between `before` and this event.
    double seconds_since(const Event& before) const {
        float milliseconds = 0;
        SCENE_CUDA(cudaEventSynchronize(event_));
        SCENE_CUDA(cudaEventElapsedTime(&milliseconds, before.event_, event_));
        return 1e-3 * static_cast<double>(milliseconds);
    }

private:
    cudaEvent_t event_ = nullptr;
};

/// Seconds that the device takes for the work that `queue()` puts on the stream.
template <typename Queue> double seconds_of(cudaStream_t stream, const Queue& queue) {
    Event begin, end;
    begin.record(stream);
    queue();
    end.record(stream);
    return end.seconds_since(begin);
}

/// Whether every call fails from now on, as after an illegal access.
inline bool device_is_broken() {
    (void)cudaGetLastError(); // clears an error that is not sticky
    return cudaStreamSynchronize(nullptr) != cudaSuccess;
}

/// seconds_of on a warm device: the time of the only trial of quickest_of.
template <typename Queue> double warm_seconds(cudaStream_t stream, const Queue& queue) {
    return quickest_of({{"a kernel", [&] { return seconds_of(stream, queue); }}}, device_is_broken).seconds;
}

} // namespace scene::cuda

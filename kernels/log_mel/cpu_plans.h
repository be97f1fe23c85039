#pragma once

#include <memory>
#include <vector>

#include "kernels/cpu/fft.h"
#include "kernels/log_mel/log_mel_spec.h"
#include "kernels/log_mel/mel_filter_bank.h"

namespace scene::cpu {

/// Log-mel for one spec: its tables (window, FFT twiddles, filter bank) and the computation.
class LogMelPlan {
public:
    explicit LogMelPlan(const LogMelSpec& spec);

    const LogMelSpec& spec() const { return spec_; }
    static size_t scratch_bytes(const LogMelSpec& spec, int64_t clips, int threads);
    /// out [clips, frames, bands] in dB from wave [clips, samples]. `scratch` has scratch_bytes(spec, clips, threads)
    /// bytes and is 64-byte aligned.
    void run(float* out, const float* wave, int64_t clips, int threads, std::byte* scratch) const;

private:
    /// Frames that are computed together, so that a bin of all of them fills a cache line of floats.
    static constexpr int chunk_frames = 16;

    /// One value for each frame of a chunk, as a vector of GCC's extension.
    struct ChunkF32 {
        float __attribute__((vector_size(chunk_frames * sizeof(float)))) frames;
    };

    /// Offsets of the parts of the scratch, each 64-byte aligned.
    struct Layout {
        size_t peaks = 0, workspaces, bytes;
        size_t buffer = 0, spectrum, decibels, padded, workspace_bytes; ///< offsets in a thread's workspace, its size

        Layout(const LogMelSpec& spec, int64_t clips, int threads);
    };

    /// The memory of one thread.
    struct Workspace {
        ComplexLanes* buffer; ///< of the FFT
        ChunkF32* spectrum;   ///< [bins]
        ChunkF32* decibels;   ///< [bands]
        float* padded;        ///< [chunk_samples]: zero-padded samples of a chunk at either end of the clip
    };

    static int64_t chunks_of(const LogMelSpec& spec) { return (spec.all_frames() + chunk_frames - 1) / chunk_frames; }
    static int64_t chunk_samples(const LogMelSpec& spec) { return int64_t{chunk_frames - 1} * spec.hop + spec.n_fft; }

    const float* samples_of(const float* wave, int64_t first_frame, const Workspace& work) const;
    void load_frames(ComplexLanes* buffer, const float* samples) const;
    void apply_filter_bank(const Workspace& work) const;
    float run_chunk(float* out, const float* wave, int64_t chunk, const Workspace& work) const;

    LogMelSpec spec_;
    RealFft fft_;
    std::vector<double> half_window_; ///< [n_fft]: window/2, because RealFft takes x/2
    MelFilterBank bank_;
    std::vector<float> weights_; ///< of bank_, in float
};

/// The plans of a device, each made when its spec is first seen.
class LogMelPlans {
public:
    const LogMelPlan& get(const LogMelSpec& spec);

private:
    std::vector<std::unique_ptr<LogMelPlan>> plans_;
};

} // namespace scene::cpu

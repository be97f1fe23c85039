#pragma once

#include <memory>
#include <vector>

#include "kernels/cpu/fft.h"
#include "kernels/log_mel/log_mel_spec.h"
#include "kernels/log_mel/mel_filter_bank.h"

namespace scene::cpu {

/// The tables of log-mel for one spec.
class LogMelPlan {
public:
    explicit LogMelPlan(const LogMelSpec& spec);

    const LogMelSpec& spec() const { return spec_; }
    static size_t scratch_bytes(const LogMelSpec& spec, int64_t clips, int threads);
    /// out [clips, frames, bands] from wave [clips, samples]. `scratch`: scratch_bytes(spec, clips, threads), on a
    /// cache line.
    void run(float* out, const float* wave, int64_t clips, int threads, std::byte* scratch) const;

private:
    /// Frames that are taken from wave to decibels together; a cache line of floats per bin.
    static constexpr int piece_frames = 16;

    /// One value of every frame of a piece, in GCC's vector extension.
    struct PieceF32 {
        float __attribute__((vector_size(piece_frames * sizeof(float)))) frames;
    };

    /// Where the parts of the scratch lie, each on a cache line.
    struct Layout {
        size_t peaks = 0, workspaces, bytes;
        size_t buffer = 0, spectrum, decibels, padded, workspace_bytes; ///< of each workspace

        Layout(const LogMelSpec& spec, int64_t clips, int threads);
    };

    /// A thread's memory.
    struct Workspace {
        ComplexLanes* buffer; ///< of the FFT
        PieceF32* spectrum;   ///< [bins]
        PieceF32* decibels;   ///< [bands]
        float* padded;        ///< [piece_samples]: what a piece at either end of the clip reads
    };

    static int64_t pieces_of(const LogMelSpec& spec) { return (spec.all_frames() + piece_frames - 1) / piece_frames; }
    static int64_t piece_samples(const LogMelSpec& spec) { return int64_t{piece_frames - 1} * spec.hop + spec.n_fft; }

    const float* samples_of(const float* wave, int64_t first_frame, const Workspace& work) const;
    void load_frames(ComplexLanes* buffer, const float* samples) const;
    void apply_filter_bank(const Workspace& work) const;
    float run_piece(float* out, const float* wave, int64_t piece, const Workspace& work) const;

    LogMelSpec spec_;
    RealFft fft_;
    std::vector<double> half_window_; ///< [n_fft], the window / 2
    MelFilterBank bank_;
    std::vector<float> weights_; ///< of the bank
};

/// The plans of a device, made when a spec is first seen.
class LogMelPlans {
public:
    const LogMelPlan& get(const LogMelSpec& spec);

private:
    std::vector<std::unique_ptr<LogMelPlan>> plans_;
};

} // namespace scene::cpu

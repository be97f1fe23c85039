#pragma once

#include <memory>
#include <vector>

#include "kernels/cpu/fft.h"
#include "kernels/log_mel_spec.h"
#include "kernels/mel_filter_bank.h"

namespace scene::cpu {

/// Tables and scratch memory of log-mel for one spec. One call of `run` at a time.
class LogMelPlan {
public:
    LogMelPlan(const LogMelSpec& spec, int threads);

    const LogMelSpec& spec() const { return spec_; }
    /// out [clips, frames, bands] from wave [clips, samples].
    void run(float* out, const float* wave, int64_t clips);

private:
    /// Frames that are taken from wave to decibels together; a cache line of floats per bin.
    static constexpr int piece_frames = 16;

    /// One value of every frame of a piece, in GCC's vector extension.
    struct PieceF32 {
        float __attribute__((vector_size(piece_frames * sizeof(float)))) frames;
    };

    struct Workspace {
        std::vector<float> padded;        ///< what a piece at either end of the clip reads
        std::vector<ComplexLanes> buffer; ///< of the FFT
        std::vector<PieceF32> spectrum;   ///< [bins]
        std::vector<PieceF32> decibels;   ///< [bands]
    };

    const float* piece_samples(const float* wave, int64_t first_frame, Workspace& work) const;
    void load_frames(ComplexLanes* buffer, const float* samples) const;
    void apply_filter_bank(Workspace& work) const;
    float run_piece(float* out, const float* wave, int64_t piece, Workspace& work) const;

    LogMelSpec spec_;
    int64_t all_frames_, pieces_; ///< of one clip, before the cut to spec.frames
    RealFft fft_;
    std::vector<double> half_window_; ///< [n_fft], the window / 2
    MelFilterBank bank_;
    std::vector<float> weights_;        ///< of the bank
    std::vector<Workspace> workspaces_; ///< one per thread
    std::vector<float> peaks_;          ///< [clips, pieces], in dB
};

/// The plans of a backend, made when a spec is first seen.
class LogMelPlans {
public:
    LogMelPlan& get(const LogMelSpec& spec, int threads);

private:
    std::vector<std::unique_ptr<LogMelPlan>> plans_;
};

} // namespace scene::cpu

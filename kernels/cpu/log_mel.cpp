#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <numbers>

#include <omp.h>

#include "kernels/cpu/cpu_backend.h"
#include "kernels/cpu/log_mel_plans.h"

namespace scene::cpu {
namespace {

/// 10 log10(max(x, 1e-10)) without a call, so that loops over it become SIMD. With x = 2^e m, m in [sqrt(1/2), sqrt(2))
/// and t = (m - 1)/(m + 1): ln m = 2 (t + t^3/3 + t^5/5 + ...), whose first term left out is below 1e-9.
inline float decibels_of(float x) {
    constexpr float smallest = 1e-10f, ln2 = std::numbers::ln2_v<float>;
    constexpr float decibels_per_neper = 10 / std::numbers::ln10_v<float>;
    constexpr uint32_t mantissa_bits = 23, sqrt_half = 0x3f3504f3;
    const float clamped = x < smallest ? smallest : x;
    const uint32_t above_sqrt_half = std::bit_cast<uint32_t>(clamped) - sqrt_half;
    const int32_t exponent = static_cast<int32_t>(above_sqrt_half) >> mantissa_bits;
    const float m =
        std::bit_cast<float>(std::bit_cast<uint32_t>(clamped) - (static_cast<uint32_t>(exponent) << mantissa_bits));
    const float t = (m - 1) / (m + 1), t2 = t * t;
    const float ln_m = 2 * t * (1 + t2 * (1.0f / 3 + t2 * (1.0f / 5 + t2 * (1.0f / 7 + t2 * (1.0f / 9)))));
    const float nan_if_not_finite = 0 * clamped;
    return decibels_per_neper * (static_cast<float>(exponent) * ln2 + ln_m) + nan_if_not_finite;
}

/// Half the periodic Hann window of `window` samples, centred in n_fft zeros.
std::vector<double> half_hann_window(int window, int n_fft) {
    std::vector<double> padded(static_cast<size_t>(n_fft), 0.0);
    const int first = (n_fft - window) / 2;
    for (int i = 0; i < window; ++i)
        padded[static_cast<size_t>(first + i)] = 0.25 - 0.25 * std::cos(2 * std::numbers::pi * i / window);
    return padded;
}

LogMelSpec checked(const LogMelSpec& spec) {
    SCENE_CHECK(spec.window > 0 && spec.window <= spec.n_fft, "a window fits into the FFT");
    SCENE_CHECK(spec.hop > 0 && spec.samples > 0 && spec.frames > 0, "a log-mel spec has positive sizes");
    SCENE_CHECK(spec.frames <= 1 + spec.samples / spec.hop, "a clip has the frames that are kept");
    return spec;
}

} // namespace

LogMelPlan::LogMelPlan(const LogMelSpec& spec, int threads)
    : spec_(checked(spec)), all_frames_(1 + spec.samples / spec.hop),
      pieces_((all_frames_ + piece_frames - 1) / piece_frames), fft_(spec.n_fft),
      half_window_(half_hann_window(spec.window, spec.n_fft)), bank_(mel_filter_bank(spec)),
      weights_(bank_.weights.begin(), bank_.weights.end()), workspaces_(static_cast<size_t>(threads)) {
    for (Workspace& work : workspaces_) {
        work.padded.resize(static_cast<size_t>((piece_frames - 1) * spec.hop + spec.n_fft));
        work.buffer.resize(fft_.buffer_size());
        work.spectrum.resize(static_cast<size_t>(spec.n_fft / 2 + 1));
        work.decibels.resize(static_cast<size_t>(spec.bands));
    }
}

void LogMelPlan::run(float* out, const float* wave, int64_t clips) {
    const auto threads = static_cast<int>(workspaces_.size());
    const int64_t clip_values = static_cast<int64_t>(spec_.frames) * spec_.bands;
    peaks_.resize(static_cast<size_t>(clips * pieces_));
#pragma omp parallel num_threads(threads)
    {
        Workspace& work = workspaces_[static_cast<size_t>(omp_get_thread_num())];
#pragma omp for schedule(static)
        for (int64_t i = 0; i < clips * pieces_; ++i) {
            const int64_t clip = i / pieces_;
            peaks_[static_cast<size_t>(i)] =
                run_piece(out + clip * clip_values, wave + clip * spec_.samples, i % pieces_, work);
        }
#pragma omp for schedule(static)
        for (int64_t clip = 0; clip < clips; ++clip) {
            const auto first = peaks_.begin() + clip * pieces_;
            const float floor = *std::max_element(first, first + pieces_) - spec_.top_db;
            float* values = out + clip * clip_values;
            for (int64_t i = 0; i < clip_values; ++i) values[i] = values[i] < floor ? floor : values[i];
        }
    }
}

/// The samples under a piece's frames, from the first frame's first on; zeros where the clip has none.
const float* LogMelPlan::piece_samples(const float* wave, int64_t first_frame, Workspace& work) const {
    const int64_t first = first_frame * spec_.hop - spec_.n_fft / 2;
    const auto count = static_cast<int64_t>(work.padded.size());
    if (first >= 0 && first + count <= spec_.samples) return wave + first;
    const int64_t from = std::clamp<int64_t>(first, 0, spec_.samples);
    const int64_t to = std::clamp<int64_t>(first + count, 0, spec_.samples);
    std::fill(work.padded.begin(), work.padded.end(), 0.0f);
    std::copy(wave + from, wave + to, work.padded.begin() + (from - first));
    return work.padded.data();
}

/// Windows `lanes` frames and packs their samples as the FFT wants them.
void LogMelPlan::load_frames(ComplexLanes* buffer, const float* samples) const {
    for (int i = 0; i < spec_.n_fft; i += lanes) {
        LanesF64 tile[lanes];
        for (int lane = 0; lane < lanes; ++lane)
            for (int j = 0; j < lanes; ++j)
                tile[lane][j] = half_window_[static_cast<size_t>(i + j)] * samples[lane * spec_.hop + i + j];
        transpose(tile);
        ComplexLanes* packed = buffer + fft_.position(i / 2);
        for (int pair = 0; pair < lanes / 2; ++pair) packed[pair] = {tile[2 * pair], tile[2 * pair + 1]};
    }
}

/// decibels = 10 log10(bank * magnitude), from the power in `spectrum`.
void LogMelPlan::apply_filter_bank(Workspace& work) const {
    for (PieceF32& bin : work.spectrum)
        for (int frame = 0; frame < piece_frames; ++frame) bin.frames[frame] = std::sqrt(bin.frames[frame]);
    for (size_t band = 0; band < work.decibels.size(); ++band) {
        const PieceF32* magnitude = work.spectrum.data() + bank_.first_bin[band];
        PieceF32 sum = {};
        for (int32_t i = bank_.offset[band]; i < bank_.offset[band + 1]; ++i)
            sum.frames += weights_[static_cast<size_t>(i)] * (magnitude++)->frames;
        work.decibels[band] = sum;
    }
    for (PieceF32& band : work.decibels)
        for (int frame = 0; frame < piece_frames; ++frame) band.frames[frame] = decibels_of(band.frames[frame]);
}

/// Writes one piece's frames, not yet floored, as far as they are kept, and returns the largest of all its values.
float LogMelPlan::run_piece(float* out, const float* wave, int64_t piece, Workspace& work) const {
    const int64_t first_frame = piece * piece_frames;
    const float* samples = piece_samples(wave, first_frame, work);
    auto* spectrum = reinterpret_cast<float*>(work.spectrum.data());
    for (int group = 0; group < piece_frames; group += lanes) {
        load_frames(work.buffer.data(), samples + group * spec_.hop);
        fft_.power(spectrum + group, piece_frames, work.buffer.data());
    }
    apply_filter_bank(work);

    float peak = -std::numeric_limits<float>::infinity();
    const int64_t frames = std::min<int64_t>(piece_frames, all_frames_ - first_frame);
    for (int64_t frame = 0; frame < frames; ++frame) {
        const bool kept = first_frame + frame < spec_.frames;
        for (int64_t band = 0; band < spec_.bands; ++band) {
            const float value = work.decibels[static_cast<size_t>(band)].frames[frame];
            peak = std::max(peak, value);
            if (kept) out[(first_frame + frame) * spec_.bands + band] = value;
        }
    }
    return peak;
}

LogMelPlan& LogMelPlans::get(const LogMelSpec& spec, int threads) {
    for (const auto& plan : plans_) {
        if (plan->spec() == spec) return *plan;
    }
    plans_.push_back(std::make_unique<LogMelPlan>(spec, threads));
    return *plans_.back();
}

void CpuBackend::log_mel(Tensor out, Tensor wave, const LogMelSpec& spec) {
    SCENE_CHECK(wave.shape.rank() == 2 && wave.shape[1] == spec.samples,
                fmt::format("log_mel takes waves [N, {}], got {}", spec.samples, wave.shape.text()));
    SCENE_CHECK(out.shape == (Shape{wave.shape[0], spec.frames, spec.bands}),
                fmt::format("log_mel gives [N, {}, {}], got {}", spec.frames, spec.bands, out.shape.text()));
    log_mels_->get(spec, threads_).run(out.as<float>(), wave.as<float>(), wave.shape[0]);
}

} // namespace scene::cpu

#include "kernels/log_mel/log_mel.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <numbers>

#include <omp.h>

#include "kernels/cpu/context.h"
#include "kernels/log_mel/cpu_plans.h"
#include "kernels/log_mel/log_mel_operands.h"

namespace scene::cpu {
namespace {

/// 10 log10(max(x, 1e-10)) without a function call, so that loops over it are vectorised. NaN if x is not finite. With
/// x = 2^e m, m in [sqrt(1/2), sqrt(2)) and t = (m - 1)/(m + 1): ln m = 2 (t + t^3/3 + t^5/5 + ...), truncated after
/// t^9. The next term is below 1e-9.
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

/// Half the periodic Hann window of `window` samples, centred in `n_fft` samples and zero outside.
std::vector<double> half_hann_window(int window, int n_fft) {
    std::vector<double> padded(static_cast<size_t>(n_fft), 0.0);
    const int first = (n_fft - window) / 2;
    for (int i = 0; i < window; ++i)
        padded[static_cast<size_t>(first + i)] = 0.25 - 0.25 * std::cos(2 * std::numbers::pi * i / window);
    return padded;
}

constexpr size_t round_up_to_cache_line(size_t bytes) { return (bytes + 63) / 64 * 64; }

} // namespace

LogMelPlan::LogMelPlan(const LogMelSpec& spec)
    : spec_(spec), fft_(spec.n_fft), half_window_(half_hann_window(spec.window, spec.n_fft)),
      bank_(mel_filter_bank(spec)), weights_(bank_.weights.begin(), bank_.weights.end()) {}

LogMelPlan::Layout::Layout(const LogMelSpec& spec, int64_t clips, int threads) {
    const auto bins = static_cast<size_t>(spec.n_fft / 2 + 1), bands = static_cast<size_t>(spec.bands);
    spectrum = buffer + round_up_to_cache_line(RealFft::buffer_size(spec.n_fft) * sizeof(ComplexLanes));
    decibels = spectrum + bins * sizeof(ChunkF32);
    padded = decibels + bands * sizeof(ChunkF32);
    workspace_bytes = padded + round_up_to_cache_line(static_cast<size_t>(chunk_samples(spec)) * sizeof(float));
    workspaces = peaks + round_up_to_cache_line(static_cast<size_t>(clips * chunks_of(spec)) * sizeof(float));
    bytes = workspaces + static_cast<size_t>(threads) * workspace_bytes;
}

size_t LogMelPlan::scratch_bytes(const LogMelSpec& spec, int64_t clips, int threads) {
    return Layout(spec, clips, threads).bytes;
}

void LogMelPlan::run(float* out, const float* wave, int64_t clips, int threads, std::byte* scratch) const {
    const int64_t clip_values = static_cast<int64_t>(spec_.frames) * spec_.bands, chunks = chunks_of(spec_);
    const Layout layout(spec_, clips, threads);
    auto* peaks = reinterpret_cast<float*>(scratch + layout.peaks); // [clips, chunks], in dB
#pragma omp parallel num_threads(threads)
    {
        std::byte* own =
            scratch + layout.workspaces + static_cast<size_t>(omp_get_thread_num()) * layout.workspace_bytes;
        const Workspace work{
            reinterpret_cast<ComplexLanes*>(own + layout.buffer), reinterpret_cast<ChunkF32*>(own + layout.spectrum),
            reinterpret_cast<ChunkF32*>(own + layout.decibels), reinterpret_cast<float*>(own + layout.padded)};
#pragma omp for schedule(static)
        for (int64_t i = 0; i < clips * chunks; ++i) {
            const int64_t clip = i / chunks;
            peaks[i] = run_chunk(out + clip * clip_values, wave + clip * spec_.samples, i % chunks, work);
        }
#pragma omp for schedule(static)
        for (int64_t clip = 0; clip < clips; ++clip) {
            const float* first = peaks + clip * chunks;
            const float floor = *std::max_element(first, first + chunks) - spec_.top_db;
            float* values = out + clip * clip_values;
            for (int64_t i = 0; i < clip_values; ++i) values[i] = values[i] < floor ? floor : values[i];
        }
    }
}

/// The samples of a chunk's frames, from the first sample of its first frame on, zero-padded outside the clip.
const float* LogMelPlan::samples_of(const float* wave, int64_t first_frame, const Workspace& work) const {
    const int64_t first = first_frame * spec_.hop - spec_.n_fft / 2, count = chunk_samples(spec_);
    if (first >= 0 && first + count <= spec_.samples) return wave + first;
    const int64_t from = std::clamp<int64_t>(first, 0, spec_.samples);
    const int64_t to = std::clamp<int64_t>(first + count, 0, spec_.samples);
    std::fill_n(work.padded, count, 0.0f);
    std::copy(wave + from, wave + to, work.padded + (from - first));
    return work.padded;
}

/// Windows `lanes` frames and interleaves their samples for the FFT (kernels/cpu/fft.h).
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

/// work.decibels = 10 log10(bank*magnitude), from the power spectrum in work.spectrum.
void LogMelPlan::apply_filter_bank(const Workspace& work) const {
    const int bins = spec_.n_fft / 2 + 1;
    for (int bin = 0; bin < bins; ++bin) {
        ChunkF32& power = work.spectrum[bin];
        for (int frame = 0; frame < chunk_frames; ++frame) power.frames[frame] = std::sqrt(power.frames[frame]);
    }
    for (int band = 0; band < spec_.bands; ++band) {
        const ChunkF32* magnitude = work.spectrum + bank_.first_bin[static_cast<size_t>(band)];
        ChunkF32 sum = {};
        for (int32_t i = bank_.offset[static_cast<size_t>(band)]; i < bank_.offset[static_cast<size_t>(band) + 1]; ++i)
            sum.frames += weights_[static_cast<size_t>(i)] * (magnitude++)->frames;
        work.decibels[band] = sum;
    }
    for (int band = 0; band < spec_.bands; ++band) {
        ChunkF32& value = work.decibels[band];
        for (int frame = 0; frame < chunk_frames; ++frame) value.frames[frame] = decibels_of(value.frames[frame]);
    }
}

/// Writes those of a chunk's frames that are kept, without the floor. Returns the largest value of all its frames.
float LogMelPlan::run_chunk(float* out, const float* wave, int64_t chunk, const Workspace& work) const {
    const int64_t first_frame = chunk * chunk_frames;
    const float* samples = samples_of(wave, first_frame, work);
    auto* spectrum = reinterpret_cast<float*>(work.spectrum);
    for (int group = 0; group < chunk_frames; group += lanes) {
        load_frames(work.buffer, samples + group * spec_.hop);
        fft_.power(spectrum + group, chunk_frames, work.buffer);
    }
    apply_filter_bank(work);

    float peak = -std::numeric_limits<float>::infinity();
    const int64_t frames = std::min<int64_t>(chunk_frames, spec_.all_frames() - first_frame);
    for (int64_t frame = 0; frame < frames; ++frame) {
        const bool kept = first_frame + frame < spec_.frames;
        for (int64_t band = 0; band < spec_.bands; ++band) {
            const float value = work.decibels[band].frames[frame];
            peak = std::max(peak, value);
            if (kept) out[(first_frame + frame) * spec_.bands + band] = value;
        }
    }
    return peak;
}

const LogMelPlan& LogMelPlans::get(const LogMelSpec& spec) {
    for (const auto& plan : plans_) {
        if (plan->spec() == spec) return *plan;
    }
    plans_.push_back(std::make_unique<LogMelPlan>(spec));
    return *plans_.back();
}

size_t scratch_bytes(const LogMel<TensorSpec>& op, const Planning& cpu) {
    check_log_mel_spec(op.spec);
    return LogMelPlan::scratch_bytes(op.spec, op.wave.shape[0], cpu.threads);
}

void run(const LogMel<Tensor>& op, Context& cpu) {
    const LogMelOperands operands(op);
    const size_t bytes = LogMelPlan::scratch_bytes(op.spec, operands.clips, cpu.threads);
    cpu.log_mels.get(op.spec).run(operands.out, operands.wave, operands.clips, cpu.threads,
                                  scratch_of<std::byte>(op.scratch, bytes));
}

} // namespace scene::cpu

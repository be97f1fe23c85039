// Three steps with device memory between them: windowed frames; cuFFT; magnitude, filter bank and decibels.
// kernels/log_mel/cuda.cu does the same in one kernel, in shared memory.

#include "kernels/cuda/cufft/log_mel.h"

#include "kernels/cuda/launch.h"
#include "kernels/log_mel/cuda_parts.h"

namespace scene::cuda {
namespace {

/// rows [clips, frames, n_fft]. Blocks: frames by clips.
__global__ void __launch_bounds__(block_threads)
    window_frames(double* rows, const float* wave, LogMelTable table, LogMelSpec spec) {
    const int frame = static_cast<int>(blockIdx.x);
    const float* samples = wave + static_cast<int64_t>(blockIdx.y) * spec.samples;
    double* row = rows + (static_cast<int64_t>(blockIdx.y) * gridDim.x + frame) * spec.n_fft;
    for (int i = static_cast<int>(threadIdx.x); i < spec.n_fft; i += block_threads)
        row[i] = windowed_sample(samples, table, spec, frame, i);
}

/// spectra [clips, frames, n_fft/2 + 1]. Blocks: chunks of log_mel_chunk_frames frames by clips. Writes the kept
/// frames, before the floor at peak - top_db, and the chunks' maxima: peaks [clips, chunks].
__global__ void __launch_bounds__(block_threads)
    spectra_to_decibels(float* out, float* peaks, const double2* spectra, LogMelTable table, LogMelSpec spec) {
    const int bins = spec.n_fft / 2 + 1, all_frames = 1 + spec.samples / spec.hop;
    float* magnitude = dynamic_shared<float>();                       // [log_mel_chunk_frames][bins]
    float* decibels = magnitude + log_mel_chunk_frames * bins;        // [log_mel_chunk_frames][bands]
    float* warp_peaks = decibels + log_mel_chunk_frames * spec.bands; // [warps]
    const int thread = static_cast<int>(threadIdx.x), first_frame = static_cast<int>(blockIdx.x) * log_mel_chunk_frames;
    const int values = frames_of_chunk(spec, first_frame) * bins;
    const double2* spectrum = spectra + (static_cast<int64_t>(blockIdx.y) * all_frames + first_frame) * bins;
    for (int i = thread; i < values; i += block_threads) {
        const double2 z = spectrum[i];
        magnitude[i] = static_cast<float>(sqrt(z.x * z.x + z.y * z.y));
    }
    __syncthreads();
    float* kept = out + static_cast<int64_t>(blockIdx.y) * spec.frames * spec.bands;
    float* peak = peaks + static_cast<int64_t>(blockIdx.y) * gridDim.x + blockIdx.x;
    filter_chunk(kept, peak, decibels, warp_peaks, magnitude, table, spec, first_frame);
}

/// Offsets of the parts of the scratch, each a multiple of 256 bytes.
struct Layout {
    size_t peaks = 0, rows, spectra, work, bytes;

    Layout(int64_t clips, int64_t at_once, const LogMelSpec& spec, FourierTransforms& transforms) {
        const auto frames = static_cast<size_t>(at_once * spec.all_frames());
        rows = aligned_bytes(log_mel_peaks_bytes(clips, spec));
        spectra = rows + aligned_bytes(frames * static_cast<size_t>(spec.n_fft) * sizeof(double));
        work = spectra + aligned_bytes(frames * static_cast<size_t>(spec.n_fft / 2 + 1) * sizeof(double2));
        // The last clips may be fewer, and a transform of fewer rows need not want less.
        size_t most = transforms.scratch_bytes(spec.n_fft, static_cast<int64_t>(frames));
        if (const int64_t rest = clips % at_once; rest > 0)
            most = std::max(most, transforms.scratch_bytes(spec.n_fft, rest * spec.all_frames()));
        bytes = work + most;
    }
};

} // namespace

size_t log_mel_by_library_scratch_bytes(int64_t clips, int64_t at_once, const LogMelSpec& spec,
                                        FourierTransforms& transforms) {
    return Layout(clips, std::min(at_once, clips), spec, transforms).bytes;
}

void log_mel_by_library(const LogMel<Tensor>& op, int64_t at_once, FourierTransforms& transforms, LogMelTables& tables,
                        cudaStream_t stream) {
    const LogMelSpec& spec = op.spec;
    const LogMelOperands operands(op);
    check_log_mel_grid(operands.clips);
    at_once = std::min(at_once, operands.clips);
    const LogMelTable table = tables.get(spec);
    const Layout layout(operands.clips, at_once, spec, transforms);
    auto* memory = scratch_of<std::byte>(op.scratch, layout.bytes);
    auto* peaks = reinterpret_cast<float*>(memory + layout.peaks);
    auto* rows = reinterpret_cast<double*>(memory + layout.rows);
    auto* spectra = reinterpret_cast<double2*>(memory + layout.spectra);
    const int64_t clip_values = static_cast<int64_t>(spec.frames) * spec.bands, chunks = log_mel_chunks(spec);
    for (int64_t first = 0; first < operands.clips; first += at_once) {
        const int64_t clips = std::min(at_once, operands.clips - first);
        const auto height = static_cast<unsigned>(clips);
        launch(window_frames, dim3(static_cast<unsigned>(spec.all_frames()), height), dim3(block_threads), 0, stream,
               rows, operands.wave + first * spec.samples, table, spec);
        transforms.run(spec.n_fft, clips * spec.all_frames(), spectra, rows, memory + layout.work, stream);
        launch(spectra_to_decibels, dim3(static_cast<unsigned>(chunks), height), dim3(block_threads),
               log_mel_filter_bytes(spec), stream, operands.out + first * clip_values, peaks + first * chunks, spectra,
               table, spec);
    }
    raise_to_floor(operands.out, peaks, operands.clips, spec, stream);
}

} // namespace scene::cuda

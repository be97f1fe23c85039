// Log-mel with a library's Fourier transforms, against the kernel that has its own.

#include <cmath>
#include <numbers>

#include "kernels/cuda/context.h"
#include "kernels/cuda/cufft/log_mel.h"
#include "kernels/log_mel/cuda_tables.h"
#if defined(SCENE_ON_GPU)
#include "kernels/cuda/cufft/transforms.h"
#else
#include "tests/cuda_on_cpu/library_stand_ins.h"
#endif
#include "tests/cuda_on_cpu/support.h"

namespace scene::test {
namespace {

std::unique_ptr<cuda::FourierTransforms> transforms() {
#if defined(SCENE_ON_GPU)
    return cuda::make_cufft_transforms();
#else
    return transforms_on_cpu();
#endif
}

/// In dB. Correct implementations differ by a rounding of the magnitude: 10 log10(1 + 1e-6) = 4.3e-6.
constexpr Tolerance tolerance{.absolute = 1e-4};

/// Clips one by one, two at a time and all at once (more at once than there are means all).
void expect_as_the_kernel(const Guarded& wave, const LogMelSpec& spec) {
    std::vector<std::unique_ptr<OnDevice>> imported;
    cuda::LogMelTables tables([&](const void* host, size_t bytes) {
        const Guarded copy({static_cast<int64_t>(bytes)}, DType::U8);
        std::memcpy(static_cast<Tensor>(copy).data, host, bytes);
        imported.push_back(std::make_unique<OnDevice>(copy));
        return static_cast<Tensor>(*imported.back()).data;
    });
    const std::unique_ptr<cuda::FourierTransforms> library = transforms();
    const int64_t clips = wave.shape()[0];
    const Shape shape{clips, spec.frames, spec.bands};
    const OnDevice d_wave(wave);
    const auto decibels = [&](size_t scratch_bytes, const auto& run) {
        const OnDevice out(shape), scratch = scratch_on_device(scratch_bytes);
        run(LogMel<Tensor>{.out = Tensor(out), .wave = Tensor(d_wave), .spec = spec, .scratch = Tensor(scratch)});
        return out.host();
    };
    const LogMel<TensorSpec> planned{
        .out = TensorSpec(DType::F32, shape), .wave = TensorSpec(DType::F32, wave.shape()), .spec = spec};
    cuda::Context context{.log_mel_tables = &tables};
    const Guarded expected =
        decibels(cuda::scratch_bytes(planned, cuda::Planning{}), [&](const auto& op) { cuda::run(op, context); });
    for (const int64_t at_once : {int64_t{1}, int64_t{2}, clips + 1}) {
        const size_t bytes = cuda::log_mel_by_library_scratch_bytes(clips, at_once, spec, *library);
        const Guarded actual =
            decibels(bytes, [&](const auto& op) { cuda::log_mel_by_library(op, at_once, *library, tables, nullptr); });
        EXPECT_TRUE(all_close(actual.floats(), expected.floats(), tolerance,
                              std::to_string(at_once) + " of " + std::to_string(clips)));
    }
    EXPECT_EQ(imported.size(), 1u) << "one table for a spec";
}

TEST(CudaLogMelByLibrary, OfThePapersSettings) {
    emulator::shuffle(1);
    const LogMelSpec spec{.frames = 2, .samples = 1 * 882 + 13};
    expect_as_the_kernel(uniform({2, spec.samples}, 1), spec);
}

/// Frames beyond those that are kept; a window as long as the FFT.
TEST(CudaLogMelByLibrary, OtherLengths) {
    for (int order = 1; order <= emulator::orders(); ++order) {
        emulator::shuffle(static_cast<uint64_t>(order));
        for (const int n_fft : {32, 64, 256}) {
            const LogMelSpec spec{.sample_rate = 16000,
                                  .n_fft = n_fft,
                                  .window = n_fft == 64 ? 64 : n_fft - n_fft / 8,
                                  .hop = n_fft / 3,
                                  .bands = n_fft < 128 ? 3 : 20,
                                  .low_hz = 100,
                                  .frames = 7,
                                  .samples = n_fft * 3 + 5};
            expect_as_the_kernel(uniform({3, spec.samples}, 2), spec);
        }
    }
}

/// The first clip has a tone between silence, whose peak is in a frame that is not kept. The second clip is silent.
TEST(CudaLogMelByLibrary, ToneAndSilence) {
    const LogMelSpec spec{
        .sample_rate = 16000, .n_fft = 256, .window = 200, .hop = 100, .bands = 24, .frames = 6, .samples = 1300};
    const Guarded wave = filled({2, spec.samples}, std::vector<float>(static_cast<size_t>(2 * spec.samples), 0.0f));
    for (int i = 450; i < 1000; ++i)
        wave[i] = std::sin(2 * std::numbers::pi_v<float> * 997 * static_cast<float>(i) / 16000);
    expect_as_the_kernel(wave, spec);
}

} // namespace
} // namespace scene::test

#include <cmath>
#include <numbers>

#include "kernels/cuda/log_mel_by_library.h"
#if defined(SCENE_ON_GPU)
#include "kernels/cuda/cufft_transforms.h"
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

OnDevice device_table(const LogMelSpec& spec) {
    const std::vector<std::byte> table = cuda::log_mel_table(spec);
    Guarded host({static_cast<int64_t>(table.size())}, DType::U8);
    std::memcpy(static_cast<Tensor>(host).data, table.data(), table.size());
    return OnDevice(host);
}

/// Decibels: two correct programs differ by the rounding of a magnitude, 4.3 dB times 1e-6.
constexpr Tolerance tolerance{.absolute = 1e-4};

/// With a library's transforms; clips one by one, two at a time and all at once.
void expect_by_library(const OnDevice& wave, const OnDevice& table, const Guarded& expected, const LogMelSpec& spec) {
    const int64_t clips = expected.shape()[0];
    const std::unique_ptr<cuda::FourierTransforms> library = transforms();
    for (const int64_t at_once : {int64_t{1}, std::min<int64_t>(2, clips), clips}) {
        const OnDevice out(expected.shape());
        const OnDevice scratch =
            scratch_on_device(cuda::log_mel_by_library_scratch_bytes(clips, at_once, spec, *library));
        cuda::log_mel_by_library(out, wave, table, scratch, at_once, spec, *library, nullptr);
        EXPECT_TRUE(close(out, expected, tolerance, std::to_string(at_once) + " of " + std::to_string(clips)));
    }
}

void expect_log_mel(const Guarded& wave, const LogMelSpec& spec) {
    const int64_t clips = wave.shape()[0];
    const Shape shape{clips, spec.frames, spec.bands};
    const Guarded expected(shape);
    cpu().log_mel(expected, wave, spec);
    const OnDevice out(shape), d_wave(wave), table = device_table(spec);
    const OnDevice scratch = scratch_on_device(cuda::log_mel_scratch_bytes(clips, spec));
    cuda::log_mel(out, d_wave, table, scratch, spec, nullptr);
    EXPECT_TRUE(close(out, expected, tolerance, "n_fft " + std::to_string(spec.n_fft)));
    expect_by_library(d_wave, table, expected, spec);
}

TEST(CudaLogMel, OfThePapersSettings) {
    emulator::shuffle(1);
    const LogMelSpec spec{.frames = 6, .samples = 5 * 882 + 13};
    expect_log_mel(uniform({2, spec.samples}, 1), spec);
}

/// Lengths whose last pass is in radix 4 and in radix 2; frames beyond those that are kept; windows as long as the FFT.
TEST(CudaLogMel, OtherLengths) {
    for (const uint64_t seed : {1, 2, 3}) {
        emulator::shuffle(seed);
        for (const int n_fft : {32, 64, 128, 256, 1024}) {
            const LogMelSpec spec{.sample_rate = 16000,
                                  .n_fft = n_fft,
                                  .window = n_fft - n_fft / 8,
                                  .hop = n_fft / 3,
                                  .bands = n_fft < 128 ? 3 : 20,
                                  .low_hz = 100,
                                  .top_db = 80,
                                  .frames = 7,
                                  .samples = n_fft * 3 + 5};
            expect_log_mel(uniform({3, spec.samples}, 2), spec);
        }
        expect_log_mel(uniform({1, 700}, 3), {.sample_rate = 8000,
                                              .n_fft = 256,
                                              .window = 256,
                                              .hop = 100,
                                              .bands = 16,
                                              .low_hz = 0,
                                              .top_db = 80,
                                              .frames = 8,
                                              .samples = 700});
    }
}

/// A pure tone between silence: most bands are far below a frame's largest, most frames far below the clip's.
TEST(CudaLogMel, ToneAndSilence) {
    const LogMelSpec spec{.sample_rate = 16000,
                          .n_fft = 512,
                          .window = 400,
                          .hop = 200,
                          .bands = 24,
                          .low_hz = 50,
                          .top_db = 80,
                          .frames = 13,
                          .samples = 2600};
    Guarded wave = filled({2, spec.samples}, std::vector<float>(static_cast<size_t>(2 * spec.samples), 0.0f));
    for (int i = 900; i < 1700; ++i)
        wave[i] = std::sin(2 * std::numbers::pi_v<float> * 997 * static_cast<float>(i) / 16000);
    for (const uint64_t seed : {1, 2, 3}) {
        emulator::shuffle(seed);
        expect_log_mel(wave, spec); // the second clip is silent throughout
    }
}

TEST(CudaLogMel, ThePeakCountsInFramesThatAreNotKept) {
    const LogMelSpec spec{.sample_rate = 16000,
                          .n_fft = 256,
                          .window = 256,
                          .hop = 128,
                          .bands = 12,
                          .low_hz = 50,
                          .top_db = 20,
                          .frames = 4,
                          .samples = 3000};
    Guarded wave = uniform({1, spec.samples}, 4, -1e-4f, 1e-4f);
    for (int i = 2500; i < 2600; ++i) wave[i] = 1;
    expect_log_mel(wave, spec);
}

/// Magnitudes beyond a float's range are no decibels: the clip must be refused, not trained on.
TEST(CudaLogMel, WhatIsNotFiniteIsNotANumber) {
    const LogMelSpec spec{.sample_rate = 16000,
                          .n_fft = 256,
                          .window = 256,
                          .hop = 128,
                          .bands = 4,
                          .low_hz = 50,
                          .top_db = 80,
                          .frames = 3,
                          .samples = 400};
    const Guarded wave = uniform({1, spec.samples}, 4, -1.5e38f, 1.5e38f), expected({1, 3, 4});
    cpu().log_mel(expected, wave, spec);
    const OnDevice out(expected.shape()), d_wave(wave), table = device_table(spec);
    const OnDevice scratch = scratch_on_device(cuda::log_mel_scratch_bytes(1, spec));
    cuda::log_mel(out, d_wave, table, scratch, spec, nullptr);
    const Guarded got = out.host();
    for (int64_t i = 0; i < 12; ++i) EXPECT_TRUE(std::isnan(got[i]) && std::isnan(expected[i])) << i;
}

TEST(CudaDeltas, AsTheCpu) {
    for (const Shape& shape : {Shape{2, 9, 3}, Shape{1, 40, 64}}) {
        for (const uint64_t seed : {1, 2, 3}) {
            emulator::shuffle(seed);
            const Shape out{shape[0], shape[1], shape[2], 3};
            const Guarded x = uniform(shape, 5, -80, 0), expected(out);
            cpu().deltas(expected, x);
            const OnDevice d_out(out), d_x(x);
            cuda::deltas(d_out, d_x, nullptr);
            EXPECT_TRUE(close(d_out, expected, rounding(DType::F32, 9), shape.text()));
        }
    }
}

} // namespace
} // namespace scene::test

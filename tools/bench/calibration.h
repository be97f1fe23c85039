#pragma once

namespace scene {

/// The roofline of a device, as just measured.
struct Calibration {
    /// 0: a GPU.
    int threads = 0;
    /// Peak arithmetic. CPU: fused multiply-adds on registers, 2 FLOP each, all threads together. GPU: a matrix product
    /// of 8192 x 8192 in the precision of the measurement.
    double gflops = 0;
    /// Bytes read + bytes written per second by a large copy, all threads together.
    double copy_gb_per_s = 0;
    /// CPU only: the clock of one thread, from a chain of dependent additions.
    double clock_ghz = 0;
    /// CPU only: gflops / threads / clock_ghz.
    double flop_per_cycle = 0;
    /// CPU only: two multiply-adds of the full SIMD width per cycle; no processor does more.
    double flop_per_cycle_max = 0;

    /// False if the machine was probably busy while it was calibrated.
    bool plausible() const {
        return threads == 0 || (flop_per_cycle > 0.2 * flop_per_cycle_max && flop_per_cycle < 1.1 * flop_per_cycle_max);
    }
};

/// Calibrates the CPU. Takes about a third of a second.
Calibration calibrate(int threads);

/// The one with the higher gflops, with the higher copy_gb_per_s of both. A disturbance during one calibration then
/// flatters no measurement.
Calibration best_of(const Calibration& a, const Calibration& b);

} // namespace scene

#pragma once

namespace scene {

/// What the device can do at best, right now: the figures that measured ones are a share of. Clock and cycles are a
/// processor's only.
struct Calibration {
    int threads = 0;           ///< 0: a GPU
    double gflops = 0;         ///< all threads together, fused multiply-adds on registers, 2 FLOP each; a GPU's matrix
                               ///< product of 8192 x 8192 in the precision of the measurement
    double copy_gb_per_s = 0;  ///< all threads together, bytes read + bytes written of a large copy
    double clock_ghz = 0;      ///< of one thread, from a chain of dependent additions
    double flop_per_cycle = 0; ///< gflops / threads / clock_ghz
    double flop_per_cycle_max =
        0; ///< two full-width multiply-adds per cycle: no processor of the SIMD width in use does more
    bool plausible() const {
        return threads == 0 || (flop_per_cycle > 0.2 * flop_per_cycle_max && flop_per_cycle < 1.1 * flop_per_cycle_max);
    }
};

/// Takes about a third of a second.
Calibration calibrate(int threads);

/// The larger of two calibrations in every figure, so that a share of it is never flattered by a disturbed moment.
Calibration best_of(const Calibration& a, const Calibration& b);

} // namespace scene

#pragma once

// The Slaney mel filter bank, shared by every device, computed in double.

#include <cstdint>
#include <vector>

#include "kernels/log_mel/log_mel_spec.h"

namespace scene {

/// Triangular filters over the n_fft/2 + 1 bins of a spectrum, kept sparse: band b weighs bin first_bin[b] + i with
/// weights[offset[b] + i], for i from 0 to offset[b + 1] - offset[b] - 1. A band narrower than the distance between two
/// bins may have no weights.
struct MelFilterBank {
    std::vector<int32_t> first_bin; ///< [bands]
    std::vector<int32_t> offset;    ///< [bands + 1]
    std::vector<double> weights;    ///< all bands, one after another
};

/// librosa.filters.mel(sr, n_fft, n_mels=bands, fmin=low_hz, fmax=sr/2, htk=False, norm="slaney"): bands + 2 points
/// equally spaced on Slaney's mel scale (linear to 1000 Hz, logarithmic above), band b a triangle from point b over
/// b + 1 to b + 2, of area 1 (height 2 / (its width in Hz)).
MelFilterBank mel_filter_bank(const LogMelSpec& spec);

} // namespace scene

#pragma once

// The mel filter bank on Slaney's scale, computed on the host in double for every device.

#include <cstdint>
#include <vector>

#include "kernels/log_mel/log_mel_spec.h"

namespace scene {

/// Triangular filters over the n_fft/2 + 1 bins of a spectrum, as a sparse matrix: the weight of bin first_bin[b] + i
/// in band b is weights[offset[b] + i], for 0 <= i < offset[b + 1] - offset[b]. A band that lies between two bins has
/// no weights.
struct MelFilterBank {
    std::vector<int32_t> first_bin; ///< [bands]
    std::vector<int32_t> offset;    ///< [bands + 1]
    std::vector<double> weights;    ///< of all bands, concatenated
};

/// librosa.filters.mel(sr, n_fft, n_mels=bands, fmin=low_hz, fmax=sr/2, htk=False, norm="slaney"): bands + 2 points
/// equally spaced on Slaney's mel scale (linear to 1000 Hz, logarithmic above). Band b is a triangle with its feet at
/// the points b and b + 2 and its peak at b + 1, of area 1: its height is 2/(width in Hz).
MelFilterBank mel_filter_bank(const LogMelSpec& spec);

} // namespace scene

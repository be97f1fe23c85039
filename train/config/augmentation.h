#pragma once

#include <string>
#include <vector>

#include "kernels/draw_augmentation/augmentation.h"
#include "kernels/log_mel/log_mel_spec.h"

namespace scene {

/// [augmentation] in the configuration file: the augmentation of training batches. The order of the steps and the
/// papers are in kernels/draw_augmentation/augmentation.h. Widths are shares of an axis and shifts are in seconds, so
/// that a published value means the same for features of any size. An alpha, a share, a roll or a gain of 0 turns its
/// step off.
struct AugmentationSettings {
    std::string preset = "none";     ///< sets all other values that are not given
    double mixup_alpha = 0;          ///< of Beta(alpha, alpha); [0, 100]
    double mixup_probability = 1;    ///< per clip; [0, 1]
    double mixstyle_alpha = 0;       ///< of Freq-MixStyle's Beta(alpha, alpha); [0, 100]
    double mixstyle_probability = 1; ///< per batch; [0, 1]
    int64_t frequency_masks = 1;     ///< per clip, 0 to max_masks
    double frequency_mask_share = 0; ///< largest width, as a share of the bands; [0, 1]
    int64_t time_masks = 1;          ///< per clip, 0 to max_masks
    double time_mask_share = 0;      ///< largest width, as a share of the frames; [0, 1]
    double roll_seconds = 0;         ///< largest shift in either direction; [0, 3600]; half the clip or more: any shift
    double gain_db = 0;              ///< largest gain or attenuation of the waveform; [0, 60]

    bool operator==(const AugmentationSettings&) const = default;
};

/// Every preset, "none" first. The values are published ones, as far as these steps can express them.
/// docs/augmentation.md has the sources, and what each published system does besides.
const std::vector<AugmentationSettings>& augmentation_presets();

/// Converts the settings to frames and bands of this spec. Throws Error if a mask that is not off rounds to a width of
/// 0.
Augmentation augmentation_for(const AugmentationSettings& settings, const LogMelSpec& spec);

} // namespace scene

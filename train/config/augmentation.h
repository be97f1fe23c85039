#pragma once

#include <string>
#include <vector>

#include "kernels/draw_augmentation/augmentation.h"
#include "kernels/log_mel/log_mel_spec.h"

namespace scene {

/// [augmentation] in the file: what happens to training batches (kernels/draw_augmentation/augmentation.h has the order
/// and the papers). Widths are shares of an axis and shifts are seconds, so that a published value means the same for
/// features of any size. Nothing is done where an alpha, a width, the roll or the gain is 0.
struct AugmentationSettings {
    std::string preset = "none";     ///< where the other values come from unless they are given
    double mixup_alpha = 0;          ///< of the Beta distribution; [0, 100]
    double mixup_probability = 1;    ///< of each clip; [0, 1]
    double mixstyle_alpha = 0;       ///< of Freq-MixStyle; [0, 100]
    double mixstyle_probability = 1; ///< of each batch; [0, 1]
    int64_t frequency_masks = 1;     ///< per clip, 0 to max_masks
    double frequency_mask_share = 0; ///< the widest, of the bands; [0, 1]
    int64_t time_masks = 1;          ///< per clip, 0 to max_masks
    double time_mask_share = 0;      ///< the widest, of the frames; [0, 1]
    double roll_seconds = 0;         ///< the longest shift, either way; >= 0; from half the clip on: any
    double gain_db = 0;              ///< of the waveform, the largest, either way; [0, 60]

    bool operator==(const AugmentationSettings&) const = default;
};

/// Every preset, "none" first. Values are published ones as far as these parts can express them; docs/augmentation.md
/// has the sources, and what each system does besides.
const std::vector<AugmentationSettings>& augmentation_presets();

/// The settings for features of this spec. Fails where a mask is narrower than one frame or band.
Augmentation augmentation_for(const AugmentationSettings& settings, const LogMelSpec& spec);

} // namespace scene

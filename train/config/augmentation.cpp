#include "train/config/augmentation.h"

#include <algorithm>
#include <cmath>

#include "kernels/error.h"

namespace scene {
namespace {

int64_t width_of(double share, int64_t masks, int64_t places, const char* key, const char* unit) {
    if (share == 0 || masks == 0) return 0;
    const auto width = static_cast<int64_t>(std::llround(share * static_cast<double>(places)));
    if (width == 0)
        fail("augmentation.{} = {} is less than one of {} {}; give {:.3g} or more, or 0 for no mask", key, share,
             places, unit, 1.0 / static_cast<double>(places));
    return width;
}

} // namespace

const std::vector<AugmentationSettings>& augmentation_presets() {
    static const std::vector<AugmentationSettings> all{
        {.preset = "none"},
        {.preset = "dcase2024",
         .mixstyle_alpha = 0.3,
         .mixstyle_probability = 0.4,
         .frequency_mask_share = 48.0 / 256,
         .roll_seconds = 0.1},
        {.preset = "tf-sepnet", .mixup_alpha = 0.3, .mixstyle_alpha = 0.4, .mixstyle_probability = 0.8},
        {.preset = "efficientat", .mixup_alpha = 0.3, .roll_seconds = 0.125, .gain_db = 12},
        {.preset = "passt", .mixup_alpha = 0.3, .frequency_mask_share = 48.0 / 128, .time_mask_share = 192.0 / 998},
        {.preset = "panns",
         .mixup_alpha = 1,
         .frequency_masks = 2,
         .frequency_mask_share = 8.0 / 64,
         .time_masks = 2,
         .time_mask_share = 64.0 / 1001},
        // roll_seconds: any shift of a 10 s clip. gain_db: EAT's factor of 0.5 + Beta(10, 10) has a standard deviation
        // of 0.96 dB, and so has a gain that is uniform in +-1.7 dB.
        {.preset = "eat",
         .mixup_alpha = 0.7,
         .mixup_probability = 0.9,
         .frequency_mask_share = 25.0 / 128,
         .time_mask_share = 200.0 / 1024,
         .roll_seconds = 5,
         .gain_db = 1.7},
        {.preset = "fcnn", .mixup_alpha = 0.4, .frequency_mask_share = 12.0 / 128, .time_mask_share = 39.0 / 400},
    };
    return all;
}

Augmentation augmentation_for(const AugmentationSettings& settings, const LogMelSpec& spec) {
    const double frames_per_second = static_cast<double>(spec.sample_rate) / spec.hop;
    Augmentation out;
    // A roll is cyclic, so half the clip in either direction covers every shift.
    out.roll = std::min<int64_t>(std::llround(settings.roll_seconds * frames_per_second), spec.frames / 2);
    // A gain of g dB multiplies magnitudes by 10^(g/20), and the features are 10 log10 of magnitudes.
    out.gain = static_cast<float>(settings.gain_db / 2);
    out.style_probability = static_cast<float>(settings.mixstyle_probability);
    out.style_alpha = static_cast<float>(settings.mixstyle_alpha);
    out.frequency_masks = settings.frequency_masks;
    out.frequency_mask =
        width_of(settings.frequency_mask_share, settings.frequency_masks, spec.bands, "frequency_mask_share", "bands");
    out.time_masks = settings.time_masks;
    out.time_mask = width_of(settings.time_mask_share, settings.time_masks, spec.frames, "time_mask_share", "frames");
    out.mixup_probability = static_cast<float>(settings.mixup_probability);
    out.mixup_alpha = static_cast<float>(settings.mixup_alpha);
    return out;
}

} // namespace scene

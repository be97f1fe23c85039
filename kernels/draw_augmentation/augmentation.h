#pragma once

// The random parameters of augmentation. They are applied to a batch in this order:
// - roll and gain: as if the waveform had been shifted and amplified;
// - Freq-MixStyle: Schmid et al., "CP-JKU submission to DCASE23" (2023), after Zhou et al., ICLR 2021;
// - frequency and time masks: SpecAugment, Park et al., Interspeech 2019, without time warp;
// - mixup: Zhang et al., ICLR 2018. The partner, too, has been through the steps above.
//
// A draw is a function of (seed, step, the clip's index in the batch), so an exact resume needs only the step number.
// Its bits are the same on every device: it uses integers, and the few operations on floats are exact, except for one
// product that no compiler can contract into a fused multiply-add.

#include <cstdint>

#include "kernels/philox.h"

namespace scene {

constexpr int max_masks = 4; ///< on each axis

/// Settings of the augmentation of training batches. 0 turns a part off.
struct Augmentation {
    int64_t roll = 0;            ///< a clip is rotated in time by -roll .. roll frames
    float gain = 0;              ///< added to all features of a clip: uniform in [-gain, gain), in the features' unit
    float style_probability = 0; ///< that a batch gets Freq-MixStyle
    float style_alpha = 0;       ///< each clip's own share of the mixed statistics is drawn from Beta(alpha, alpha)
    int64_t frequency_masks = 0; ///< number of masks, at most max_masks; they may overlap
    int64_t frequency_mask = 0;  ///< largest width in bands; width and position are uniform
    int64_t time_masks = 0;      ///< number of masks, at most max_masks; they may overlap
    int64_t time_mask = 0;       ///< largest width in frames; width and position are uniform
    float mixup_probability = 0; ///< that a clip is mixed with its partner
    float mixup_alpha = 0;       ///< own share: max(lambda, 1 - lambda), lambda from Beta(alpha, alpha)

    bool styles() const { return style_probability > 0 && style_alpha > 0; }
    bool masks() const { return (frequency_masks > 0 && frequency_mask > 0) || (time_masks > 0 && time_mask > 0); }
    bool mixes() const { return mixup_probability > 0 && mixup_alpha > 0; }
    /// Whether the op `band_moments` is needed.
    bool needs_moments() const { return styles() || masks(); }
    bool any() const { return roll > 0 || gain > 0 || styles() || masks() || mixes(); }
    bool operator==(const Augmentation&) const = default;
};

/// A masked range of bands or frames; empty if count is 0.
struct Mask {
    int32_t first, count;

    SCENE_HOST_DEVICE bool covers(int64_t place) const { return place >= first && place < first + count; }
};

/// The draw of one clip of a batch.
struct ClipDraw {
    int32_t roll;          ///< frames, 0 .. T - 1: frame t was frame (t - roll) mod T
    float gain;            ///< added to the features
    int32_t style_partner; ///< index in the batch of the clip whose statistics are mixed in
    float style_share;     ///< own share of the statistics; 1: unchanged
    int32_t mix_partner;   ///< index in the batch of the clip that is mixed in
    float mix_share;       ///< own share, 0.5 .. 1; 1: not mixed
    Mask frequency[max_masks], time[max_masks];
};

/// Draws from Beta(alpha, alpha) by inverse transform sampling. The quantile function is tabulated at 257 equidistant
/// points and interpolated linearly, so the density is constant in each of 256 intervals of probability 1/256. The mean
/// is exact. The ends of the outermost intervals are chosen so that the standard deviation is right (to 0.1 %; the
/// fourth central moment to 1 %). The distribution is symmetric, so only the lower half is stored.
struct SymmetricBeta {
    static constexpr int intervals = 128;
    uint32_t quantile[intervals + 1]; ///< of probability i/256, in units of 2^-32; the last is 1/2

    /// The table for alpha > 0.
    static SymmetricBeta of(double alpha);

    /// min(lambda, 1 - lambda) in [0, 1/2], a multiple of 2^-24, from the upper 31 bits of a random word.
    SCENE_HOST_DEVICE float smaller_share(uint32_t word) const {
        const uint32_t i = word >> 25;
        const uint64_t within = word & 0x1FFFFFFu;
        const uint64_t value = quantile[i] + ((within * (quantile[i + 1] - quantile[i])) >> 25);
        return static_cast<float>(static_cast<uint32_t>(value >> 8)) * 0x1p-24f;
    }
    /// lambda in [0, 1]; bit 0 of the word says on which side of 1/2.
    SCENE_HOST_DEVICE float share(uint32_t word) const {
        return (word & 1u) != 0 ? 1.0f - smaller_share(word) : smaller_share(word);
    }
};

/// All that `draw_clip` needs, computed once on the host and passed to kernels by value.
struct AugmentationSampler {
    Augmentation settings;
    SymmetricBeta style{}, mixup{};
    uint64_t style_threshold = 0, mixup_threshold = 0; ///< applied if the random word is below

    AugmentationSampler() = default;
    /// Throws std::logic_error for an impossible setting: negative, not finite, a probability above 1, more than
    /// max_masks masks.
    explicit AugmentationSampler(const Augmentation& settings);
};

/// Dropout layers number their streams from 1. This one is far from theirs, so that switching augmentation on does not
/// change dropout masks.
constexpr uint32_t augmentation_stream = 0x80000000u;

/// A whole number, uniform in 0 .. most.
SCENE_HOST_DEVICE inline int32_t whole_number(uint32_t word, int64_t most) {
    return static_cast<int32_t>((static_cast<uint64_t>(word) * static_cast<uint64_t>(most + 1)) >> 32);
}

/// Draws `count` masks on an axis of `places` bands or frames: widths uniform in 0 .. min(widest, places), then
/// positions uniform among those that keep the mask on the axis. The other masks are empty. Uses Philox blocks `block`
/// and `block` + 1.
SCENE_HOST_DEVICE inline void draw_masks(Mask* masks, int64_t count, int64_t widest, int64_t places, uint64_t seed,
                                         uint32_t step, uint64_t block) {
    for (int i = 0; i < max_masks; ++i) {
        masks[i] = Mask{0, 0};
        if (i >= count) continue;
        const uint64_t at = 4 * block + 2 * static_cast<uint64_t>(i);
        const int64_t fits = widest < places ? widest : places;
        masks[i].count = whole_number(random_word(seed, augmentation_stream, step, at), fits);
        masks[i].first = whole_number(random_word(seed, augmentation_stream, step, at + 1), places - masks[i].count);
    }
}

/// The partner of clip n: a cyclic shift of the batch by the same random distance for all clips, so that each is the
/// partner of one clip and never its own (unless it is alone). The pairs are random because the epoch's order is.
SCENE_HOST_DEVICE inline int32_t partner_of(int64_t n, int64_t batch, uint32_t word) {
    if (batch < 2) return static_cast<int32_t>(n);
    return static_cast<int32_t>((n + 1 + whole_number(word, batch - 2)) % batch);
}

/// The draw of clip n of a batch of `batch` clips of `frames` x `bands`.
SCENE_HOST_DEVICE inline ClipDraw draw_clip(const AugmentationSampler& sampler, uint64_t seed, uint32_t step, int64_t n,
                                            int64_t batch, int64_t frames, int64_t bands) {
    constexpr uint64_t blocks_per_clip = 6; // 0: roll, gain, mixup; 1: style; 2, 3: frequency masks; 4, 5: time masks
    const Augmentation& settings = sampler.settings;
    const PhiloxBlock common = random_block(seed, augmentation_stream, step, 0);
    const uint64_t first = 1 + blocks_per_clip * static_cast<uint64_t>(n);
    const PhiloxBlock own = random_block(seed, augmentation_stream, step, first);
    const PhiloxBlock style = random_block(seed, augmentation_stream, step, first + 1);
    ClipDraw draw;
    const int64_t shift = whole_number(own.word[0], 2 * settings.roll) - settings.roll;
    draw.roll = static_cast<int32_t>((shift % frames + frames) % frames);
    draw.gain = settings.gain * (static_cast<float>(static_cast<int32_t>(own.word[1] >> 8) - 0x800000) * 0x1p-23f);
    draw.style_partner = partner_of(n, batch, common.word[0]);
    draw.style_share = common.word[1] < sampler.style_threshold ? sampler.style.share(style.word[0]) : 1.0f;
    draw.mix_partner = partner_of(n, batch, common.word[2]);
    draw.mix_share = own.word[2] < sampler.mixup_threshold ? 1.0f - sampler.mixup.smaller_share(own.word[3]) : 1.0f;
    draw_masks(draw.frequency, settings.frequency_masks, settings.frequency_mask, bands, seed, step, first + 2);
    draw_masks(draw.time, settings.time_masks, settings.time_mask, frames, seed, step, first + 4);
    return draw;
}

} // namespace scene

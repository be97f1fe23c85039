#pragma once

// Finds clips with something wrong: missing, broken, silent, of another length or sample rate, or duplicated.

#include <atomic>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "data/formats/dataset.h"
#include "data/store/feature_store.h"

namespace scene {

struct ClipRemark {
    int32_t clip = 0; ///< index into the dataset or store
    std::string text; ///< "7.5 s", "22050 Hz", or what cannot be read
};

struct AudioAudit {
    bool complete = true;   ///< false: stopped
    bool from_files = true; ///< false: from a store's features, which show silent, duplicate and non-finite clips only
    int64_t checked = 0;    ///< clips that have a file
    std::vector<ClipRemark> missing, unreadable, silent;
    std::vector<ClipRemark> not_numbers;     ///< a store's clips with NaN or infinite features
    std::vector<ClipRemark> shorter, longer; ///< than LogMelSpec::samples at its sample rate
    std::vector<ClipRemark> other_rate;      ///< resampled by `scene prepare`
    /// Groups of two or more clips with the same sound, without the silent ones. From files: the same mono samples at
    /// the same rate (compared by a 64-bit hash). From a store: the same features (likewise).
    std::vector<std::vector<int32_t>> duplicates;
};

struct AudioAuditOptions {
    LogMelSpec spec;
    int threads = 0; ///< decoding threads; 0: all cores
    std::function<void(int64_t done, int64_t total)> progress = {};
    const std::atomic<bool>* stop = nullptr; ///< when it turns true, work stops after the current chunk
};

/// Decodes every clip of `dataset` that has a file; the others are listed as missing.
AudioAudit audit_audio(const Dataset& dataset, const AudioAuditOptions& options);
/// Audits a store's features. A clip counts as silent where all its features have the same value.
AudioAudit audit_features(const FeatureStore& store);

/// The number of test clips that have a duplicate among the training clips.
int64_t duplicates_in_training(const AudioAudit& audio, const Split& split);

} // namespace scene

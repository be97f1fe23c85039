#pragma once

// Clips that a listener would stumble over: absent, broken, silent, of another length or rate, or there twice.

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
    bool from_files = true; ///< false: from a store's features, which tell of silent and duplicate clips only
    int64_t checked = 0;    ///< clips that were there
    std::vector<ClipRemark> missing, unreadable, silent;
    std::vector<ClipRemark> not_numbers;     ///< a store's clips with NaN or infinite features
    std::vector<ClipRemark> shorter, longer; ///< than LogMelSpec::samples at its sample rate
    std::vector<ClipRemark> other_rate;      ///< resampled by `scene prepare`
    /// Groups of clips with the same sound, silent ones apart: the same samples, channels averaged, at the same rate;
    /// in a store, the same features.
    std::vector<std::vector<int32_t>> duplicates;
};

struct AudioAuditOptions {
    LogMelSpec spec;
    int threads = 0; ///< that decode; 0: all cores
    std::function<void(int64_t done, int64_t total)> progress = {};
    const std::atomic<bool>* stop = nullptr; ///< when it turns true, work stops after the current chunk
};

/// Decodes every clip of `dataset` that has a file; the others are missing.
AudioAudit audit_audio(const Dataset& dataset, const AudioAuditOptions& options);
/// Silent: every value of the clip's features is the same.
AudioAudit audit_features(const FeatureStore& store);

/// Test clips with a duplicate that trains.
int64_t duplicates_in_training(const AudioAudit& audio, const Split& split);

} // namespace scene

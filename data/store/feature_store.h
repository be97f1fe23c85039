#pragma once

// The feature store: one memory-mapped safetensors file with the log-mel features and the metadata of every clip.
//
//   tensor      type  shape
//   logmel      F32   [clips, frames, bands]   dB
//   time        F32   [clips, 8]               time_features (data/formats/record_time.h)
//   label       I32   [clips]                  index into classes; -1: unlabelled
//   city        I32   [clips]                  index into cities; -1: unknown
//   fold        I32   [clips]                  -1: none
//   has_time    U8    [clips]
//   names, sessions, devices   U8   a JSON list of strings, one per clip
//   recorded    U8    the same: "YYYY-MM-DD HH:MM:SS", or "" if unknown. The first stores lack this tensor.
//
// The header's metadata: format, version, dataset, source, fit, and log_mel, classes, cities as JSON.

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "data/formats/dataset.h"
#include "data/splits/splits.h"
#include "kernels/files/safetensors.h"
#include "kernels/log_mel/log_mel_spec.h"

namespace scene {

/// Everything in a store but the features.
struct StoreColumns {
    std::string dataset; ///< Dataset::format
    std::string source;  ///< the last component of Dataset::source
    std::string fit;     ///< "loop" or "zero": FitRule for short clips (data/audio/audio.h)
    LogMelSpec spec;
    std::vector<std::string> classes, cities;
    std::vector<std::string> names, sessions, devices; ///< [clips]
    std::vector<int32_t> label, city, fold;            ///< [clips]
    std::vector<uint8_t> has_time;                     ///< [clips]
    std::vector<float> time;                           ///< [clips, 8]
    /// [clips] "YYYY-MM-DD HH:MM:SS"; "": unknown. An empty vector means unknown for every clip.
    std::vector<std::string> recorded;

    int64_t clips() const { return static_cast<int64_t>(names.size()); }
    /// Views that live as long as the columns.
    ClipColumns clip_columns() const { return {label, fold, classes, sessions, city, cities, names}; }
};

/// The columns of a dataset, without its clips.
StoreColumns store_columns(const Dataset& dataset, const LogMelSpec& spec, const std::string& fit);
/// Appends one clip of that dataset.
void append_clip(StoreColumns& columns, const Dataset& dataset, const Clip& clip);

/// A store's file without its features: `head` (at least `minimum_head` bytes), then clips*frames*bands floats, then
/// `tail`. The caller sets the checksum in the head (set_safetensors_checksum).
struct StoreFrame {
    std::string head, tail;
};
StoreFrame store_frame(const StoreColumns& columns, size_t minimum_head = 0);

/// Writes a store from features in memory: logmel [clips, frames, bands].
void write_feature_store(const std::filesystem::path& file, const StoreColumns& columns, std::span<const float> logmel);

/// An open store. Views live as long as the object.
class FeatureStore {
public:
    /// Error: no such file, truncated, corrupted, not a store, of another version, columns that disagree.
    static FeatureStore open(const std::filesystem::path& file);

    int64_t clips() const { return columns_.clips(); }
    int classes_count() const { return static_cast<int>(columns_.classes.size()); }
    const LogMelSpec& spec() const { return columns_.spec; }
    const StoreColumns& columns() const { return columns_; }
    const std::filesystem::path& path() const { return file_.path(); }

    std::span<const float> logmel() const { return logmel_; } ///< [clips, frames, bands]
    std::span<const float> logmel(int64_t clip) const;        ///< [frames, bands]

    /// Clips with NaN or infinity among their features or times. Reads all features.
    std::vector<int64_t> clips_without_numbers() const;
    /// Error, with the first names: there are such clips.
    void require_numbers() const;

    ClipColumns clip_columns() const { return columns_.clip_columns(); }

private:
    FeatureStore(SafetensorsFile file, StoreColumns columns);

    SafetensorsFile file_;
    StoreColumns columns_;
    std::span<const float> logmel_;
};

/// A LogMelSpec as JSON text, for stores and checkpoints. Errors of the parser begin with `where`.
std::string log_mel_spec_json(const LogMelSpec& spec);
LogMelSpec parse_log_mel_spec(const std::string& json, const std::string& where);

} // namespace scene

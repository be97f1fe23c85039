#include "data/audit/audio_audit.h"

#include <algorithm>
#include <bit>
#include <exception>
#include <map>
#include <string_view>
#include <unordered_set>

#include <omp.h>

#include "data/audio/audio.h"
#include "kernels/error.h"
#include "kernels/files/fnv1a.h"

namespace scene {
namespace {

constexpr size_t chunk_clips = 64;

size_t hash_of(std::span<const float> values) {
    return std::hash<std::string_view>()({reinterpret_cast<const char*>(values.data()), values.size_bytes()});
}

/// The result of decoding one clip.
struct Decoded {
    std::string error; ///< not empty: unreadable
    int rate = 0;
    size_t samples = 0;
    Fnv1a hash; ///< of the samples
    bool silent = false;
};

/// Decodes the whole file block by block, so that memory does not grow with its length.
Decoded decode(const std::filesystem::path& file) {
    Decoded out;
    try {
        AudioDecoder decoder(file);
        out.rate = decoder.info().sample_rate;
        out.silent = true;
        for (auto block = decoder.next(); !block.empty(); block = decoder.next()) {
            out.samples += block.size();
            for (float sample : block) out.hash.add(std::bit_cast<uint32_t>(sample));
            out.silent = out.silent && is_silent(block);
        }
    } catch (const std::exception& error) { out.error = error.what(); }
    return out;
}

/// Groups clips by an identity of their sound.
template <typename Identity> class SameSounds {
public:
    void add(const Identity& identity, int32_t clip) { clips_[identity].push_back(clip); }
    /// Groups of two or more clips, ordered by their first clips.
    std::vector<std::vector<int32_t>> groups() const {
        std::vector<std::vector<int32_t>> out;
        for (const auto& [identity, clips] : clips_)
            if (clips.size() > 1) out.push_back(clips);
        std::sort(out.begin(), out.end());
        return out;
    }

private:
    std::map<Identity, std::vector<int32_t>> clips_;
};

void remark_length(AudioAudit& audit, int32_t clip, const Decoded& decoded, const LogMelSpec& spec) {
    const double seconds = static_cast<double>(decoded.samples) / decoded.rate;
    const double wanted = static_cast<double>(spec.samples) / spec.sample_rate;
    const double one_sample = 1.0 / std::min(decoded.rate, spec.sample_rate); // a rate may not divide the length
    const std::string text = fmt::format("{:.3f} s", seconds);
    if (seconds <= wanted - one_sample) audit.shorter.push_back({clip, text});
    if (seconds >= wanted + one_sample) audit.longer.push_back({clip, text});
}

} // namespace

AudioAudit audit_audio(const Dataset& dataset, const AudioAuditOptions& options) {
    using Identity = std::tuple<uint64_t, size_t, int>; // hash, samples, rate
    const size_t total = dataset.clips.size();
    const int threads = options.threads > 0 ? options.threads : omp_get_num_procs();
    AudioAudit audit;
    SameSounds<Identity> sounds;
    for (size_t begin = 0; begin < total; begin += chunk_clips) {
        if (options.stop && options.stop->load()) {
            audit.complete = false;
            return audit;
        }
        const size_t end = std::min(total, begin + chunk_clips);
        std::vector<Decoded> chunk(end - begin);
#pragma omp parallel for schedule(dynamic) num_threads(threads)
        for (size_t i = begin; i < end; ++i)
            if (!dataset.clips[i].file.empty()) chunk[i - begin] = decode(dataset.clips[i].file);
        for (size_t i = begin; i < end; ++i) {
            const auto clip = static_cast<int32_t>(i);
            const Decoded& decoded = chunk[i - begin];
            if (dataset.clips[i].file.empty()) {
                audit.missing.push_back({clip, "no audio file"});
                continue;
            }
            ++audit.checked;
            if (!decoded.error.empty()) {
                audit.unreadable.push_back({clip, decoded.error});
                continue;
            }
            remark_length(audit, clip, decoded, options.spec);
            if (decoded.rate != options.spec.sample_rate)
                audit.other_rate.push_back({clip, fmt::format("{} Hz", decoded.rate)});
            if (decoded.silent)
                audit.silent.push_back({clip, "silent"});
            else
                sounds.add({decoded.hash.hash, decoded.samples, decoded.rate}, clip);
        }
        if (options.progress) options.progress(static_cast<int64_t>(end), static_cast<int64_t>(total));
    }
    audit.duplicates = sounds.groups();
    return audit;
}

AudioAudit audit_features(const FeatureStore& store) {
    AudioAudit audit;
    audit.from_files = false;
    audit.checked = store.clips();
    SameSounds<size_t> sounds;
    const std::vector<int64_t> not_numbers = store.clips_without_numbers();
    for (int64_t clip : not_numbers) audit.not_numbers.push_back({static_cast<int32_t>(clip), "NaN"});
    for (int64_t clip = 0; clip < store.clips(); ++clip) {
        if (std::binary_search(not_numbers.begin(), not_numbers.end(), clip)) continue;
        const std::span<const float> features = store.logmel(clip);
        const bool flat = std::all_of(features.begin(), features.end(), [&](float x) { return x == features[0]; });
        if (flat)
            audit.silent.push_back({static_cast<int32_t>(clip), "silent"});
        else
            sounds.add(hash_of(features), static_cast<int32_t>(clip));
    }
    audit.duplicates = sounds.groups();
    return audit;
}

int64_t duplicates_in_training(const AudioAudit& audio, const Split& split) {
    std::unordered_set<int32_t> trains(split.labelled.begin(), split.labelled.end());
    trains.insert(split.unlabelled.begin(), split.unlabelled.end());
    const std::unordered_set<int32_t> tests(split.test.begin(), split.test.end());
    int64_t found = 0;
    for (const std::vector<int32_t>& group : audio.duplicates)
        if (std::any_of(group.begin(), group.end(), [&](int32_t clip) { return trains.contains(clip); }))
            found += std::count_if(group.begin(), group.end(), [&](int32_t clip) { return tests.contains(clip); });
    return found;
}

} // namespace scene

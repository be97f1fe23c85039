#include "data/synth/synth.h"

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <exception>
#include <string>
#include <vector>

#include <fcntl.h>
#include <omp.h>
#include <unistd.h>

#include "data/audio/audio.h"
#include "data/random_sequence.h"
#include "data/synth/synth_signal.h"
#include "kernels/error.h"
#include "kernels/files/atomic_file.h"

namespace scene {
namespace {

namespace fs = std::filesystem;

// Streams of the random draws (kernels/philox.h).
constexpr uint32_t order_stream = 0x5C3E0001, name_stream = 0x5C3E0002, slot_stream = 0x5C3E0003,
                   label_stream = 0x5C3E0004;

struct PlannedClip {
    SceneClip scene;
    std::string name, time;
    bool labelled = false;
};

void require_possible(const SynthOptions& options) {
    if (options.clips < synth_classes)
        fail("--clips {}: too few; choose at least {}, one per scene", options.clips, synth_classes);
    if (!(options.labelled >= 0 && options.labelled <= 1))
        fail("--labelled {}: not a share; choose a number from 0 to 1", options.labelled);
    if (!(options.seconds >= 0.5 && options.seconds <= 3600))
        fail("--seconds {}: choose a length from 0.5 to 3600", options.seconds);
    if (options.clips_per_session < 1)
        fail("--clips-per-session {}: choose a number from 1", options.clips_per_session);
}

/// The time of a session: the sessions of one slot share day and minute and differ in the second only.
std::string time_of(uint64_t seed, int64_t slot, int label) {
    RandomSequence random(seed, slot_stream, static_cast<uint32_t>(slot));
    const uint32_t month = 5 + random.below(5), day = 1 + random.below(28), hour = 7 + random.below(16);
    return fmt::format("2023-{:02}-{:02} {:02}:{:02}:{:02}", month, day, hour, random.below(60), 5 * label + 2);
}

int city_of(uint64_t seed, int64_t slot) {
    RandomSequence random(seed, slot_stream, static_cast<uint32_t>(slot));
    for (int i = 0; i < 4; ++i) random.next(); // the draws of time_of
    return static_cast<int>(random.below(synth_cities));
}

/// 32 hexadecimal digits and "_1", as in CAS2023.
std::string name_of_clip(uint64_t seed, int64_t clip) {
    const PhiloxBlock words = random_block(seed, name_stream, 0, static_cast<uint64_t>(clip));
    return fmt::format("{:08x}{:08x}{:08x}{:08x}_1", words.word[0], words.word[1], words.word[2], words.word[3]);
}

/// Assigns clips to scenes in turn. A slot is ten sessions, one per scene. The list is shuffled.
std::vector<PlannedClip> plan(const SynthOptions& options) {
    std::vector<PlannedClip> clips(static_cast<size_t>(options.clips));
    std::vector<std::vector<size_t>> of_class(synth_classes);
    for (int64_t i = 0; i < options.clips; ++i) {
        const int64_t slot = i / synth_classes / options.clips_per_session;
        PlannedClip& clip = clips[static_cast<size_t>(i)];
        const int label = static_cast<int>(i % synth_classes);
        clip.scene = {i, slot * synth_classes + label, label, city_of(options.seed, slot)};
        clip.name = name_of_clip(options.seed, i);
        clip.time = time_of(options.seed, slot, label);
        of_class[static_cast<size_t>(label)].push_back(static_cast<size_t>(i));
    }
    for (size_t c = 0; c < of_class.size(); ++c) {
        RandomSequence random(options.seed, label_stream, static_cast<uint32_t>(c));
        shuffle(of_class[c], random);
        const auto count =
            static_cast<size_t>(std::llround(options.labelled * static_cast<double>(of_class[c].size())));
        for (size_t k = 0; k < count; ++k) clips[of_class[c][k]].labelled = true;
    }
    RandomSequence random(options.seed, order_stream);
    shuffle(clips, random);
    return clips;
}

/// The folder of an unfinished dataset. It is removed unless commit() gives it its final name.
class UnfinishedFolder {
public:
    explicit UnfinishedFolder(const fs::path& out)
        : out_(out), path_(out.string() + ".tmp-" + std::to_string(::getpid())) {
        std::error_code error;
        fs::remove_all(path_, error);
        if (!fs::create_directory(path_, error)) fail_write(out, error.value() ? error.value() : EEXIST);
        if (!fs::create_directory(path_ / "audio", error)) fail_write(out, error.value());
    }
    ~UnfinishedFolder() {
        std::error_code ignored;
        if (!path_.empty()) fs::remove_all(path_, ignored);
    }
    UnfinishedFolder(const UnfinishedFolder&) = delete;
    UnfinishedFolder& operator=(const UnfinishedFolder&) = delete;

    const fs::path& path() const { return path_; }
    /// Flushes all files at once; flushing each would take longer than the synthesis.
    void commit() {
        const int folder = ::open(path_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        const bool flushed = folder >= 0 && ::syncfs(folder) == 0;
        const int error = errno;
        if (folder >= 0) ::close(folder);
        if (!flushed) fail_write(out_, error);
        if (::rename(path_.c_str(), out_.c_str()) != 0) fail_write(out_, errno);
        path_.clear();
    }

private:
    fs::path out_, path_;
};

void write_plainly(const fs::path& file, const std::string& bytes, const fs::path& out) {
    const int descriptor = ::open(file.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (descriptor < 0) fail_write(out, errno);
    try {
        write_at(descriptor, bytes.data(), bytes.size(), 0, out);
    } catch (...) {
        ::close(descriptor);
        throw;
    }
    if (::close(descriptor) != 0) fail_write(out, errno);
}

} // namespace

SynthReport synthesize(const fs::path& named, const SynthOptions& options) {
    require_possible(options);
    const fs::path out = named.has_filename() ? named : named.parent_path(); // "scenes/" is "scenes"
    std::error_code ignored;
    if (fs::exists(out, ignored) && !(fs::is_directory(out, ignored) && fs::is_empty(out, ignored)))
        fail("{}: exists already; choose a new folder or remove it", out.string());
    UnfinishedFolder folder(out);

    const std::vector<PlannedClip> clips = plan(options);
    const auto samples = static_cast<size_t>(std::llround(options.seconds * synth_rate));
    const int threads = options.threads > 0 ? options.threads : omp_get_num_procs();
    std::atomic<bool> stopped = false;
    std::exception_ptr broken;
    int64_t done = 0;
#pragma omp parallel for schedule(dynamic) num_threads(threads)
    for (size_t i = 0; i < clips.size(); ++i) {
        if (options.stop && options.stop->load()) stopped = true;
        if (stopped) continue;
        try {
            const std::vector<float> wave = render_scene(clips[i].scene, options.seed, samples, options.difficulty);
            write_plainly(folder.path() / "audio" / (clips[i].name + ".wav"), wav_bytes(wave, synth_rate), out);
#pragma omp critical
            if (options.progress) options.progress(++done, options.clips);
        } catch (...) {
#pragma omp critical
            broken = std::current_exception();
            stopped = true;
        }
    }
    if (broken) std::rethrow_exception(broken);
    if (stopped) return {};

    SynthReport report{true, options.clips, 0, 0};
    std::string metadata = "\xEF\xBB\xBF"
                           "filename,location,record_time,scene_label\n";
    std::string truth = "filename,true_label\n";
    for (const PlannedClip& clip : clips) {
        const std::string& label = synth_class_names[static_cast<size_t>(clip.scene.label)];
        metadata += clip.name + "," + synth_city_names[static_cast<size_t>(clip.scene.city)] + "," + clip.time + "," +
                    (clip.labelled ? label : "") + "\n";
        truth += clip.name + "," + label + "\n";
        report.labelled += clip.labelled ? 1 : 0;
        report.sessions = std::max(report.sessions, clip.scene.session + 1);
    }
    write_plainly(folder.path() / "metadata.csv", metadata, out);
    write_plainly(folder.path() / "truth.csv", truth, out);
    folder.commit();
    return report;
}

} // namespace scene

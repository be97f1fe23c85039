#include "data/store/prepare.h"

#include <algorithm>
#include <cerrno>
#include <exception>
#include <memory>
#include <new>
#include <thread>

#include <fcntl.h>
#include <omp.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "data/formats/csv.h"
#include "data/store/feature_store.h"
#include "data/store/prepare_journal.h"
#include "kernels/device_buffer.h"
#include "kernels/error.h"
#include "kernels/files/atomic_file.h"
#include "kernels/files/crc32c.h"
#include "kernels/files/fnv1a.h"

namespace scene {
namespace {

namespace fs = std::filesystem;

constexpr int64_t chunk_clips = 32;
constexpr int64_t page_bytes = 4096;

/// What the features on the disk depend on: the settings, their offset in the store, and the audio files with their
/// sizes and times.
std::string fingerprint_of(const Dataset& dataset, const PrepareOptions& options, int64_t head_bytes) {
    Fnv1a files;
    for (const Clip& clip : dataset.clips) {
        struct stat status {};
        if (::stat(clip.file.c_str(), &status) != 0) status = {};
        const int64_t facts[] = {status.st_size, status.st_mtim.tv_sec, status.st_mtim.tv_nsec};
        files.add_bytes(clip.file.c_str(), clip.file.native().size() + 1);
        if (clip.file.empty())
            files.add_bytes(clip.name.c_str(), clip.name.size() + 1); // the journal's reason names it
        files.add_bytes(facts, sizeof facts);
    }
    return fmt::format("scene.cu prepare 1, {} clips by {}, head {}, files {:016x}, fit {}, {}", dataset.clips.size(),
                       chunk_clips, head_bytes, files.hash, name_of(options.fit), log_mel_spec_json(options.spec));
}

/// The unfinished store: features at their final offset, without head and tail.
class PartialStore {
public:
    PartialStore(const fs::path& out, const fs::path& partial) : out_(out), partial_(partial) {
        std::error_code ignored;
        if (fs::is_directory(out, ignored)) fail_write(out, EISDIR);
        fresh_ = !fs::exists(partial, ignored);
        descriptor_ = ::open(partial.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
        if (descriptor_ < 0) fail_write(out, errno);
        const bool locked = ::flock(descriptor_, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK;
        if (!locked || !is_named(partial)) { // not named: the other run has just given the file its final name
            ::close(descriptor_);
            fail("{}: another `scene prepare` is writing this store; wait for it or choose another name", out.string());
        }
    }
    ~PartialStore() { ::close(descriptor_); }
    PartialStore(const PartialStore&) = delete;
    PartialStore& operator=(const PartialStore&) = delete;

    /// True if there was no such file before.
    bool fresh() const { return fresh_; }

    void reserve(int64_t bytes) {
        int error = EINTR;
        while (error == EINTR) error = ::posix_fallocate(descriptor_, 0, bytes);
        if (error == 0 || error == EOPNOTSUPP || error == EINVAL) return; // the file system cannot reserve
        if (fresh_) ::unlink(partial_.c_str());
        fail_write(out_, error);
    }
    void write(const void* data, size_t bytes, int64_t offset) { write_at(descriptor_, data, bytes, offset, out_); }
    void sync() {
        if (::fdatasync(descriptor_) != 0) fail_write(out_, errno);
    }

    /// Writes head and tail around `features` bytes of features and renames the file to its final name.
    void complete(StoreFrame frame, int64_t features) {
        const auto head_bytes = static_cast<int64_t>(frame.head.size());
        write(frame.tail.data(), frame.tail.size(), head_bytes + features);
        if (::ftruncate(descriptor_, head_bytes + features + static_cast<int64_t>(frame.tail.size())) != 0)
            fail_write(out_, errno);
        uint32_t checksum = crc32c(frame.head.data(), frame.head.size());
        checksum = checksum_of_file(head_bytes, features, checksum);
        set_safetensors_checksum(frame.head, crc32c(frame.tail.data(), frame.tail.size(), checksum));
        write(frame.head.data(), frame.head.size(), 0);
        if (::fsync(descriptor_) != 0) fail_write(out_, errno);
        if (::rename(partial_.c_str(), out_.c_str()) != 0) fail_write(out_, errno);
        sync_folder(out_.has_parent_path() ? out_.parent_path() : fs::path("."));
    }

private:
    bool is_named(const fs::path& name) const {
        struct stat open {
        }, named{};
        return ::fstat(descriptor_, &open) == 0 && ::stat(name.c_str(), &named) == 0 && open.st_ino == named.st_ino &&
               open.st_dev == named.st_dev;
    }
    uint32_t checksum_of_file(int64_t offset, int64_t bytes, uint32_t before) const {
        std::vector<char> block(4 << 20);
        while (bytes > 0) {
            const auto wanted = static_cast<size_t>(std::min<int64_t>(bytes, static_cast<int64_t>(block.size())));
            const ssize_t got = ::pread(descriptor_, block.data(), wanted, offset);
            if (got < 0 && errno == EINTR) continue;
            if (got <= 0) fail("{}: cannot be read back; check the disk and run again", partial_.string());
            before = crc32c(block.data(), static_cast<size_t>(got), before);
            offset += got;
            bytes -= got;
        }
        return before;
    }

    fs::path out_, partial_;
    int descriptor_ = -1;
    bool fresh_ = false;
};

/// Turns one chunk of clips into rows of features.
class ChunkWorker {
public:
    /// `clips`: the number in the largest chunk.
    ChunkWorker(Device& device, const PrepareOptions& options, int64_t clips)
        : device_(device), options_(options), samples_(static_cast<size_t>(options.spec.samples)),
          row_(static_cast<size_t>(options.spec.frames) * static_cast<size_t>(options.spec.bands)),
          waves_(static_cast<size_t>(clips) * samples_), features_(static_cast<size_t>(clips) * row_),
          device_waves_(device, waves_.size() * sizeof(float)),
          device_features_(device, features_.size() * sizeof(float)) {}

    /// Fills `record` and returns the features of the good clips [good, frames, bands], in order.
    std::span<const float> run(const Dataset& dataset, int64_t chunk, ChunkRecord& record) {
        const int64_t first = chunk * chunk_clips;
        const int64_t count = std::min<int64_t>(chunk_clips, static_cast<int64_t>(dataset.clips.size()) - first);
        decode(dataset, first, count);
        record = {};
        record.chunk = chunk;
        int64_t good = 0;
        for (int64_t i = 0; i < count; ++i) {
            const Outcome& outcome = outcomes_[static_cast<size_t>(i)];
            if (!outcome.reason.empty()) {
                record.bad.emplace_back(first + i, outcome.reason);
                continue;
            }
            if (outcome.silent) record.silent.push_back(first + i);
            if (outcome.longer) record.longer.push_back(first + i);
            if (outcome.ends_early) record.ends_early.push_back(first + i);
            if (good < i) std::copy_n(wave(i), samples_, wave(good));
            ++good;
        }
        if (good == 0) return {};
        const LogMelSpec& spec = options_.spec;
        device_.upload(device_waves_.data(), waves_.data(), static_cast<size_t>(good) * samples_ * sizeof(float));
        run_alone(device_,
                  LogMel<Tensor>{.out = device_features_.tensor(DType::F32, {good, spec.frames, spec.bands}),
                                 .wave = Tensor{device_waves_.data(), DType::F32, {good, spec.samples}},
                                 .spec = spec},
                  scratch_);
        const size_t values = static_cast<size_t>(good) * row_;
        device_.download(features_.data(), device_features_.data(), values * sizeof(float));
        return {features_.data(), values};
    }

private:
    struct Outcome {
        std::string reason; ///< empty: a good clip
        bool silent = false, longer = false, ends_early = false;
    };

    float* wave(int64_t i) { return waves_.data() + static_cast<size_t>(i) * samples_; }

    void decode(const Dataset& dataset, int64_t first, int64_t count) {
        outcomes_.assign(static_cast<size_t>(count), {});
        std::exception_ptr broken;
        const int threads = options_.threads > 0 ? options_.threads : omp_get_num_procs();
#pragma omp parallel for schedule(dynamic) num_threads(threads)
        for (int64_t i = 0; i < count; ++i) {
            try {
                outcomes_[static_cast<size_t>(i)] = decode_one(dataset.clips[static_cast<size_t>(first + i)], wave(i));
            } catch (...) {
#pragma omp critical
                broken = std::current_exception();
            }
        }
        if (broken) std::rethrow_exception(broken);
    }

    Outcome decode_one(const Clip& clip, float* destination) const {
        Outcome outcome;
        try {
            if (clip.file.empty()) fail("{}: no audio file; put it there or name its folder with --audio", clip.name);
            Recording heard = read_recording(clip.file, options_.spec.sample_rate, options_.spec.samples);
            outcome.silent = is_silent(heard.wave);
            outcome.longer = heard.longer;
            outcome.ends_early = heard.ends_early;
            const std::vector<float> samples = fit_length(std::move(heard.wave), options_.spec.samples, options_.fit);
            std::copy(samples.begin(), samples.end(), destination);
        } catch (const Error& error) { outcome.reason = error.what(); } catch (const std::bad_alloc&) {
            outcome.reason =
                fmt::format("{}: needs more memory than there is; use fewer --threads", clip.file.string());
        }
        return outcome;
    }

    Device& device_;
    const PrepareOptions& options_;
    size_t samples_, row_;
    std::vector<float> waves_, features_;
    DeviceBuffer device_waves_, device_features_, scratch_;
    std::vector<Outcome> outcomes_;
};

ClipProblem problem_of(const Clip& clip, const std::string& reason) {
    return {clip.file.empty() ? clip.name : clip.file.string(), clip.line, reason};
}

/// Writes the list of bad and silent clips, or removes an earlier run's list if there are none.
void write_list(PrepareReport& report, const fs::path& list) {
    if (report.bad.empty() && report.silent.empty()) {
        std::error_code ignored;
        fs::remove(list, ignored);
        return;
    }
    std::string text = "file,row,reason\n";
    for (const auto* problems : {&report.bad, &report.silent})
        for (const ClipProblem& problem : *problems)
            text +=
                csv_field(problem.file) + "," + std::to_string(problem.row) + "," + csv_field(problem.reason) + "\n";
    write_file(list, text);
    report.list = list;
}

} // namespace

PrepareReport prepare(const Dataset& dataset, const fs::path& out, Device& device, const PrepareOptions& options) {
    const auto total = static_cast<int64_t>(dataset.clips.size());
    const int64_t chunks = (total + chunk_clips - 1) / chunk_clips;
    const int64_t row_bytes = int64_t{options.spec.frames} * options.spec.bands * static_cast<int64_t>(sizeof(float));
    SCENE_CHECK(total > 0, "a dataset has clips");

    StoreColumns all = store_columns(dataset, options.spec, std::string(name_of(options.fit)));
    for (const Clip& clip : dataset.clips) append_clip(all, dataset, clip);
    const StoreFrame whole = store_frame(all);
    const int64_t head_bytes = (static_cast<int64_t>(whole.head.size()) + page_bytes - 1) / page_bytes * page_bytes;

    const fs::path partial = out.string() + ".partial", journal_file = partial.string() + ".journal";
    PartialStore store(out, partial);
    store.reserve(head_bytes + total * row_bytes + static_cast<int64_t>(whole.tail.size()));
    PrepareJournal journal(journal_file, fingerprint_of(dataset, options, head_bytes), total, chunk_clips);
    if (store.fresh() && !journal.records().empty()) journal.clear();
    if (journal.started_anew() && options.notice)
        options.notice("the audio files or the settings have changed since the interrupted run: starting anew");

    const auto first = static_cast<int64_t>(journal.records().size());
    PrepareReport report;
    report.resumed = std::min(first * chunk_clips, total);
    int64_t good = report.resumed, bad = 0;
    for (const ChunkRecord& record : journal.records()) bad += static_cast<int64_t>(record.bad.size());
    good -= bad;
    if (report.resumed > 0 && options.notice)
        options.notice(fmt::format("continuing after {} of {} clips", report.resumed, total));

    if (first < chunks) {
        ChunkWorker worker(device, options, std::min(chunk_clips, total));
        for (int64_t chunk = first; chunk < chunks; ++chunk) {
            if (options.stop && options.stop->load()) return report;
            ChunkRecord record;
            const std::span<const float> rows = worker.run(dataset, chunk, record);
            store.write(rows.data(), rows.size_bytes(), head_bytes + good * row_bytes);
            store.sync();
            journal.append(record);
            good += static_cast<int64_t>(rows.size_bytes()) / row_bytes;
            bad += static_cast<int64_t>(record.bad.size());
            if (options.progress) options.progress({std::min((chunk + 1) * chunk_clips, total), total, bad});
        }
    }

    std::vector<bool> usable(dataset.clips.size(), true);
    for (const ChunkRecord& record : journal.records()) {
        for (const auto& [clip, reason] : record.bad) {
            report.bad.push_back(problem_of(dataset.clips[static_cast<size_t>(clip)], reason));
            usable[static_cast<size_t>(clip)] = false;
        }
        for (int64_t clip : record.longer)
            report.longer.push_back(problem_of(dataset.clips[static_cast<size_t>(clip)], "longer than what is heard"));
        for (int64_t clip : record.ends_early)
            report.ends_early.push_back(problem_of(dataset.clips[static_cast<size_t>(clip)], "ends early"));
        for (int64_t clip : record.silent)
            report.silent.push_back(problem_of(dataset.clips[static_cast<size_t>(clip)], "silent; kept in the store"));
    }
    write_list(report, out.string() + ".bad.csv");
    if (!report.bad.empty() && (!options.skip_bad || good == 0))
        fail("{} of {} clips cannot be used, first {}{} ({} lists them all); mend them{}", report.bad.size(), total,
             report.bad[0].row > 0 ? fmt::format("row {}, ", report.bad[0].row) : "", report.bad[0].reason,
             report.list.string(), good == 0 ? "" : " or leave them out with --skip-bad");

    StoreColumns columns = store_columns(dataset, options.spec, std::string(name_of(options.fit)));
    for (size_t i = 0; i < dataset.clips.size(); ++i)
        if (usable[i]) append_clip(columns, dataset, dataset.clips[i]);
    StoreFrame frame = store_frame(columns, static_cast<size_t>(head_bytes));
    SCENE_CHECK(static_cast<int64_t>(frame.head.size()) == head_bytes, "fewer clips need no longer head");
    store.complete(std::move(frame), good * row_bytes);
    std::error_code ignored;
    fs::remove(journal_file, ignored);
    report.complete = true;
    report.clips = good;
    return report;
}

} // namespace scene

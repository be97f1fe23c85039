#include <csignal>
#include <fstream>

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kernels/files/json.h"
#include "model/checkpoint.h"
#include "tests/support/expect_error.h"
#include "tests/support/temporary_folder.h"
#include "tests/train/small_store.h"
#include "train/run/trainer.h"

namespace scene::test {
namespace {

const char* const exact_files[] = {
    "best_model_1.safetensors", "best_model_2.safetensors", "last.safetensors", "pseudo_labels.csv",
    "hard_samples.csv",         "predictions.csv",          "result.json"};

std::string content(const std::filesystem::path& file) {
    std::ifstream stream(file, std::ios::binary);
    EXPECT_TRUE(stream) << file;
    return {std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()};
}

/// metrics.jsonl without the timings.
std::string epochs_of(const std::filesystem::path& run) {
    std::ifstream stream(run / "metrics.jsonl");
    std::string out;
    for (std::string line; std::getline(stream, line);) {
        auto json = parse_ordered_json(line);
        json.erase("seconds");
        json.erase("clips_per_second");
        out += json.dump() + "\n";
    }
    return out;
}

enum class Death : uint8_t {
    AtOnce,   ///< by SIGKILL
    InAWrite, ///< when the next file is written, before its first byte
    MidWrite, ///< in the middle of a file of more than 1000 bytes
    MidLast,  ///< in the middle of last.safetensors, after the best model and the log were written
};

/// Ends the process at its n-th call, or in the first write after it.
class DeadlyProgress final : public Progress {
public:
    explicit DeadlyProgress(int last_call, Death death = Death::AtOnce, rlim_t model_bytes = 0)
        : left_(last_call), death_(death), model_bytes_(model_bytes) {}
    void begin(const std::string&, int64_t) override { count(); }
    void advance(int64_t) override { count(); }
    void end() override { count(); }
    void epoch(const EpochRecord&, const std::string&) override { count(); }
    void message(const std::string&) override { count(); }
    int calls() const { return calls_; }

private:
    void count() {
        ++calls_;
        if (--left_ != 0) return;
        if (death_ == Death::AtOnce) ::kill(::getpid(), SIGKILL);
        ::signal(SIGXFSZ, SIG_DFL);
        const rlimit no_core{0, 0};
        ::setrlimit(RLIMIT_CORE, &no_core);
        const rlim_t bytes = death_ == Death::InAWrite ? 1 : death_ == Death::MidWrite ? 1000 : model_bytes_ + 1000;
        const rlimit limit{bytes, bytes};
        ::setrlimit(RLIMIT_FSIZE, &limit);
    }
    int left_, calls_ = 0;
    Death death_;
    rlim_t model_bytes_;
};

class Resume : public testing::Test {
protected:
    Resume() : store_(small_store(folder_ / "store")) {
        config_.training.epochs = 2;
        config_.training.batch = 7; // a remainder in both stages
    }

    int train(const std::filesystem::path& run, int deadly_call, Death death = Death::AtOnce, rlim_t model_bytes = 0) {
        DeadlyProgress progress(deadly_call, death, model_bytes);
        const std::atomic<bool> stop{false};
        const auto device = make_cpu_device(1);
        train_system(*device, store_, split_of(store_, config_), config_, run, {progress, stop});
        return progress.calls();
    }
    /// Trains in a child process that dies at a call; true if it was killed.
    bool train_and_die(const std::filesystem::path& run, int deadly_call, Death death = Death::AtOnce,
                       rlim_t model_bytes = 0) {
        const pid_t child = ::fork();
        if (child == 0) {
            int status = 0;
            try {
                train(run, deadly_call, death, model_bytes);
            } catch (const std::exception& error) {
                fprintf(stderr, "%s\n", error.what());
                status = 1;
            }
            ::_exit(status);
        }
        int status = 0;
        ::waitpid(child, &status, 0);
        EXPECT_TRUE(WIFSIGNALED(status) || WEXITSTATUS(status) == 0);
        return WIFSIGNALED(status);
    }
    void expect_same_run(const std::filesystem::path& run, const std::filesystem::path& whole) {
        for (const char* name : exact_files) EXPECT_TRUE(content(run / name) == content(whole / name)) << name;
        EXPECT_EQ(epochs_of(run), epochs_of(whole));
        for (const auto& entry : std::filesystem::directory_iterator(run))
            EXPECT_EQ(entry.path().string().find(".tmp-"), std::string::npos) << entry.path();
    }

    TemporaryFolder folder_;
    FeatureStore store_;
    RunConfig config_ = small_config(4);
};

TEST_F(Resume, KilledAtAnyStepOfTheRunEndsWithTheSameBits) {
    const int calls = train(folder_ / "whole", -1);
    ASSERT_GT(calls, 60);
    int kills = 0;
    for (int part = 1; part <= 9; ++part) { // one run, killed again and again
        kills += train_and_die(folder_ / "run", calls / 10 + part, {});
    }
    EXPECT_GE(kills, 4);
    train(folder_ / "run", -1);
    expect_same_run(folder_ / "run", folder_ / "whole");
}

/// A file size limit ends the process when it writes a byte beyond the limit.
TEST_F(Resume, KilledInTheMiddleOfAFileEndsWithTheSameBits) {
    const int calls = train(folder_ / "whole", -1);
    const auto model_bytes =
        static_cast<rlim_t>(std::filesystem::file_size(folder_ / "whole/best_model_1.safetensors"));
    ASSERT_GT(std::filesystem::file_size(folder_ / "whole/last.safetensors"), model_bytes + 1000);
    int part = 0;
    for (const Death death : {Death::InAWrite, Death::MidWrite, Death::MidLast, Death::MidLast, Death::MidWrite})
        EXPECT_TRUE(train_and_die(folder_ / "run", calls / 10 + ++part, death, model_bytes));
    train(folder_ / "run", -1);
    expect_same_run(folder_ / "run", folder_ / "whole");
}

/// The clips of later stages, and so the size of the last batch, are known only after the stage before.
TEST_F(Resume, KilledInRoundsOfChosenPseudoLabels) {
    config_.training.stages = 3;
    config_.training.hard_confidence = Confidence::Entropy;
    config_.pseudo.threshold = 0.33; // all labels of three classes reach it
    config_.pseudo.class_cap = 5;
    config_.pseudo.labels = PseudoSettings::Labels::Soft;
    config_.pseudo.weights = PseudoSettings::Weights::Confidence;
    const int calls = train(folder_ / "whole", -1);
    EXPECT_TRUE(std::filesystem::exists(folder_ / "whole" / "best_model_3.safetensors"));
    int kills = 0;
    for (int part = 1; part <= 9; ++part) kills += train_and_die(folder_ / "run", calls / 10 + part, {});
    EXPECT_GE(kills, 4);
    train(folder_ / "run", -1);
    expect_same_run(folder_ / "run", folder_ / "whole");
    EXPECT_TRUE(content(folder_ / "run" / "best_model_3.safetensors") ==
                content(folder_ / "whole" / "best_model_3.safetensors"));
}

TEST_F(Resume, WithAugmentationToo) {
    config_.augmentation = load_config("", {"augmentation.preset=panns", "augmentation.mixstyle_alpha=0.3",
                                            "augmentation.roll_seconds=0.1", "augmentation.gain_db=6"})
                               .augmentation;
    const int calls = train(folder_ / "whole", -1);
    int kills = 0;
    for (int part = 1; part <= 5; ++part) kills += train_and_die(folder_ / "run", calls / 5 + part, {});
    EXPECT_GE(kills, 2);
    train(folder_ / "run", -1);
    expect_same_run(folder_ / "run", folder_ / "whole");
}

/// Killed after a better model and its log line were written, and before last.safetensors. The first epoch of a stage
/// is always the best so far.
TEST_F(Resume, KilledBetweenTheBestModelAndTheLast) {
    config_ = small_config(2);
    config_.training.epochs = 2;
    train(folder_ / "whole", -1);
    Recorder recorder;
    const auto last = folder_ / "run" / "last.safetensors";
    recorder.after_epoch = [&](const EpochRecord& record) {
        if (record.stage == 1 && record.epoch == 2) std::filesystem::copy_file(last, folder_ / "first");
        if (record.stage == 2 && record.epoch == 1) throw std::runtime_error("dies");
    };
    const std::atomic<bool> stop{false};
    const auto device = make_cpu_device(1);
    EXPECT_THROW(train_system(*device, store_, split_of(store_, config_), config_, folder_ / "run", {recorder, stop}),
                 std::runtime_error);
    ASSERT_TRUE(std::filesystem::exists(folder_ / "run" / "best_model_2.safetensors"));
    std::filesystem::rename(folder_ / "first", last);
    std::ofstream(folder_ / "run" / "metrics.jsonl", std::ios::app) << "{\"stage\":1,\"ep"; // a truncated line
    train(folder_ / "run", -1);
    for (const char* name : exact_files) {
        if (std::string(name) == "hard_samples.csv") continue; // System #2 has none
        EXPECT_TRUE(content(folder_ / "run" / name) == content(folder_ / "whole" / name)) << name;
    }
    EXPECT_EQ(epochs_of(folder_ / "run"), epochs_of(folder_ / "whole"));
}

/// The best model is written before last.safetensors, so that no epoch is complete without its model.
TEST_F(Resume, AnEpochWhoseBestModelCannotBeWrittenIsDoneAgain) {
    config_ = small_config(2);
    config_.training.epochs = 1;
    train(folder_ / "whole", -1);
    const auto in_the_way = folder_ / "run" / "best_model_2.safetensors";
    std::filesystem::create_directories(in_the_way);
    EXPECT_TRUE(fails_with([&] { train(folder_ / "run", -1); }, {in_the_way.string(), "a folder of that name"}));
    std::filesystem::remove(in_the_way);
    train(folder_ / "run", -1);
    for (const char* name : {"best_model_2.safetensors", "last.safetensors", "predictions.csv", "result.json"})
        EXPECT_TRUE(content(folder_ / "run" / name) == content(folder_ / "whole" / name)) << name;
    EXPECT_EQ(epochs_of(folder_ / "run"), epochs_of(folder_ / "whole"));
}

} // namespace
} // namespace scene::test

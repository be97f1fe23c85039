#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "kernels/hard_sample_weights/confidence.h"
#include "kernels/runtime.h"
#include "model/model_config.h"
#include "train/config/augmentation.h"

namespace scene {

struct SplitOptions;

/// Whether city and time join the audio: Auto means "where the store knows a city or a time".
enum class Multimodal : uint8_t { Auto, On, Off };

/// [model] in the file. The rest of a network's shape (classes, frames, bands, cities) comes from the store.
struct ModelSettings {
    const Network* network = &fcnn;
    double width = 1; ///< > 0; scales the convolutions' channels, 1 is the paper's
    bool deltas = false;
    Multimodal multimodal = Multimodal::Auto;
    double conv_dropout = 0.2;    ///< [0, 1)
    double encoder_dropout = 0.1; ///< [0, 1)

    bool operator==(const ModelSettings&) const = default;
};

/// Which balanced accuracy on the validation clips chooses the epoch, and stops early, from stage 2 on. Stage 1 has
/// true labels only.
enum class ChooseBy : uint8_t {
    Labelled, ///< on truly labelled clips only
    Paper,    ///< the paper's: on all clips, with pseudo labels as truth
};

/// What is held out of the training clips to choose epochs by.
enum class Validation : uint8_t {
    Auto,     ///< what the split keeps whole (sessions, cities), where every class has several; else clips
    Clips,    ///< the paper's: clips of every class; they share recording sessions with the training
    Sessions, ///< whole recording sessions
    Cities,
};

/// Stages a run can have: the first, and rounds of pseudo labels.
constexpr int64_t most_stages = 9;

/// [training] in the file.
struct TrainingSettings {
    int64_t batch = 64;          ///< >= 1
    int64_t epochs = 20;         ///< of each stage, at most; >= 1
    double learning_rate = 1e-4; ///< > 0
    double decay = 0.9;          ///< (0, 1]: the learning rate is multiplied by it every `decay_every` epochs
    int64_t decay_every = 2;     ///< >= 1
    int64_t early_stop = 10;     ///< epochs without a better validation score; 0: never stop early
    double weight_decay = 0;     ///< Adam's L2, >= 0
    double label_smoothing = 0.1;
    bool hard_samples = true;
    Confidence hard_confidence = Confidence::MaxSoftmax; ///< of the teacher, behind weights and list
    double hard_threshold = 0.7;                         ///< clips below this confidence are listed as hard; [0, 1]
    std::string teacher = "train"; ///< of the hard-sample weights: "train" a System #1 first, or a checkpoint's path
    std::string init;              ///< checkpoint, run or PyTorch weights to start stage 1 from; empty: first values
    double validation_share = 0.2; ///< of the training clips; (0, 1)
    Validation validation = Validation::Auto;
    int64_t stages = 2; ///< 1: labelled clips only; 2: then pseudo labels; up to most_stages: new ones for each
    uint64_t seed = 1234;
    ChooseBy choose_by = ChooseBy::Labelled;
    double decoupled_decay = 0; ///< AdamW's, of weights alone, not of biases and norms; >= 0

    bool operator==(const TrainingSettings&) const = default;
};

/// [pseudo] in the file: which pseudo labels the stages after the first use, and how. The defaults are the paper's.
struct PseudoSettings {
    enum class Labels : uint8_t {
        Hard, ///< the most probable class
        Soft, ///< the whole distribution
    };
    enum class Weights : uint8_t {
        None,
        Confidence, ///< a clip's weight is multiplied by its label's confidence, then all are scaled to mean 1 again
    };
    double threshold = 0;  ///< less confident labels are not used; [0, 1)
    int64_t class_cap = 0; ///< clips of each class that train, the most confident first; 0: all
    Labels labels = Labels::Hard;
    Weights weights = Weights::None;

    bool operator==(const PseudoSettings&) const = default;
};

/// [split] in the file: which clips train and which test; data/splits/splits.h explains the names.
struct SplitSettings {
    std::string name = "simulation";
    uint64_t seed = 1234;
    double labelled_share = 0.2; ///< (0, 1]: share of the training clips that keep their label, where the split says so
    double test_share = 0.5;     ///< (0, 1): share of the labelled clips that test, where whole sessions or cities do
    std::string cities;          ///< split "city": those that test, "Hefei, Jinan"; empty: drawn
    std::string train_list, test_list; ///< split "official": files with the names of the clips

    bool operator==(const SplitSettings&) const = default;
};

/// As make_split (data/splits/splits.h) takes them.
SplitOptions split_options(const SplitSettings& settings);

/// [runtime] in the file: where and how it runs. A run goes on with another device or number of threads; everything
/// else decides the bits that a GPU computes, and is a part of what a run is.
struct RuntimeSettings {
    DeviceChoice device = DeviceChoice::Auto;
    Precision precision = Precision::Fp32;
    bool deterministic = true;                 ///< on a GPU: the same bits run after run; a CPU always gives them
    Fusions fusions = Fusions::Quickest;       ///< on a GPU, in fp16: convolutions with a batch norm's work in them
    Autotune autotune = Autotune::Precompiled; ///< on a GPU: the engines to choose from
    int64_t threads = 0;                       ///< 0: all cores

    bool operator==(const RuntimeSettings&) const = default;
};

/// Everything a run can be told. `system` "1" to "4" are the paper's systems and decide the defaults of
/// model.network, training.hard_samples and training.label_smoothing (another value makes a variant); any other
/// name of letters, digits, '.',
/// '_' and '-' starts from System #4.
struct RunConfig {
    std::string system = "4";
    ModelSettings model;
    TrainingSettings training;
    PseudoSettings pseudo;
    AugmentationSettings augmentation;
    SplitSettings split;
    RuntimeSettings runtime;

    bool operator==(const RunConfig&) const = default;
};

/// The paper's System #1 to #4 with everything else at its default.
RunConfig system_config(int number);

/// `config` with what makes it System `number`: name, architecture, hard samples, smoothing (its own, where the
/// system smooths and `config` does too, else 0.1). Settings the systems share stay; training.init goes where the
/// architecture changes.
RunConfig as_system(RunConfig config, int number);

/// `config` as System `number` of a table: as_system, but where `config` is a variant of a paper's system, what was
/// changed holds for all of the table.
RunConfig as_table_system(const RunConfig& config, int number);

/// What every output calls the system: "4"; "2 variant (label_smoothing=0.1)" where one of the three values that
/// make a paper's system (architecture, hard_samples, label_smoothing) is not its own; any other name as it is.
std::string system_title(const RunConfig& config);

/// Defaults < the TOML file (may be empty: none) < `overrides`, each "section.key=value" with a TOML value (quotes
/// around a plain word may be left out). augmentation.preset counts before the other keys of [augmentation] in the same
/// place, and after all of them in a place before. Fails in one line that names file or override, key, value and what
/// is allowed.
RunConfig load_config(const std::filesystem::path& file, const std::vector<std::string>& overrides = {});

/// What load_config refuses may also be set without it. Throws Error that names the key and what is allowed.
void check_config(const RunConfig& config);

/// The configuration as a TOML file that load_config reads back to an equal RunConfig.
std::string to_toml(const RunConfig& config);

/// "training.batch = 64 (was 32)" for every setting in which two runs differ; runtime.device and
/// runtime.threads do not count.
std::vector<std::string> differences(const RunConfig& before, const RunConfig& now);

/// "section.key" of every setting, in the order of the file.
std::vector<std::string> config_keys();

/// Of the library that parses the files, "3.3.0".
std::string toml_library_version();

} // namespace scene

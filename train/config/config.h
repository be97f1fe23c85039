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

/// Whether city and time are inputs of the model. Auto: if the store has a city or a time for some clip.
enum class Multimodal : uint8_t { Auto, On, Off };

/// [model] in the configuration file. The other hyperparameters (classes, frames, bands, cities) come from the store.
struct ModelSettings {
    const Network* network = &fcnn; ///< model.architecture
    double width = 1;               ///< (0, 16]; scales the channels of the convolutions, 1 is the paper's network
    bool deltas = false;
    Multimodal multimodal = Multimodal::Auto;
    double conv_dropout = 0.2;    ///< [0, 1)
    double encoder_dropout = 0.1; ///< [0, 1)

    bool operator==(const ModelSettings&) const = default;
};

/// The balanced accuracy that selects the best epoch and stops early, from stage 2 on. In stage 1 all validation clips
/// have true labels, and the two are the same.
enum class ChooseBy : uint8_t {
    Labelled, ///< on the validation clips with true labels
    Paper,    ///< as in the paper: on all validation clips, with pseudo labels as truth
};

/// How the validation clips are held out of the training clips.
enum class Validation : uint8_t {
    Auto,     ///< whole sessions or cities if the split keeps them whole and every class has several; else clips
    Clips,    ///< as in the paper: a share of every class; the clips share recording sessions with the training
    Sessions, ///< whole recording sessions
    Cities,   ///< whole cities
};

/// The most stages of a run: one on labelled clips, the others with pseudo labels.
constexpr int64_t most_stages = 9;

/// [training] in the configuration file.
struct TrainingSettings {
    int64_t batch = 64;           ///< clips; [1, 65536]
    int64_t epochs = 20;          ///< at most, per stage; >= 1
    double learning_rate = 1e-4;  ///< (0, 10]
    double decay = 0.9;           ///< factor of the learning rate every `decay_every` epochs; (0, 1]
    int64_t decay_every = 2;      ///< >= 1
    int64_t early_stop = 10;      ///< patience: epochs without a better validation score; 0: never stop early
    double weight_decay = 0;      ///< Adam's L2; >= 0
    double label_smoothing = 0.1; ///< [0, 1)
    bool hard_samples = true;     ///< weights by the teacher's confidence, equation (1) of the paper
    Confidence hard_confidence = Confidence::MaxSoftmax; ///< the measure of the teacher's confidence
    double hard_threshold = 0.7;   ///< clips with a lower confidence are listed in hard_samples.csv; [0, 1]
    std::string teacher = "train"; ///< "train": train a System #1 first; else the path of a checkpoint
    std::string init;              ///< checkpoint, run folder or PyTorch weights to initialise from; empty: random
    double validation_share = 0.2; ///< of the training clips; (0, 1)
    Validation validation = Validation::Auto;
    int64_t stages = 2; ///< 1: labelled clips only; each further stage adds new pseudo labels; at most most_stages
    uint64_t seed = 1234;
    ChooseBy choose_by = ChooseBy::Labelled;
    double decoupled_decay = 0; ///< AdamW's weight decay, of weights and not of biases and norms; >= 0

    bool operator==(const TrainingSettings&) const = default;
};

/// [pseudo] in the configuration file: which pseudo labels the stages after the first use, and how. The defaults are
/// the paper's.
struct PseudoSettings {
    enum class Labels : uint8_t {
        Hard, ///< the most probable class
        Soft, ///< the whole distribution
    };
    enum class Weights : uint8_t {
        None,       ///< pseudo labels weigh as much as true labels
        Confidence, ///< a clip's weight is multiplied by its label's confidence; then all are scaled to mean 1
    };
    double threshold = 0;  ///< labels of lower confidence are not used; [0, 1)
    int64_t class_cap = 0; ///< at most so many training clips per class, the most confident ones; 0: all
    Labels labels = Labels::Hard;
    Weights weights = Weights::None;

    bool operator==(const PseudoSettings&) const = default;
};

/// [split] in the configuration file: which clips train and which test; data/splits/splits.h explains the names.
struct SplitSettings {
    std::string name = "simulation"; ///< or the path of a split.json
    uint64_t seed = 1234;
    double labelled_share = 0.2;       ///< splits "fold:K": share of the training clips that keep their label; (0, 1]
    double test_share = 0.5;           ///< splits "session" and "city": share of the labelled clips that test; (0, 1)
    std::string cities;                ///< split "city": the test cities, "Hefei, Jinan"; empty: drawn
    std::string train_list, test_list; ///< split "official": files with the names of the clips

    bool operator==(const SplitSettings&) const = default;
};

/// The arguments of make_split (data/splits/splits.h).
SplitOptions split_options(const SplitSettings& settings);

/// [runtime] in the configuration file: where and how the run computes. A run may resume with another device, number
/// of threads or time to autotune. The other settings determine the bits that a GPU computes, and must be the same.
struct RuntimeSettings {
    DeviceChoice device = DeviceChoice::Auto;
    Precision precision = Precision::Fp32;
    bool deterministic = true;                 ///< the same bits run after run; on a CPU that is always so
    Fusions fusions = Fusions::Quickest;       ///< of convolution and batch norm; on a GPU
    Autotune autotune = Autotune::Precompiled; ///< the cuDNN engines to choose from; on a GPU
    int64_t autotune_seconds = -1;             ///< for each step; 0: no limit; -1: default_autotune_seconds
    int64_t threads = 0;                       ///< 0: all cores

    bool operator==(const RuntimeSettings&) const = default;
};

/// The configuration of a run. `system` "1" to "4" are the paper's systems: they set the defaults of model.network,
/// training.hard_samples and training.label_smoothing; with another value of these a run is a variant. Any other name,
/// of letters, digits, '.', '_' and '-', has the defaults of System #4.
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

/// `config` turned into System `number`: name, architecture, hard samples and label smoothing. System #4 keeps the
/// smoothing of `config` if that is above 0, else it has 0.1; the others have none. All other settings stay, but
/// training.init is cleared if the architecture changes.
RunConfig as_system(RunConfig config, int number);

/// `config` as System `number` of a table: as_system, but if `config` is a variant of a paper's system, its changes
/// apply to every system of the table.
RunConfig as_table_system(const RunConfig& config, int number);

/// The system's name in all outputs: "4", or "2 variant (label_smoothing=0.1)" if architecture, hard_samples or
/// label_smoothing differ from the paper's system; any other name unchanged.
std::string system_title(const RunConfig& config);

/// Defaults, overridden by the TOML file (an empty path: none), overridden by `overrides`: each "section.key=value"
/// with a TOML value; quotes around a string may be left out. augmentation.preset is applied before the other keys of
/// [augmentation] from the same source, so a preset in `overrides` replaces all of the file's. Throws Error with one
/// line that names file or override, key, value and what is allowed.
RunConfig load_config(const std::filesystem::path& file, const std::vector<std::string>& overrides = {});

/// Applies the checks of load_config to a configuration whose fields were set directly. Throws Error that names the key
/// and what is allowed.
void check_config(const RunConfig& config);

/// The configuration as a TOML file that load_config reads back to an equal RunConfig.
std::string to_toml(const RunConfig& config);

/// "training.batch = 64 (was 32)" for every setting in which two runs differ, except runtime.device and
/// runtime.threads.
std::vector<std::string> differences(const RunConfig& before, const RunConfig& now);

/// "section.key" of every setting, in the order of the file.
std::vector<std::string> config_keys();

/// The version of toml++, "3.3.0".
std::string toml_library_version();

} // namespace scene

#include "train/config/config.h"

#include <fstream>

#include <gtest/gtest.h>

#include "data/splits/splits.h"
#include "model/networks/network.h"
#include "tests/support/expect_error.h"
#include "tests/support/temporary_folder.h"

namespace scene::test {
namespace {

class ConfigFile {
public:
    explicit ConfigFile(const std::string& content) : path_(folder_ / "run.toml") { std::ofstream(path_) << content; }
    const std::filesystem::path& path() const { return path_; }

private:
    TemporaryFolder folder_;
    std::filesystem::path path_;
};

TEST(Config, SystemsAreThePapers) {
    const RunConfig one = system_config(1), two = system_config(2), three = system_config(3), four = system_config(4);
    EXPECT_EQ(one.model.network, &se_trans);
    EXPECT_EQ(two.model.network, &fcnn);
    EXPECT_FALSE(one.training.hard_samples);
    EXPECT_FALSE(two.training.hard_samples);
    EXPECT_TRUE(three.training.hard_samples);
    EXPECT_TRUE(four.training.hard_samples);
    EXPECT_EQ(one.training.label_smoothing, 0);
    EXPECT_EQ(three.training.label_smoothing, 0);
    EXPECT_EQ(four.training.label_smoothing, 0.1);
    EXPECT_EQ(four.training.batch, 64);
    EXPECT_EQ(four.training.epochs, 20);
    EXPECT_EQ(four.training.learning_rate, 1e-4);
    EXPECT_EQ(load_config(""), four);
}

TEST(Config, CommittedFilesAreTheSystems) {
    for (int number = 1; number <= 4; ++number) {
        const auto file = "configs/system" + std::to_string(number) + ".toml";
        EXPECT_EQ(load_config(file), system_config(number)) << file;
    }
    EXPECT_EQ(load_config("configs/demo.toml").system, "4");
    const RunConfig augmented = load_config("configs/augmented.toml"); // its keys repeat the values of its preset
    EXPECT_EQ(augmented.augmentation, load_config("", {"augmentation.preset=dcase2024"}).augmentation);
    EXPECT_EQ(augmented.training, system_config(4).training);
}

TEST(Config, EveryCommittedFileLoads) {
    size_t files = 0;
    for (const auto& entry : std::filesystem::directory_iterator("configs")) {
        EXPECT_EQ(entry.path().extension(), ".toml") << entry.path();
        EXPECT_NO_THROW(load_config(entry.path())) << entry.path();
        ++files;
    }
    EXPECT_GE(files, 7u);
}

/// The recommended configuration differs from System #4 only in the training.
TEST(Config, RecommendedIsSystem4TrainedMore) {
    const RunConfig paper = system_config(4);
    RunConfig recommended = load_config("configs/recommended.toml");
    EXPECT_GT(recommended.training.learning_rate, paper.training.learning_rate);
    EXPECT_GT(recommended.training.epochs, paper.training.epochs);
    EXPECT_NE(recommended, paper);
    recommended.training.batch = paper.training.batch;
    recommended.training.epochs = paper.training.epochs;
    recommended.training.learning_rate = paper.training.learning_rate;
    recommended.training.decay = paper.training.decay;
    recommended.training.decay_every = paper.training.decay_every;
    EXPECT_EQ(recommended, paper);
}

TEST(Config, OverridesBeatTheFileAndTheFileBeatsDefaults) {
    const ConfigFile file("system = \"2\"\n[training]\nepochs = 7\nbatch = 32\n[split]\nname = \"experiment\"\n");
    const RunConfig config = load_config(file.path(), {"training.epochs=3", "split.name=fold:2", "model.width = 0.25"});
    EXPECT_EQ(config.training.epochs, 3);
    EXPECT_EQ(config.training.batch, 32);
    EXPECT_EQ(config.split.name, "fold:2");
    EXPECT_EQ(config.model.width, 0.25);
    EXPECT_FALSE(config.training.hard_samples);
    EXPECT_EQ(load_config("", {"system=1"}), system_config(1));
    EXPECT_EQ(load_config("", {"training.learning_rate=1"}).training.learning_rate, 1.0);
    EXPECT_EQ(load_config("", {"training.teacher=\"a b.safetensors\""}).training.teacher, "a b.safetensors");
    EXPECT_EQ(load_config("", {"training.teacher=a\\b \"c\""}).training.teacher, "a\\b \"c\"");
    EXPECT_TRUE(fails_with([] { load_config("", {"split.cities=Jin\xD2n"}); }, {"--set split.cities=", "not allowed"}))
        << "a configuration is UTF-8";
}

TEST(Config, ReadsBackWhatItWrites) {
    RunConfig config = system_config(3);
    config.system = "my-run.2";
    config.model = {&se_trans, 0.37, true, Multimodal::Off, 0.123456789012345, 0.0};
    config.training = {7,
                       3,
                       1.0 / 3,
                       0.5,
                       3,
                       0,
                       1e-5,
                       0.25,
                       false,
                       Confidence::Entropy,
                       1.0,
                       "C:\\\"x\".safetensors",
                       "pre trained",
                       0.1,
                       Validation::Cities,
                       1,
                       99,
                       ChooseBy::Paper,
                       0.0625};
    config.pseudo = {0.5, 12, PseudoSettings::Labels::Soft, PseudoSettings::Weights::Confidence};
    config.augmentation = {"panns", 0.1, 0.25, 2.0 / 3, 0.5, 0, 1.0, 4, 0.3, 0.75, 59.5};
    config.split = {"fold:4", 17, 1.0, 0.25, "Hefei, Xi'an", "train list.csv", "test.csv"};
    config.runtime = {DeviceChoice::Cpu, Precision::Fp16, false, Fusions::Never, Autotune::Full, 3};
    const ConfigFile file(to_toml(config));
    EXPECT_EQ(load_config(file.path()), config);
    EXPECT_EQ(to_toml(load_config(file.path())), to_toml(config));
}

/// Command-line flags set fields directly, without the checks of load_config.
TEST(Config, WhatTheFileCouldNotHoldIsRefused) {
    RunConfig config = system_config(4);
    EXPECT_NO_THROW(check_config(config));
    config.split.cities = "Xi'an, \"Jinan\"";
    EXPECT_NO_THROW(check_config(config));
    for (const char* text : {"a\nb.csv", "J\xED\xA0.csv"}) {
        for (std::string* field : {&config.split.train_list, &config.split.test_list, &config.split.cities,
                                   &config.split.name, &config.training.init}) {
            const std::string before = *field;
            *field = text;
            EXPECT_TRUE(fails_with([&] { check_config(config); }, {"is not allowed; give "})) << text;
            *field = before;
        }
    }
    config.training.epochs = 0;
    EXPECT_TRUE(fails_with([&] { check_config(config); }, {"training.epochs = 0 is not allowed"}));
}

TEST(Config, EveryKeyCanBeOverridden) {
    const std::string text = to_toml(system_config(4));
    for (const std::string& key : config_keys()) {
        const std::string name = key.substr(key.rfind('.') + 1) + " = ";
        const size_t begin = text.find("\n" + name) == std::string::npos ? 0 : text.find("\n" + name) + 1;
        const size_t value = begin + name.size();
        EXPECT_NO_THROW(load_config("", {key + "=" + text.substr(value, text.find('\n', value) - value)})) << key;
    }
}

TEST(Config, WrongValuesInTheFileNameFileLineKeyAndWhatIsAllowed) {
    const struct {
        const char *line, *key, *value, *allowed;
    } cases[] = {
        {"[training]\nbatch = 0", "training.batch", "0", "from 1"},
        {"[training]\nbatch = 1.5", "training.batch", "1.5", "whole number"},
        {"[training]\nbatch = \"64\"", "training.batch", "64", "whole number"},
        {"[training]\nepochs = 0", "training.epochs", "0", "from 1"},
        {"[training]\nlearning_rate = 0", "training.learning_rate", "0", "above 0"},
        {"[training]\nlearning_rate = -1e-4", "training.learning_rate", "-0.0001", "above 0"},
        {"[training]\nlearning_rate = nan", "training.learning_rate", "nan", "above 0"},
        {"[training]\ndecay = 1.1", "training.decay", "1.1", "at most 1"},
        {"[training]\ndecay_every = 0", "training.decay_every", "0", "from 1"},
        {"[training]\nearly_stop = -1", "training.early_stop", "-1", "from 0"},
        {"[training]\nweight_decay = -0.1", "training.weight_decay", "-0.1", "0 or more"},
        {"[training]\nlabel_smoothing = 1.0", "training.label_smoothing", "1", "below 1"},
        {"[training]\nlabel_smoothing = -0.1", "training.label_smoothing", "-0.1", "from 0"},
        {"[training]\nhard_samples = 1", "training.hard_samples", "1", "true or false"},
        {"[training]\nhard_threshold = 1.5", "training.hard_threshold", "1.5", "at most 1"},
        {"[training]\nteacher = \"\"", "training.teacher", "", "checkpoint"},
        {"[training]\nvalidation_share = 1", "training.validation_share", "1", "below 1"},
        {"[training]\nvalidation_share = 0", "training.validation_share", "0", "above 0"},
        {"[training]\nvalidation = \"random\"", "training.validation", "random", "\"auto\", \"clips\""},
        {"[training]\nstages = 10", "training.stages", "10", "from 1 to 9"},
        {"[training]\nhard_confidence = \"max\"", "training.hard_confidence", "max", "max-softmax"},
        {"[pseudo]\nthreshold = 1.0", "pseudo.threshold", "1", "below 1"},
        {"[pseudo]\nclass_cap = -1", "pseudo.class_cap", "-1", "from 0"},
        {"[pseudo]\nlabels = \"firm\"", "pseudo.labels", "firm", "soft"},
        {"[pseudo]\nweights = true", "pseudo.weights", "true", "confidence"},
        {"[training]\nchoose_by = \"pseudo\"", "training.choose_by", "pseudo", "\"labelled\", \"paper\""},
        {"[training]\nseed = -1", "training.seed", "-1", "from 0"},
        {"[model]\nwidth = 0", "model.width", "0", "above 0"},
        {"[model]\nwidth = inf", "model.width", "inf", "above 0"},
        {"[model]\nconv_dropout = 1", "model.conv_dropout", "1", "below 1"},
        {"[model]\nencoder_dropout = -0.5", "model.encoder_dropout", "-0.5", "from 0"},
        {"[model]\narchitecture = \"resnet\"", "model.architecture", "resnet", "\"se-trans\", \"fcnn\""},
        {"[model]\nmultimodal = true", "model.multimodal", "true", "\"auto\", \"on\", \"off\""},
        {"[model]\ndeltas = \"yes\"", "model.deltas", "yes", "true or false"},
        {"[augmentation]\npreset = \"strong\"", "augmentation.preset", "strong", "\"none\", \"dcase2024\""},
        {"[augmentation]\npreset = 3", "augmentation.preset", "3", "\"none\""},
        {"[augmentation]\nmixup_alpha = -0.5", "augmentation.mixup_alpha", "-0.5", "from 0"},
        {"[augmentation]\nmixup_probability = 1.01", "augmentation.mixup_probability", "1.01", "at most 1"},
        {"[augmentation]\nmixstyle_alpha = nan", "augmentation.mixstyle_alpha", "nan", "from 0"},
        {"[augmentation]\nmixstyle_probability = -0.1", "augmentation.mixstyle_probability", "-0.1", "from 0"},
        {"[augmentation]\nfrequency_masks = 5", "augmentation.frequency_masks", "5", "from 0 to 4"},
        {"[augmentation]\nfrequency_mask_share = 1.5", "augmentation.frequency_mask_share", "1.5", "at most 1"},
        {"[augmentation]\ntime_masks = -1", "augmentation.time_masks", "-1", "from 0 to 4"},
        {"[augmentation]\ntime_mask_share = 200", "augmentation.time_mask_share", "200", "at most 1"},
        {"[augmentation]\nroll_seconds = -1", "augmentation.roll_seconds", "-1", "from 0"},
        {"[augmentation]\ngain_db = \"loud\"", "augmentation.gain_db", "loud", "at most 60"},
        {"[split]\nlabelled_share = 0", "split.labelled_share", "0", "above 0"},
        {"[split]\ntest_share = 1", "split.test_share", "1", "below 1"},
        {"[split]\ncities = [\"Hefei\"]", "split.cities", "Hefei", "commas"},
        {"[split]\nname = 4", "split.name", "4", "simulation"},
        {"[runtime]\ndevice = \"tpu\"", "runtime.device", "tpu", "cpu"},
        {"[runtime]\nprecision = \"fp8\"", "runtime.precision", "fp8", "fp32"},
        {"[runtime]\nautotune = \"all\"", "runtime.autotune", "all", "full"},
        {"[runtime]\nautotune_seconds = -2", "runtime.autotune_seconds", "-2", "from -1"},
        {"[runtime]\nthreads = -2", "runtime.threads", "-2", "from 0"},
        {"\nsystem = \"\"", "system", "", "letters"},
        {"\nsystem = \"a/b\"", "system", "a/b", "letters"},
        {"\nsystem = [1, 2]", "system", "[ 1, 2 ]", "letters"},
    };
    for (const auto& one : cases) {
        const ConfigFile file(one.line);
        EXPECT_TRUE(fails_with([&] { load_config(file.path()); },
                               {file.path().string() + ":2: ", one.key, one.value, one.allowed}))
            << one.line;
    }
}

TEST(Config, WrongOverridesAreNamed) {
    EXPECT_TRUE(fails_with([] { load_config("", {"training.batch=0"}); }, {"--set training.batch=0", "from 1"}));
    EXPECT_TRUE(
        fails_with([] { load_config("", {"training.batch=many"}); }, {"training.batch = many", "whole number"}));
    EXPECT_TRUE(fails_with([] { load_config("", {"training.batch="}); }, {"training.batch", "whole number"}));
    EXPECT_TRUE(fails_with([] { load_config("", {"training.batch"}); }, {"--set training.batch", "section.key=value"}));
    EXPECT_TRUE(fails_with([] { load_config("", {"=3"}); }, {"section.key=value"}));
    EXPECT_TRUE(fails_with([] { load_config("", {"training.batch=1\nepochs=2"}); }, {"training.batch"}));
}

TEST(Config, UnknownKeysComeWithASuggestion) {
    const ConfigFile file("[training]\nlearning_rat = 0.1\n");
    EXPECT_TRUE(fails_with([&] { load_config(file.path()); },
                           {":2: ", "training.learning_rat'", "did you mean 'training.learning_rate'"}));
    EXPECT_TRUE(fails_with([] { load_config("", {"epochs=3"}); }, {"did you mean 'training.epochs'"}));
    EXPECT_TRUE(fails_with([] { load_config("", {"optimizer.momentum=3"}); }, {"unknown key", "the keys are system"}));
    const ConfigFile unknown("system = \"4\"\n[traning]\nepochs = 3\n");
    EXPECT_TRUE(fails_with([&] { load_config(unknown.path()); },
                           {":2: ", "unknown section [traning]; did you mean [training]?"}));
    const ConfigFile strange("[optimizer]\nmomentum = 3\n");
    EXPECT_TRUE(
        fails_with([&] { load_config(strange.path()); }, {"unknown section [optimizer]", "[model], [training]"}));
    const ConfigFile table("[training.epochs]\nx = 3\n");
    EXPECT_TRUE(fails_with([&] { load_config(table.path()); }, {"training.epochs = ", "whole number"}));
    const ConfigFile section("training = 3\n");
    EXPECT_TRUE(fails_with([&] { load_config(section.path()); }, {":1: ", "training = 3", "section"}));
}

TEST(Config, FilesThatAreNoConfiguration) {
    EXPECT_TRUE(fails_with([] { load_config("/nowhere/x.toml"); }, {"/nowhere/x.toml", "no such"}));
    const ConfigFile broken("[training]\nbatch = = 3\n");
    EXPECT_TRUE(fails_with([&] { load_config(broken.path()); }, {broken.path().string() + ":2", "not TOML"}));
    const ConfigFile stumbling("[,]\n"); // fails an assertion of toml++ 3.3
    EXPECT_TRUE(fails_with([&] { load_config(stumbling.path()); }, {stumbling.path().string(), "not TOML"}));
}

TEST(Config, AnotherValueOfWhatMakesASystemMakesAVariant) {
    const auto title = [](const std::vector<std::string>& overrides) {
        return system_title(load_config("", overrides));
    };
    for (const char* number : {"1", "2", "3", "4"}) EXPECT_EQ(title({std::string("system=") + number}), number);
    EXPECT_EQ(title({"system=2", "training.label_smoothing=0.1"}), "2 variant (label_smoothing=0.1)");
    EXPECT_EQ(title({"system=4", "training.hard_samples=false", "model.architecture=se-trans"}),
              "4 variant (architecture=se-trans, hard_samples=false)");
    EXPECT_EQ(title({"system=4", "model.width=0.25"}), "4");
    EXPECT_EQ(title({"system=mine", "training.hard_samples=false"}), "mine");
    const RunConfig base = load_config("", {"training.hard_samples=false"});
    EXPECT_EQ(system_title(as_table_system(base, 3)), "3 variant (hard_samples=false)");
    EXPECT_EQ(system_title(as_table_system(base, 1)), "1");
}

TEST(Config, ASectionThatIsNearlyOneIsHinted) {
    const ConfigFile file("[traning]\nepochs = 3\n");
    EXPECT_TRUE(fails_with([&] { load_config(file.path()); }, {"[traning]", "did you mean [training]"}));
}

TEST(Config, ASystemIsWhatItsNumberSays) {
    EXPECT_EQ(load_config("", {"system=4", "training.label_smoothing=0.2"}).training.label_smoothing, 0.2);
    EXPECT_FALSE(load_config("", {"system=4-plain", "training.hard_samples=false"}).training.hard_samples);
    RunConfig base = system_config(4);
    base.training.label_smoothing = 0.3;
    base.training.batch = 5;
    EXPECT_EQ(as_system(base, 4).training.label_smoothing, 0.3);
    EXPECT_EQ(as_system(base, 3).training.label_smoothing, 0);
    EXPECT_EQ(as_system(as_system(base, 1), 4).training.label_smoothing, 0.1);
    EXPECT_EQ(as_system(base, 1).training.batch, 5);
}

TEST(Config, SplitSettingsReachTheSplit) {
    const RunConfig config =
        load_config("", {"split.name=city", "split.seed=3", "split.labelled_share=0.5", "split.test_share=0.25",
                         "split.cities= Hefei,, Xi'an ", "split.train_list=a.csv", "split.test_list=b.csv"});
    const SplitOptions options = split_options(config.split);
    EXPECT_EQ(options.name, "city");
    EXPECT_EQ(options.seed, 3u);
    EXPECT_EQ(options.labelled_share, 0.5);
    EXPECT_EQ(options.test_share, 0.25);
    EXPECT_EQ(options.cities, (std::vector<std::string>{"Hefei", "Xi'an"}));
    EXPECT_EQ(options.train_list, "a.csv");
    EXPECT_EQ(options.test_list, "b.csv");
    EXPECT_TRUE(split_options({}).cities.empty());
}

TEST(Config, DifferencesNameWhatChanged) {
    RunConfig before = system_config(4), now = before;
    now.runtime.threads = 9;
    now.runtime.device = DeviceChoice::Cpu;
    now.runtime.autotune_seconds = 9;
    EXPECT_TRUE(differences(before, now).empty());
    now.training.batch = 32;
    now.runtime.precision = Precision::Fp16;
    now.runtime.autotune = Autotune::Full; // other engines give other bits
    const std::vector<std::string> expected{"training.batch = 32 (was 64)",
                                            "runtime.precision = \"fp16\" (was \"fp32\")",
                                            "runtime.autotune = \"full\" (was \"precompiled\")"};
    EXPECT_EQ(differences(before, now), expected);
}

} // namespace
} // namespace scene::test

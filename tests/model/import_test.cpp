#include "model/import.h"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <functional>
#include <optional>

#include <gtest/gtest.h>

#include "model/initialize.h"
#include "model/step.h"
#include "tests/support/compare.h"
#include "tests/support/expect_error.h"
#include "tests/support/temporary_folder.h"

namespace scene::test {
namespace {

/// The network of tests/goldens/import_weights.safetensors (tools/reference/make_import_golden.py).
CheckpointInfo golden_info() {
    CheckpointInfo info;
    info.model = {&se_trans, 0.125, 4, 40, 16, false, true, 22, 0, 0};
    info.features.frames = 40;
    info.features.bands = 16;
    info.features.samples = 40 * 882;
    info.fit_rule = "loop";
    info.classes = {"a", "b", "c", "d"};
    for (int city = 0; city < 22; ++city) info.cities.push_back("city " + std::to_string(city));
    info.system = "1";
    return info;
}

/// An untrained model that predicts three clips.
struct Model {
    explicit Model(const CheckpointInfo& description = golden_info()) : info(description) {
        step.model = info.model;
        step.batch = step.rows = 3;
        inference = build_inference_step(device->planner(), variables, step, 3);
        executor.emplace(*device, variables, std::vector<const Program*>{&inference});
        initialize_parameters(*executor, 11);
    }
    std::vector<float> values(const std::string& name) const {
        const Segment segment = variables.find(Segment::Parameters, name) ? Segment::Parameters : Segment::Statistics;
        std::vector<float> out(static_cast<size_t>(variables.find(segment, name)->shape.elements()));
        executor->download(segment, name, out.data(), out.size() * sizeof(float));
        return out;
    }
    ImportReport import(const std::filesystem::path& file) {
        return import_weights(SafetensorsFile(file), *executor, info);
    }

    CheckpointInfo info;
    std::unique_ptr<Device> device = make_cpu_device(1);
    StepConfig step;
    Variables variables;
    Program inference;
    std::optional<Executor> executor;
};

const char* const weights_file = "tests/goldens/import_weights.safetensors";

/// Copies a file with other metadata and with tensors renamed, left out or declared as F16.
struct Rewrite {
    std::function<std::string(const std::string&)> name = [](const std::string& old) { return old; };
    Metadata metadata = {{"format", "pt"}};
    std::string without = {}, as_half = {};

    std::filesystem::path write(const std::filesystem::path& from, const std::filesystem::path& to) const {
        const SafetensorsFile file(from);
        SafetensorsWriter writer(to, metadata);
        for (const SafetensorsEntry& entry : file.tensors()) {
            if (entry.name == without) continue;
            const bool half = entry.name == as_half;
            writer.declare(name(entry.name), half ? "F16" : entry.dtype, entry.shape);
        }
        for (const SafetensorsEntry& entry : file.tensors())
            if (entry.name != without)
                writer.write(entry.bytes.data(), entry.bytes.size() / (entry.name == as_half ? 2 : 1));
        writer.commit();
        return to;
    }
};

class Import : public testing::Test {
protected:
    TemporaryFolder folder_;
};

/// The logarithms of the probabilities differ from PyTorch's logits by a constant per clip.
void expect_golden_predictions(Model& model) {
    // An import never loads the classifier.
    const SafetensorsFile weights(weights_file), golden("tests/goldens/import_logits.safetensors");
    for (const std::string name : {"head.classifier.weight", "head.classifier.bias"})
        model.executor->upload(Segment::Parameters, name, weights.tensor(name).bytes.data(),
                               weights.tensor(name).bytes.size());
    const auto logmel = golden.tensor("logmel").as<float>();
    model.executor->bind_external("features", logmel.data(), logmel.size_bytes());
    const std::vector<int32_t> order{0, 1, 2, -1, -1, -1};
    model.executor->upload(Segment::State, "order", order.data(), order.size() * sizeof(int32_t));
    for (const std::string name : {"city", "time"})
        model.executor->upload(Segment::State, name, golden.tensor(name).bytes.data(),
                               golden.tensor(name).bytes.size());
    const StepControl control;
    model.executor->upload(Segment::State, "control", &control, sizeof control);
    model.executor->setup(model.inference);
    model.executor->run(model.inference);
    std::vector<float> probabilities(12), actual;
    model.executor->download(Segment::State, "probabilities", probabilities.data(), 48);
    std::vector<double> expected;
    const auto logits = golden.tensor("logits").as<double>();
    for (size_t clip = 0; clip < 3; ++clip) {
        for (size_t k = 0; k < 4; ++k) {
            actual.push_back(std::log(probabilities[4 * clip + k] / probabilities[4 * clip]));
            expected.push_back(logits[4 * clip + k] - logits[4 * clip]);
        }
    }
    EXPECT_TRUE(
        all_close(std::span<const float>(actual), std::span<const double>(expected), {.of_largest = 1e-4}, "logits"));
}

TEST_F(Import, WeightsThatPyTorchWroteGiveItsLogits) {
    Model model;
    const auto classifier = model.values("head.classifier.weight");
    const ImportReport report = model.import(weights_file);
    EXPECT_EQ(report.source, "PyTorch weights");
    EXPECT_EQ(report.fresh, (std::vector<std::string>{"head.classifier.weight", "head.classifier.bias"}));
    EXPECT_TRUE(report.unused.empty());
    EXPECT_EQ(report.loaded_parameters, report.parameters - 128 * 4 - 4);
    EXPECT_EQ(model.values("head.classifier.weight"), classifier);
    expect_golden_predictions(model);
}

/// The names of the challenge baseline's SE_Trans, whose TransformerEncoder keeps an unused copy of its layer.
std::string baseline_name(const std::string& ours) {
    static const std::vector<std::pair<std::string, std::string>> table{{"input_norm.", "bn0."},
                                                                        {"block1.", "SE_block1."},
                                                                        {"block2.", "SE_block2."},
                                                                        {"encoder.", "encoder.layers.0."},
                                                                        {"head.city.", "location_embedding."},
                                                                        {"head.time.", "time_mapping."},
                                                                        {"head.fuse.", "fusion_layer."},
                                                                        {"head.classifier.", "fc."}};
    std::string name = ours;
    for (const auto& [from, to] : table)
        if (ours.starts_with(from)) name = to + ours.substr(from.size());
    for (const auto& [from, to] : std::vector<std::pair<std::string, std::string>>{
             {".norm1.", ".bn1."}, {".norm2.", ".bn2."}, {".reduce.", ".fc.0."}, {".expand.", ".fc.2."}})
        if (const size_t at = name.find(from); at != std::string::npos && name.starts_with("SE_"))
            name.replace(at, from.size(), to);
    return name;
}

TEST_F(Import, TheBaselinesNamesGiveTheSameNetwork) {
    const auto file = Rewrite{.name = baseline_name}.write(weights_file, folder_ / "baseline.safetensors");
    EXPECT_TRUE(SafetensorsFile(file).contains("SE_block2.se1.fc.2.weight"));
    EXPECT_TRUE(SafetensorsFile(file).contains("encoder.layers.0.norm1.weight"));
    Model model;
    const ImportReport report = model.import(file);
    EXPECT_EQ(report.source, "PyTorch weights of the baseline");
    EXPECT_EQ(report.fresh, (std::vector<std::string>{"head.classifier.weight", "head.classifier.bias"}));
    EXPECT_TRUE(report.unused.empty());
    expect_golden_predictions(model);

    EXPECT_EQ(imported_name("encoder_layer.norm1.weight"), "encoder_layer.norm1.weight") << "the unused copy";
    EXPECT_EQ(imported_name("fc.bias"), "head.classifier.bias");
}

TEST_F(Import, WhatHasNoPlaceOrNoValueIsTold) {
    const Rewrite rewrite{.name = [](const std::string& name) { return name == "block1.norm1.bias" ? "extra" : name; }};
    Model model;
    const auto bias = model.values("block1.norm1.bias");
    const ImportReport report = model.import(rewrite.write(weights_file, folder_ / "file"));
    EXPECT_EQ(report.unused, std::vector<std::string>{"extra"});
    EXPECT_TRUE(std::count(report.fresh.begin(), report.fresh.end(), "block1.norm1.bias"));
    EXPECT_EQ(model.values("block1.norm1.bias"), bias);
    const auto lines = describe(report, "w.safetensors");
    ASSERT_EQ(lines.size(), 3u);
    EXPECT_NE(lines[0].find("w.safetensors (PyTorch weights)"), std::string::npos);
    EXPECT_NE(lines[1].find("head.classifier.weight"), std::string::npos);
    EXPECT_NE(lines[2].find("extra"), std::string::npos);
}

TEST_F(Import, ACheckpointLosesItsClassifierAndOtherCitiesTable) {
    Model trained;
    initialize_parameters(*trained.executor, 99);
    save_checkpoint(folder_ / "same", trained.info, *trained.executor);
    Model model;
    const ImportReport report = model.import(folder_ / "same");
    EXPECT_EQ(report.source, "checkpoint of scene");
    for (const std::string& name : report.loaded) EXPECT_EQ(model.values(name), trained.values(name)) << name;
    EXPECT_EQ(report.fresh, (std::vector<std::string>{"head.classifier.weight", "head.classifier.bias"}));

    CheckpointInfo other = golden_info(); // other classes, cities and lengths
    other.classes = {"x", "y"};
    other.model.classes = 2;
    other.cities = {"Oslo"};
    other.model.cities = 1;
    other.model.frames = other.features.frames = 64;
    other.features.samples = 64 * 882;
    Model second(other);
    save_checkpoint(folder_ / "other", other, *second.executor);
    const ImportReport dropped = model.import(folder_ / "other");
    EXPECT_EQ(dropped.fresh,
              (std::vector<std::string>{"head.city.weight", "head.classifier.weight", "head.classifier.bias"}));
}

/// A row of the embedding belongs to a name: the same number of cities is not enough.
TEST_F(Import, TheTableOfCitiesComesOnlyWithTheSameNamesInTheSameOrder) {
    using Cities = std::vector<std::string>;
    Model trained;
    initialize_parameters(*trained.executor, 99);
    const auto imports = [&](const std::function<void(Cities&)>& change) {
        CheckpointInfo info = golden_info();
        change(info.cities);
        save_checkpoint(folder_ / "file", info, *trained.executor);
        Model model;
        const auto before = model.values("head.city.weight");
        const ImportReport report = model.import(folder_ / "file");
        const bool loaded = std::count(report.loaded.begin(), report.loaded.end(), "head.city.weight") == 1;
        EXPECT_NE(loaded, std::count(report.fresh.begin(), report.fresh.end(), "head.city.weight") == 1);
        EXPECT_EQ(model.values("head.city.weight"), loaded ? trained.values("head.city.weight") : before);
        EXPECT_EQ(model.values("head.time.weight"), trained.values("head.time.weight"));
        return loaded;
    };
    EXPECT_TRUE(imports([](Cities&) {}));
    EXPECT_FALSE(imports([](Cities& cities) { std::swap(cities[20], cities[21]); }));
    EXPECT_FALSE(imports([](Cities& cities) { cities.back() = "Oslo"; }));
    EXPECT_FALSE(imports([](Cities& cities) { cities.front() = "Oslo"; }));
    EXPECT_FALSE(imports([](Cities& cities) { cities.pop_back(); })) << "the first of ours";
    EXPECT_FALSE(imports([](Cities& cities) { cities.clear(); }));
}

/// The same number of elements and axes, in our layout and in PyTorch's.
TEST_F(Import, ATensorOfTheSameSizeAndAnotherShapeIsRefused) {
    Model model;
    const auto before = model.values("block1.conv1.weight");
    for (const char* name : {"block2.conv1.weight", "head.city.weight"}) {
        for (const bool ours : {true, false}) {
            save_checkpoint(folder_ / "good", model.info, *model.executor);
            const SafetensorsFile good(ours ? folder_ / "good" : std::filesystem::path(weights_file));
            SafetensorsWriter writer(folder_ / "bad", good.metadata());
            for (const SafetensorsEntry& entry : good.tensors()) {
                std::vector<int64_t> shape = entry.shape;
                if (entry.name == name) std::rotate(shape.begin(), shape.begin() + 1, shape.end());
                writer.declare(entry.name, entry.dtype, shape);
            }
            for (const SafetensorsEntry& entry : good.tensors()) writer.write(entry.bytes.data(), entry.bytes.size());
            writer.commit();
            EXPECT_TRUE(fails_with([&] { model.import(folder_ / "bad"); }, {name, "this model's is F32"})) << ours;
        }
    }
    EXPECT_EQ(model.values("block1.conv1.weight"), before) << "nothing was loaded by halves";
}

TEST_F(Import, OtherNetworksAndFilesAreRefused) {
    Model model;
    const auto before = model.values("block1.conv1.weight");
    const auto refused = [&](const std::filesystem::path& file, const std::vector<std::string>& words) {
        return fails_with([&] { model.import(file); }, words);
    };
    const auto saved = [&](const char* name, const std::function<void(CheckpointInfo&)>& change) {
        CheckpointInfo info = golden_info();
        change(info);
        save_checkpoint(folder_ / name, info, *Model(info).executor);
        return folder_ / name;
    };
    EXPECT_TRUE(refused(saved("fcnn",
                              [](CheckpointInfo& info) {
                                  info.model.network = &fcnn;
                                  info.model.width = 0.05;
                              }),
                        {"fcnn", "FCNN of width 0.05", "SE-Trans of width 0.125"}));
    EXPECT_TRUE(refused(saved("as wide", [](CheckpointInfo& info) { info.model.network = &fcnn; }),
                        {"as wide", "FCNN of width 0.125", "SE-Trans of width 0.125"}));
    EXPECT_TRUE(refused(saved("hop",
                              [](CheckpointInfo& info) {
                                  info.features.hop = 441;
                                  info.features.top_db = 60;
                              }),
                        {"features", "hop 441", "top_db 60"}));
    EXPECT_TRUE(refused(folder_ / "missing", {"missing"}));
    EXPECT_TRUE(refused(Rewrite{.as_half = "block1.norm1.bias"}.write(weights_file, folder_ / "half"),
                        {"block1.norm1.bias", "F16", "float32"}));
    EXPECT_TRUE(refused(
        Rewrite{.name = [](const std::string& name) { return "net." + name; }}.write(weights_file, folder_ / "prefix"),
        {"none of its", "docs/importing.md"}));
    EXPECT_TRUE(
        refused(Rewrite{.metadata = {{"format", "scene.cu feature store"}}}.write(weights_file, folder_ / "store"),
                {"not a checkpoint"}));
    std::ofstream(folder_ / "text") << "this is no safetensors file";
    EXPECT_TRUE(refused(folder_ / "text", {"text"}));
    std::filesystem::copy_file(weights_file, folder_ / "cut");
    std::filesystem::resize_file(folder_ / "cut", std::filesystem::file_size(weights_file) - 100);
    EXPECT_TRUE(refused(folder_ / "cut", {"cut"}));
    CheckpointInfo wide = golden_info();
    wide.model.width = 1;
    Model wider(wide);
    EXPECT_TRUE(fails_with([&] { wider.import(weights_file); }, {"this model's is F32", "same network"}));
    EXPECT_EQ(model.values("block1.conv1.weight"), before) << "nothing was loaded by halves";
}

/// A file with some of the tensors, as PyTorch would write it.
std::filesystem::path few_tensors(const std::filesystem::path& file, const std::vector<std::string>& names) {
    SafetensorsWriter writer(file, {{"format", "pt"}});
    for (const std::string& name : names) writer.declare(name, "F64", {name.ends_with("num_batches_tracked") ? 1 : 16});
    for (size_t tensor = 0; tensor < names.size(); ++tensor) {
        std::vector<double> values(names[tensor].ends_with("num_batches_tracked") ? 1 : 16);
        for (size_t i = 0; i < values.size(); ++i)
            values[i] = 100.0 * static_cast<double>(tensor) + 0.1 * static_cast<double>(i);
        writer.write(values.data(), values.size() * sizeof(double));
    }
    writer.commit();
    return file;
}

TEST_F(Import, DoublesAndRunningStatisticsAreTaken) {
    Model model;
    const std::vector<std::string> names{"encoder.norm1.weight", "block1.norm1.num_batches_tracked",
                                         "block2.norm2.running_mean", "block2.norm2.running_var"};
    const ImportReport report = model.import(few_tensors(folder_ / "few", names));
    EXPECT_EQ(report.loaded, (std::vector<std::string>{names[0], names[2], names[3]}));
    EXPECT_TRUE(report.unused.empty()) << "a count of batches is no weight";
    EXPECT_EQ(report.loaded_parameters, 16) << "statistics are no parameters";
    int64_t parameters = 0, tensors = 0;
    for (const Segment segment : {Segment::Parameters, Segment::Statistics})
        for (const Variable* variable : model.variables.all(segment)) {
            ++tensors;
            if (segment == Segment::Parameters) parameters += variable->shape.elements();
        }
    EXPECT_EQ(report.parameters, parameters);
    EXPECT_EQ(static_cast<int64_t>(report.fresh.size()), tensors - 3);
    for (const size_t tensor : {0, 2, 3})
        for (size_t i = 0; i < 16; ++i)
            EXPECT_FLOAT_EQ(model.values(names[tensor])[i],
                            100.0f * static_cast<float>(tensor) + 0.1f * static_cast<float>(i));
    EXPECT_TRUE(fails_with(
        [&] {
            model.import(few_tensors(folder_ / "twice", {names[0], "encoder.layers.0.norm1.weight"}));
        },
        {"'encoder.layers.0.norm1.weight' gives 'encoder.norm1.weight' a second time"}));
}

TEST_F(Import, StatisticsOfACheckpointComeWithIt) {
    Model trained;
    for (const Variable* statistic : trained.variables.all(Segment::Statistics)) {
        std::vector<float> numbers(static_cast<size_t>(statistic->shape.elements()));
        for (size_t i = 0; i < numbers.size(); ++i) numbers[i] = 0.5f + static_cast<float>(i);
        trained.executor->upload(Segment::Statistics, statistic->name, numbers.data(), numbers.size() * sizeof(float));
    }
    save_checkpoint(folder_ / "file", trained.info, *trained.executor);
    Model model;
    const ImportReport told = check_import(SafetensorsFile(folder_ / "file"), model.variables, model.info);
    EXPECT_EQ(model.values("input_norm.running_mean")[1], 0) << "a check changes nothing";
    EXPECT_EQ(model.import(folder_ / "file").loaded, told.loaded);
    for (const char* name : {"input_norm.running_mean", "block2.norm2.running_var"})
        EXPECT_EQ(model.values(name), trained.values(name)) << name;
}

TEST_F(Import, EverySettingOfNetworkAndFeaturesMustAgreeButTheLength) {
    Model model;
    const std::function<void(CheckpointInfo&)> others[] = {
        [](CheckpointInfo& info) { info.features.bands = info.model.bands = 32; },
        [](CheckpointInfo& info) { info.features.sample_rate = 48000; },
        [](CheckpointInfo& info) { info.features.n_fft = 4096; },
        [](CheckpointInfo& info) { info.features.window = 1000; },
        [](CheckpointInfo& info) { info.features.low_hz = 20; },
        [](CheckpointInfo& info) { info.features.top_db = 60; },
        [](CheckpointInfo& info) { info.model.deltas = true; },
        [](CheckpointInfo& info) { info.model.width = 0.25; },
    };
    for (size_t i = 0; i < std::size(others); ++i) {
        CheckpointInfo info = golden_info();
        others[i](info);
        save_checkpoint(folder_ / "other", info, *Model(info).executor);
        EXPECT_TRUE(fails_with([&] { model.import(folder_ / "other"); },
                               {"other", i < 6 ? "features" : "this run trains an SE-Trans of width 0.125"}))
            << "setting " << i;
    }
    CheckpointInfo longer = golden_info();
    longer.model.frames = longer.features.frames = 50;
    longer.features.samples = 50 * 882;
    longer.model.conv_dropout = longer.model.encoder_dropout = 0.5f;
    longer.fit_rule = "zero";
    save_checkpoint(folder_ / "longer", longer, *Model(longer).executor);
    EXPECT_NO_THROW(model.import(folder_ / "longer"));
}

TEST(ImportReport, ListsTwelveNamesAndCountsTheRest) {
    ImportReport report;
    report.source = "PyTorch weights";
    report.loaded = {"x", "y"};
    report.loaded_parameters = 30;
    report.parameters = 70;
    for (int i = 0; i < 14; ++i) report.unused.push_back("n" + std::to_string(i));
    const std::vector<std::string> lines = describe(report, "w");
    ASSERT_EQ(lines.size(), 2u);
    EXPECT_EQ(lines[0], "init: w (PyTorch weights): 2 tensors loaded, 30 of 70 parameters");
    EXPECT_TRUE(lines[1].ends_with("n10, n11 and 2 more")) << lines[1];
}

} // namespace
} // namespace scene::test

#include "model/checkpoint.h"

#include <algorithm>
#include <fstream>
#include <functional>

#include <gtest/gtest.h>

#include "kernels/device.h"
#include "model/initialize.h"
#include "model/step.h"
#include "tests/support/expect_error.h"
#include "tests/support/temporary_folder.h"

namespace scene::test {
namespace {

CheckpointInfo small_info(const Network* architecture = &fcnn) {
    CheckpointInfo info;
    info.model = {architecture, 0.05, 3, 32, 16, false, true, 2, 0.25f, 0.1f};
    info.features.frames = 32;
    info.features.bands = 16;
    info.features.samples = 32 * 882;
    info.fit_rule = "loop";
    info.classes = {"Bus", "Park, \"urban\"", "Métro"};
    info.cities = {"Xi'an", "Jinan"};
    info.system = "2";
    info.training = {{"epoch", "3"}, {"score", "0.5"}};
    return info;
}

/// A model in memory, with its training program.
struct Model {
    explicit Model(const CheckpointInfo& info) {
        step.model = info.model;
        step.batch = 2;
        step.rows = 5;
        training = build_training_step(device->planner(), variables, step, 2);
        executor = std::make_unique<Executor>(*device, variables, std::vector<const Program*>{&training});
    }
    std::vector<float> values(Segment segment, const std::string& name) const {
        std::vector<float> out(static_cast<size_t>(variables.find(segment, name)->shape.elements()));
        executor->download(segment, name, out.data(), out.size() * sizeof(float));
        return out;
    }
    std::vector<std::byte> state(const std::string& name) const {
        const Tensor tensor = executor->tensor(Segment::State, name);
        std::vector<std::byte> out(tensor.bytes());
        executor->download(Segment::State, name, out.data(), out.size());
        return out;
    }
    /// Fills all tensors with numbers that depend on the seed.
    void fill(uint64_t seed) {
        initialize_parameters(*executor, seed);
        for (Segment segment : {Segment::FirstMoment, Segment::SecondMoment, Segment::Statistics}) {
            for (const Variable* variable : variables.all(segment)) {
                std::vector<float> numbers(static_cast<size_t>(variable->shape.elements()));
                for (size_t i = 0; i < numbers.size(); ++i)
                    numbers[i] = static_cast<float>(seed) + 0.001f * static_cast<float>(i) +
                                 static_cast<float>(static_cast<int>(segment));
                executor->upload(segment, variable->name, numbers.data(), numbers.size() * sizeof(float));
            }
        }
        const std::vector<float> target(15, static_cast<float>(seed)), weight(5, 2.0f * static_cast<float>(seed));
        executor->upload(Segment::State, "target", target.data(), target.size() * sizeof(float));
        executor->upload(Segment::State, "weight", weight.data(), weight.size() * sizeof(float));
        StepControl control;
        control.seed = seed;
        control.step = 17;
        executor->upload(Segment::State, "control", &control, sizeof control);
    }

    std::unique_ptr<Device> device = make_cpu_device(1);
    StepConfig step;
    Variables variables;
    Program training;
    std::unique_ptr<Executor> executor;
};

class Checkpoint : public testing::Test {
protected:
    Checkpoint() : model_(small_info()) { model_.fill(5); }

    /// A copy of the saved file with changed metadata, or with a tensor missing, reshaped or added.
    std::filesystem::path changed(const std::function<void(Metadata&)>& change, const std::string& without = "",
                                  const std::string& reshaped = "", const std::string& added = "") {
        save_checkpoint(folder_ / "good", small_info(), *model_.executor);
        const SafetensorsFile good(folder_ / "good");
        Metadata metadata = good.metadata();
        change(metadata);
        SafetensorsWriter writer(folder_ / "changed", metadata);
        for (const SafetensorsEntry& entry : good.tensors()) {
            if (entry.name == without) continue;
            writer.declare(entry.name, entry.dtype,
                           entry.name == reshaped ? std::vector<int64_t>{1, entry.elements()} : entry.shape);
        }
        if (!added.empty()) writer.declare(added, "F32", {1});
        for (const SafetensorsEntry& entry : good.tensors())
            if (entry.name != without) writer.write(entry.bytes.data(), entry.bytes.size());
        if (!added.empty()) writer.write("1234", 4);
        writer.commit();
        return folder_ / "changed";
    }
    static void unchanged(Metadata&) {}

    TemporaryFolder folder_;
    Model model_;
};

TEST_F(Checkpoint, BringsBackEveryBitForPredictionAndForResuming) {
    for (CheckpointContent content : {CheckpointContent::Model, CheckpointContent::Training}) {
        const bool training = content == CheckpointContent::Training;
        save_checkpoint(folder_ / "file", small_info(), *model_.executor, content);
        const SafetensorsFile file(folder_ / "file");
        EXPECT_EQ(read_checkpoint_info(file), small_info());
        Model other(small_info());
        other.fill(9);
        load_checkpoint(file, *other.executor, content);
        for (Segment segment : {Segment::Parameters, Segment::Statistics})
            for (const Variable* variable : model_.variables.all(segment))
                EXPECT_EQ(other.values(segment, variable->name), model_.values(segment, variable->name));
        for (Segment segment : {Segment::FirstMoment, Segment::SecondMoment})
            for (const Variable* variable : model_.variables.all(segment))
                EXPECT_EQ(other.values(segment, variable->name) == model_.values(segment, variable->name), training);
        for (const char* name : {"target", "weight", "control"})
            EXPECT_EQ(other.state(name) == model_.state(name), training) << name;
    }
}

TEST_F(Checkpoint, AModelLoadsFromAFileToResumeFrom) {
    save_checkpoint(folder_ / "last", small_info(), *model_.executor, CheckpointContent::Training);
    Model other(small_info());
    other.fill(9);
    EXPECT_NO_THROW(load_checkpoint(SafetensorsFile(folder_ / "last"), *other.executor));
    EXPECT_EQ(other.values(Segment::Parameters, "block1.conv1.weight"),
              model_.values(Segment::Parameters, "block1.conv1.weight"));
    save_checkpoint(folder_ / "best", small_info(), *model_.executor);
    EXPECT_TRUE(fails_with(
        [&] { load_checkpoint(SafetensorsFile(folder_ / "best"), *other.executor, CheckpointContent::Training); },
        {"best", "optim/exp_avg/", "missing"}));
}

/// Key by key: writer and reader share one list, so a round trip would not notice two swapped keys.
TEST_F(Checkpoint, TheMetadataSayWhatMadeTheFile) {
    CheckpointInfo info = small_info(&se_trans);
    info.model.deltas = true;
    info.features = {.sample_rate = 32000,
                     .n_fft = 1024,
                     .window = 800,
                     .hop = 400,
                     .bands = 16,
                     .low_hz = 27.5f,
                     .top_db = 70,
                     .frames = 32,
                     .samples = 12800};
    const Model model(info);
    save_checkpoint(folder_ / "file", info, *model.executor);
    EXPECT_EQ(SafetensorsFile(folder_ / "file").metadata(),
              (Metadata{{"format", "scene.cu checkpoint"},
                        {"version", "1"},
                        {"system", "2"},
                        {"fit_rule", "loop"},
                        {"classes", "[\"Bus\",\"Park, \\\"urban\\\"\",\"Métro\"]"},
                        {"cities", "[\"Xi'an\",\"Jinan\"]"},
                        {"model.architecture", "se-trans"},
                        {"model.width", "0.05"},
                        {"model.classes", "3"},
                        {"model.frames", "32"},
                        {"model.bands", "16"},
                        {"model.deltas", "1"},
                        {"model.multimodal", "1"},
                        {"model.cities", "2"},
                        {"model.conv_dropout", "0.25"},
                        {"model.encoder_dropout", "0.1"},
                        {"features.sample_rate", "32000"},
                        {"features.n_fft", "1024"},
                        {"features.window", "800"},
                        {"features.hop", "400"},
                        {"features.bands", "16"},
                        {"features.low_hz", "27.5"},
                        {"features.top_db", "70"},
                        {"features.frames", "32"},
                        {"features.samples", "12800"},
                        {"training.epoch", "3"},
                        {"training.score", "0.5"}}));
    save_checkpoint(folder_ / "fcnn", small_info(), *model_.executor);
    EXPECT_EQ(SafetensorsFile(folder_ / "fcnn").metadata("model.architecture"), "fcnn");
    EXPECT_EQ(SafetensorsFile(folder_ / "fcnn").metadata("model.deltas"), "0");
}

/// Every tensor of both kinds of file is the variable that its name says, and nothing else is in it.
TEST_F(Checkpoint, EveryTensorIsTheVariableOfItsName) {
    for (const CheckpointContent content : {CheckpointContent::Model, CheckpointContent::Training}) {
        std::map<std::string, std::vector<std::byte>> expected;
        const auto expect = [&](const std::string& prefix, Segment segment) {
            for (const Variable* variable : model_.variables.all(segment)) {
                std::vector<std::byte>& bytes = expected[prefix + variable->name];
                bytes.resize(model_.executor->tensor(segment, variable->name).bytes());
                model_.executor->download(segment, variable->name, bytes.data(), bytes.size());
            }
        };
        expect("", Segment::Parameters);
        expect("", Segment::Statistics);
        if (content == CheckpointContent::Training) {
            expect("optim/exp_avg/", Segment::FirstMoment);
            expect("optim/exp_avg_sq/", Segment::SecondMoment);
            for (const std::string name : {"target", "weight", "control"})
                expected["state/" + name] = model_.state(name);
        }
        save_checkpoint(folder_ / "file", small_info(), *model_.executor, content);
        const SafetensorsFile file(folder_ / "file");
        EXPECT_EQ(file.tensors().size(), expected.size());
        for (const SafetensorsEntry& entry : file.tensors()) {
            EXPECT_EQ(std::vector<std::byte>(entry.bytes.begin(), entry.bytes.end()), expected[entry.name])
                << entry.name;
            EXPECT_EQ(entry.dtype, entry.name == "state/control" ? "U8" : "F32") << entry.name;
        }
    }
    const SafetensorsFile training(folder_ / "file");
    EXPECT_EQ(training.tensor("state/target").shape, (std::vector<int64_t>{5, 3}));
    EXPECT_EQ(training.tensor("state/weight").shape, (std::vector<int64_t>{5}));
}

TEST_F(Checkpoint, NamesAreThoseOfPyTorchModules) {
    save_checkpoint(folder_ / "file", small_info(), *model_.executor);
    const SafetensorsFile file(folder_ / "file");
    for (const char* name :
         {"block1.conv1.weight", "block1.norm1.weight", "block1.norm1.bias", "block1.norm1.running_mean",
          "block1.norm1.running_var", "encoder.self_attn.in_proj_weight", "head.classifier.bias"})
        EXPECT_TRUE(file.contains(name)) << name;
    EXPECT_EQ(file.tensor("block1.conv1.weight").shape, (std::vector<int64_t>{8, 5, 5, 1})) << "[K, R, S, C]";
}

TEST_F(Checkpoint, EveryWrongSettingIsNamed) {
    const struct {
        const char *key, *value;
    } cases[] = {{"version", "x"},           {"model.architecture", "mlp"}, {"model.width", "0"},
                 {"model.width", "nan"},     {"model.width", "wide"},       {"model.classes", "4"},
                 {"model.classes", "-3"},    {"model.frames", "33"},        {"model.bands", "0"},
                 {"model.cities", "0"},      {"model.deltas", "yes"},       {"model.conv_dropout", "1"},
                 {"classes", "[1, 2, 3]"},   {"cities", "Jinan"},           {"features.n_fft", "1000"},
                 {"features.window", "0"},   {"features.hop", "0"},         {"features.samples", "10"},
                 {"features.low_hz", "1e9"}, {"features.top_db", "inf"},    {"features.sample_rate", "44100 Hz"},
                 {"model.cities", "1"},      {"features.n_fft", "16384"},   {"features.n_fft", "16"}};
    for (const auto& one : cases) {
        const auto file = changed([&](Metadata& metadata) { metadata[one.key] = one.value; });
        EXPECT_TRUE(fails_with([&] { read_checkpoint_info(SafetensorsFile(file)); }, {file.string(), one.key}))
            << one.key << " " << one.value;
    }
    const Metadata complete = SafetensorsFile(folder_ / "good").metadata();
    for (const auto& [key, value] : complete) {
        if (key.starts_with("training.")) continue;
        const auto file = changed([&](Metadata& metadata) { metadata.erase(key); });
        EXPECT_TRUE(fails_with([&] { read_checkpoint_info(SafetensorsFile(file)); }, {file.string()})) << key;
    }
}

TEST_F(Checkpoint, OtherFilesAndNewerVersionsAreRefused) {
    const auto newer = changed([](Metadata& metadata) { metadata["version"] = "2"; });
    EXPECT_TRUE(fails_with([&] { read_checkpoint_info(SafetensorsFile(newer)); }, {"version 2", "newer scene"}));
    const auto store = changed([](Metadata& metadata) { metadata["format"] = "scene.cu feature store"; });
    EXPECT_TRUE(fails_with([&] { read_checkpoint_info(SafetensorsFile(store)); }, {"not a checkpoint"}));
    EXPECT_TRUE(fails_with([&] { SafetensorsFile(folder_ / "missing"); }, {"missing"}));
}

TEST_F(Checkpoint, TensorsOfAnotherModelAreNamed) {
    const auto before = model_.values(Segment::Parameters, "block1.norm1.weight");
    EXPECT_TRUE(fails_with(
        [&] { load_checkpoint(SafetensorsFile(changed(unchanged, "head.classifier.bias")), *model_.executor); },
        {"head.classifier.bias", "missing"}));
    EXPECT_TRUE(fails_with(
        [&] { load_checkpoint(SafetensorsFile(changed(unchanged, "", "head.classifier.bias")), *model_.executor); },
        {"head.classifier.bias", "F32 [1, 3]", "F32 [3]"}));
    EXPECT_TRUE(fails_with(
        [&] { load_checkpoint(SafetensorsFile(changed(unchanged, "", "", "extra.weight")), *model_.executor); },
        {"extra.weight", "another model"}));
    Model other(small_info(&se_trans));
    EXPECT_TRUE(
        fails_with([&] { load_checkpoint(SafetensorsFile(folder_ / "good"), *other.executor); }, {"another model"}));
    EXPECT_EQ(model_.values(Segment::Parameters, "block1.norm1.weight"), before) << "nothing was loaded by halves";
}

TEST_F(Checkpoint, CutOrChangedFilesAreRefused) {
    save_checkpoint(folder_ / "file", small_info(), *model_.executor);
    const auto size = std::filesystem::file_size(folder_ / "file");
    for (const uintmax_t cut : {uintmax_t{0}, uintmax_t{7}, uintmax_t{100}, size / 2, size - 1}) {
        std::filesystem::copy_file(folder_ / "file", folder_ / "cut",
                                   std::filesystem::copy_options::overwrite_existing);
        std::filesystem::resize_file(folder_ / "cut", cut);
        EXPECT_TRUE(fails_with([&] { SafetensorsFile(folder_ / "cut"); }, {(folder_ / "cut").string()})) << cut;
    }
    std::fstream stream(folder_ / "file", std::ios::in | std::ios::out | std::ios::binary);
    stream.seekp(static_cast<std::streamoff>(size - 5));
    stream.put('\x55');
    stream.close();
    EXPECT_TRUE(fails_with([&] { SafetensorsFile(folder_ / "file"); }, {"corrupted"}));
}

TEST_F(Checkpoint, AFolderThatCannotBeWrittenIsNamed) {
    EXPECT_TRUE(fails_with([&] { save_checkpoint("/nowhere/x.safetensors", small_info(), *model_.executor); },
                           {"/nowhere/x.safetensors"}));
}

} // namespace
} // namespace scene::test

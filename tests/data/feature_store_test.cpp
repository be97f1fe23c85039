#include "data/store/feature_store.h"

#include <algorithm>
#include <functional>
#include <limits>
#include <numeric>

#include <gtest/gtest.h>

#include "tests/support/expect_error.h"
#include "tests/support/temporary_folder.h"

namespace scene {
namespace {

using test::fails_with;

Dataset small_dataset() {
    Dataset dataset{"cas2023", {"Bus", "Bar"}, {"Xi'an", "Hefei"}, {}, "/some/where/metadata.csv"};
    dataset.clips.push_back({"one", "", 1, "Hefei", RecordTime{2023, 6, 18, 18, 44, 34}, "a", "Hefei x", 2, 2});
    dataset.clips.push_back({"tw\"o\xE8\xA5\xBF", "", -1, "Atlantis", std::nullopt, "", "", -1, 3});
    return dataset;
}

class FeatureStoreTest : public testing::Test {
protected:
    FeatureStoreTest() : features_(2 * 5 * 3) {
        std::iota(features_.begin(), features_.end(), -3.5f);
        const Dataset dataset = small_dataset();
        columns_ = store_columns(dataset, spec_, "loop");
        for (const Clip& clip : dataset.clips) append_clip(columns_, dataset, clip);
    }

    test::TemporaryFolder folder_;
    std::filesystem::path file_ = folder_ / "a.store";
    LogMelSpec spec_{.sample_rate = 8000,
                     .n_fft = 64,
                     .window = 40,
                     .hop = 20,
                     .bands = 3,
                     .low_hz = 12.5f,
                     .top_db = 70,
                     .frames = 5,
                     .samples = 100};
    StoreColumns columns_;
    std::vector<float> features_;
};

TEST_F(FeatureStoreTest, KeepsEverything) {
    write_feature_store(file_, columns_, features_);
    FeatureStore opened = FeatureStore::open(file_);
    const FeatureStore store = std::move(opened);
    const StoreColumns& read = store.columns();
    EXPECT_EQ(store.clips(), 2);
    EXPECT_EQ(store.spec(), spec_);
    EXPECT_EQ(read.dataset, "cas2023");
    EXPECT_EQ(read.source, "metadata.csv");
    EXPECT_EQ(read.fit, "loop");
    EXPECT_EQ(read.classes, (std::vector<std::string>{"Bus", "Bar"}));
    EXPECT_EQ(read.cities, (std::vector<std::string>{"Xi'an", "Hefei"}));
    EXPECT_EQ(read.names, (std::vector<std::string>{"one", "tw\"o\xE8\xA5\xBF"}));
    EXPECT_EQ(read.sessions, (std::vector<std::string>{"Hefei x", ""}));
    EXPECT_EQ(read.devices, (std::vector<std::string>{"a", ""}));
    EXPECT_EQ(read.label, (std::vector<int32_t>{1, -1}));
    EXPECT_EQ(read.city, (std::vector<int32_t>{1, -1}));
    EXPECT_EQ(read.fold, (std::vector<int32_t>{2, -1}));
    EXPECT_EQ(read.has_time, (std::vector<uint8_t>{1, 0}));
    EXPECT_EQ(read.recorded, (std::vector<std::string>{"2023-06-18 18:44:34", ""}));
    const auto known = time_features(small_dataset().clips[0].time);
    EXPECT_TRUE(std::equal(known.begin(), known.end(), read.time.begin()));
    EXPECT_EQ(std::vector<float>(read.time.begin() + 8, read.time.end()), std::vector<float>(8, 0.0f));
    EXPECT_TRUE(std::equal(features_.begin(), features_.end(), store.logmel().begin(), store.logmel().end()));
    EXPECT_EQ(store.logmel(1)[0], 11.5f);
    EXPECT_EQ(store.logmel(1).size(), 15u);
    EXPECT_THROW(store.logmel(2), std::logic_error);
    EXPECT_EQ(store.clip_columns().label[0], 1);
}

TEST_F(FeatureStoreTest, ClipsThatAreNoNumbersAreNamed) {
    const auto opened = [&] {
        write_feature_store(file_, columns_, features_);
        return FeatureStore::open(file_);
    };
    EXPECT_TRUE(opened().clips_without_numbers().empty());
    EXPECT_NO_THROW(opened().require_numbers());
    for (float bad : {std::numeric_limits<float>::quiet_NaN(), -std::numeric_limits<float>::infinity()}) {
        features_[14] = bad;
        EXPECT_EQ(opened().clips_without_numbers(), std::vector<int64_t>{0});
        EXPECT_TRUE(fails_with([&] { opened().require_numbers(); }, {"a.store", "1 of 2 clips", "(one)", "prepare"}));
        features_[14] = std::numeric_limits<float>::denorm_min();
    }
    columns_.time[15] = std::numeric_limits<float>::infinity();
    EXPECT_EQ(opened().clips_without_numbers(), std::vector<int64_t>{1});
    columns_.time[15] = 0;
    features_[15] = std::numeric_limits<float>::quiet_NaN();
    EXPECT_EQ(opened().clips_without_numbers(), std::vector<int64_t>{1});
}

TEST_F(FeatureStoreTest, EveryCutIsFound) {
    write_feature_store(file_, columns_, features_);
    const std::string whole = test::read_text(file_);
    for (size_t size = 0; size < whole.size(); size += 37) {
        test::write_text(file_, whole.substr(0, size));
        EXPECT_TRUE(fails_with([&] { FeatureStore::open(file_); }, {"a.store", "cut short", "make it anew"})) << size;
    }
    std::string damaged = whole;
    damaged[damaged.size() / 2] ^= 4;
    test::write_text(file_, damaged);
    EXPECT_TRUE(fails_with([&] { FeatureStore::open(file_); }, {"a.store", "corrupted"}));
}

TEST_F(FeatureStoreTest, OtherFilesAndVersionsAreNamed) {
    {
        SafetensorsWriter writer(file_, {{"format", "pt"}});
        writer.commit();
    }
    EXPECT_TRUE(fails_with([&] { FeatureStore::open(file_); }, {"not a feature store", "scene prepare"}));
    {
        SafetensorsWriter writer(file_, {{"format", "scene.cu feature store"}, {"version", "2"}});
        writer.commit();
    }
    EXPECT_TRUE(fails_with([&] { FeatureStore::open(file_); }, {"version 2", "reads 1", "scene prepare"}));
    EXPECT_TRUE(fails_with([&] { FeatureStore::open(folder_ / "none"); }, {"none", "no such file"}));
}

TEST_F(FeatureStoreTest, ColumnsThatDisagreeAreFound) {
    const auto rejects = [&](const std::string& part) {
        write_feature_store(file_, columns_, features_);
        return fails_with([&] { FeatureStore::open(file_); }, {"a.store", "corrupted", part});
    };
    columns_.label[0] = 2;
    EXPECT_TRUE(rejects("'label' holds 2"));
    columns_.label[0] = 1;
    columns_.city[1] = -2;
    EXPECT_TRUE(rejects("'city' holds -2"));
    columns_.city[1] = 0;
    const std::function<void(StoreColumns&)> one_less[] = {
        [](StoreColumns& columns) { columns.names.pop_back(); },
        [](StoreColumns& columns) { columns.sessions.pop_back(); },
        [](StoreColumns& columns) { columns.devices.pop_back(); },
        [](StoreColumns& columns) { columns.label.pop_back(); },
        [](StoreColumns& columns) { columns.city.pop_back(); },
        [](StoreColumns& columns) { columns.fold.pop_back(); },
        [](StoreColumns& columns) { columns.has_time.pop_back(); },
        [](StoreColumns& columns) { columns.time.pop_back(); },
        [](StoreColumns& columns) { columns.recorded.pop_back(); },
    };
    for (size_t i = 0; i < std::size(one_less); ++i) {
        StoreColumns columns = columns_;
        one_less[i](columns);
        EXPECT_THROW(write_feature_store(file_, columns, features_), std::logic_error) << i;
    }
}

TEST_F(FeatureStoreTest, StoresOfTheFirstVersionsAndFoldersAreRead) {
    columns_.recorded.clear();
    write_feature_store(file_, columns_, features_);
    EXPECT_EQ(FeatureStore::open(file_).columns().recorded, std::vector<std::string>(2));
    // The first stores had no tensor "recorded".
    const SafetensorsFile now(file_);
    SafetensorsWriter writer(folder_ / "first.store", now.metadata());
    for (const SafetensorsEntry& entry : now.tensors())
        if (entry.name != "recorded") writer.declare(entry.name, entry.dtype, entry.shape);
    for (const SafetensorsEntry& entry : now.tensors())
        if (entry.name != "recorded") writer.write(entry.bytes.data(), entry.bytes.size());
    writer.commit();
    const FeatureStore first = FeatureStore::open(folder_ / "first.store");
    EXPECT_TRUE(first.columns().recorded.empty());
    EXPECT_EQ(first.columns().names, columns_.names);
    Dataset dataset = small_dataset();
    dataset.source = "/some/folder/";
    EXPECT_EQ(store_columns(dataset, spec_, "zero").source, "folder");
    write_feature_store(file_, store_columns(dataset, spec_, "zero"), {});
    EXPECT_EQ(FeatureStore::open(file_).columns().fit, "zero");
}

TEST_F(FeatureStoreTest, ViewsAreOfTheRightColumns) {
    write_feature_store(file_, columns_, features_);
    const FeatureStore store = FeatureStore::open(file_);
    const ClipColumns view = store.clip_columns();
    EXPECT_EQ(view.label.data(), store.columns().label.data());
    EXPECT_EQ(view.fold.data(), store.columns().fold.data());
    EXPECT_EQ(view.city.data(), store.columns().city.data());
    EXPECT_EQ(view.session.data(), store.columns().sessions.data());
    EXPECT_EQ(view.name.data(), store.columns().names.data());
    EXPECT_EQ(view.classes, columns_.classes);
    EXPECT_EQ(view.cities, columns_.cities);
    EXPECT_EQ(store.classes_count(), 2);
    EXPECT_EQ(store.path(), file_);
    for (int64_t clip : {0, 1})
        for (size_t i = 0; i < 15; ++i) EXPECT_EQ(store.logmel(clip)[i], features_[static_cast<size_t>(clip) * 15 + i]);
}

/// With more cities than classes and with fewer, so that a check against the wrong table shows.
TEST_F(FeatureStoreTest, EveryIndexIsCheckedAgainstItsOwnTable) {
    const auto is_read = [&] {
        write_feature_store(file_, columns_, features_);
        try {
            FeatureStore::open(file_);
            return true;
        } catch (const Error&) { return false; }
    };
    for (const auto& [classes, cities] : {std::pair(1, 3), {3, 1}}) {
        columns_.classes.assign(static_cast<size_t>(classes), "scene");
        columns_.cities.assign(static_cast<size_t>(cities), "place");
        for (int32_t index = -2; index <= 3; ++index) {
            columns_.label = {-1, index}, columns_.city = {-1, -1};
            EXPECT_EQ(is_read(), index >= -1 && index < classes) << "label " << index << " of " << classes;
            columns_.label = {-1, -1}, columns_.city = {-1, index};
            EXPECT_EQ(is_read(), index >= -1 && index < cities) << "city " << index << " of " << cities;
        }
        columns_.city = {-1, -1};
        for (const int32_t fold : {-2, -1, 0, 4, 1000}) {
            columns_.fold = {0, fold};
            EXPECT_EQ(is_read(), fold >= -1) << "fold " << fold;
        }
    }
}

/// Stores with a tensor whose shape is valid by itself, but does not match the other tensors.
TEST_F(FeatureStoreTest, EveryTensorHasTheShapeThatTheOthersAskFor) {
    write_feature_store(folder_ / "good", columns_, features_);
    const SafetensorsFile good(folder_ / "good");
    const auto rejects = [&](const std::string& name, const std::vector<int64_t>& shape, const std::string& content,
                             const std::string& part) {
        SafetensorsWriter writer(file_, good.metadata());
        const auto is_other = [&](const SafetensorsEntry& entry) { return entry.name == name; };
        for (const SafetensorsEntry& entry : good.tensors())
            writer.declare(entry.name, entry.dtype, is_other(entry) ? shape : entry.shape);
        for (const SafetensorsEntry& entry : good.tensors()) {
            if (is_other(entry) && !content.empty())
                writer.write(content.data(), content.size());
            else
                writer.write(entry.bytes.data(), entry.bytes.size());
        }
        writer.commit();
        return fails_with([&] { FeatureStore::open(file_); }, {"a.store", "corrupted", part});
    };
    EXPECT_TRUE(rejects("logmel", {2, 3, 5}, "", "'logmel' is F32 [2, 3, 5]"));
    EXPECT_TRUE(rejects("logmel", {10, 1, 3}, "", "'logmel'"));
    EXPECT_TRUE(rejects("logmel", {6, 5, 1}, "", "'logmel'"));
    EXPECT_TRUE(rejects("logmel", {30}, "", "'logmel'"));
    EXPECT_TRUE(rejects("time", {8, 2}, "", "'time'"));
    for (const char* name : {"label", "city", "fold", "has_time"}) EXPECT_TRUE(rejects(name, {1, 2}, "", name));
    for (const char* name : {"label", "city", "fold"})
        EXPECT_TRUE(rejects(name, {3}, std::string(12, '\0'), name)) << "a clip more";
    EXPECT_TRUE(rejects("has_time", {1}, std::string(1, '\1'), "has_time"));
    for (const char* name : {"names", "sessions", "devices", "recorded"}) {
        EXPECT_TRUE(rejects(name, {13}, R"(["a","b","c"])", "has 3 entries for 2 clips")) << name;
        EXPECT_TRUE(rejects(name, {5}, R"(["a"])", "has 1 entries for 2 clips")) << name;
        EXPECT_TRUE(rejects(name, {7}, R"(["a",5])", "is not a list of texts")) << name;
        EXPECT_TRUE(rejects(name, {13}, R"({"a":1,"b":2})", "is not a list of texts")) << name;
    }
}

TEST(LogMelSpecJson, RoundTripAndDamage) {
    const LogMelSpec spec{.low_hz = 27.5f, .frames = 423};
    EXPECT_EQ(parse_log_mel_spec(log_mel_spec_json(spec), "x"), spec);
    EXPECT_TRUE(fails_with([] { parse_log_mel_spec("{}", "file.store"); }, {"file.store", "damaged feature settings"}));
    EXPECT_TRUE(fails_with([] { parse_log_mel_spec("{", "file.store"); }, {"file.store", "damaged feature settings"}));
    const LogMelSpec longest{.hop = 1, .samples = std::numeric_limits<int32_t>::max()};
    EXPECT_EQ(parse_log_mel_spec(log_mel_spec_json(longest), "x"), longest);
    const auto damaged = [](const std::string& from, const std::string& to, const std::string& what) {
        std::string text = log_mel_spec_json({});
        text.replace(text.find(from), from.size(), to);
        return fails_with([&] { parse_log_mel_spec(text, "x"); }, {"x", what});
    };
    EXPECT_TRUE(damaged("\"n_fft\":2048", "\"n_fft\":2048.5", "damaged"));
    EXPECT_TRUE(damaged("\"hop\":882", "\"hop\":4294968178", "damaged")) << "not 882";
    EXPECT_TRUE(damaged("\"top_db\":80.0", "\"top_db\":1e300", "impossible")) << "no float";
    const auto refused = [](auto change) {
        LogMelSpec spec;
        change(spec);
        return fails_with([&] { parse_log_mel_spec(log_mel_spec_json(spec), "x"); }, {"x", "impossible"});
    };
    EXPECT_TRUE(refused([](LogMelSpec& spec) { spec.n_fft = 2000; }));
    EXPECT_TRUE(refused([](LogMelSpec& spec) { spec.window = spec.n_fft + 1; }));
    EXPECT_TRUE(refused([](LogMelSpec& spec) { spec.frames = 2 + spec.samples / spec.hop; }));
    EXPECT_TRUE(refused([](LogMelSpec& spec) { spec.low_hz = 22050; }));
    EXPECT_TRUE(refused([](LogMelSpec& spec) { spec.hop = 0; }));
    EXPECT_TRUE(refused([](LogMelSpec& spec) { spec.bands = -1; }));
}

} // namespace
} // namespace scene

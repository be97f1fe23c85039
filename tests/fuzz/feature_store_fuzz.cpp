// Damaged feature stores.

#include "data/store/feature_store.h"

#include <cstring>

#include "tests/fuzz/fuzz.h"

namespace {

using scene::FeatureStore;
using scene::StoreColumns;
using scene::test::require;

template <typename T> bool same_bits(const std::vector<T>& a, const std::vector<T>& b) {
    return a.size() == b.size() && (a.empty() || std::memcmp(a.data(), b.data(), a.size() * sizeof(T)) == 0);
}

/// Header, a line end, tensors: the header gets its length and is aligned, so that the damage behind is reached.
std::string file_of(const std::string& input) {
    const size_t end = std::min(input.find('\n'), input.size());
    std::string header = input.substr(0, end), length;
    header.resize((header.size() + 8 + 63) / 64 * 64 - 8, ' ');
    for (int i = 0; i < 8; ++i) length.push_back(static_cast<char>(header.size() >> (8 * i)));
    return length + header + input.substr(std::min(end + 1, input.size()));
}

/// Columns of one entry per clip, of classes and cities there are; writing and opening them again gives the same.
bool accepts(const std::string& input) {
    const FeatureStore store = FeatureStore::open(scene::test::write_input("fuzz.store", file_of(input)));
    StoreColumns columns = store.columns();
    const auto clips = static_cast<size_t>(store.clips());
    require(columns.spec.is_possible(), "features that a transform exists for");
    require(store.logmel().size() == clips * size_t(columns.spec.frames) * size_t(columns.spec.bands), "the features");
    require(columns.label.size() == clips && columns.city.size() == clips && columns.fold.size() == clips &&
                columns.has_time.size() == clips && columns.time.size() == 8 * clips &&
                columns.sessions.size() == clips && columns.devices.size() == clips &&
                (columns.recorded.empty() || columns.recorded.size() == clips),
            "an entry per clip");
    for (size_t i = 0; i < clips; ++i) {
        require(columns.label[i] >= -1 && columns.label[i] < int64_t(columns.classes.size()), "a class there is");
        require(columns.city[i] >= -1 && columns.city[i] < int64_t(columns.cities.size()), "a city there is");
        require(columns.fold[i] >= -1, "a fold");
    }
    const std::string copy = scene::test::write_input("copy.store", "");
    const StoreColumns other = scene::test::again([&] {
        scene::write_feature_store(copy, columns, store.logmel());
        return FeatureStore::open(copy).columns();
    });
    if (columns.recorded.empty()) columns.recorded.resize(clips);
    require(columns.dataset == other.dataset && columns.source == other.source && columns.fit == other.fit &&
                columns.spec == other.spec && columns.classes == other.classes && columns.cities == other.cities &&
                columns.names == other.names && columns.sessions == other.sessions &&
                columns.devices == other.devices && columns.recorded == other.recorded &&
                columns.label == other.label && columns.city == other.city && columns.fold == other.fold &&
                columns.has_time == other.has_time && same_bits(columns.time, other.time),
            "the same is read again");
    return true;
}

/// As our writer makes it, but without the checksum, which no damaged file would agree with.
std::string complete(const StoreColumns& columns) {
    const scene::StoreFrame frame = scene::store_frame(columns);
    std::string header = frame.head.substr(8);
    const std::string checksum = R"(,"crc32c":"00000000")";
    header.erase(header.find(checksum), checksum.size());
    header.erase(header.find_last_not_of(' ') + 1);
    const size_t values = size_t(columns.clips() * columns.spec.frames * columns.spec.bands);
    return header + "\n" + std::string(4 * values, '\x3F') + frame.tail;
}

} // namespace

int main(int argc, char** argv) {
    StoreColumns columns;
    columns.dataset = "table";
    columns.source = "clips.csv";
    columns.fit = "loop";
    columns.spec.frames = 2;
    columns.spec.bands = 3;
    columns.classes = {"Bus", "M\xC3\xA9tro"};
    columns.cities = {"Xi'an"};
    columns.names = {"a.wav", "b.wav"};
    columns.sessions = {"", "s"};
    columns.devices = {"a", ""};
    columns.label = {1, -1};
    columns.city = {-1, 0};
    columns.fold = {-1, 4};
    columns.has_time = {1, 0};
    columns.time = std::vector<float>(16, 0.5f);
    columns.recorded = {"2023-06-18 18:44:34", ""};
    StoreColumns none;
    none.dataset = "folder";
    none.fit = "zero";
    return scene::test::fuzz_main(argc, argv,
                                  {{complete(columns), complete(none)},
                                   {"0",
                                    "1",
                                    "2",
                                    "3",
                                    "-1",
                                    "1.5",
                                    "1e300",
                                    "1e38",
                                    "true",
                                    "null",
                                    "2147483647",
                                    "4294967298",
                                    "[]",
                                    "[\"\"]",
                                    "[\\\"\\\"]",
                                    "\"U8\"",
                                    "\"F32\"",
                                    "[0,0]",
                                    "[2]",
                                    "[2,8]",
                                    "\\\"",
                                    "\\n",
                                    "\\u0000",
                                    "\n",
                                    "}",
                                    "{",
                                    ",",
                                    "[",
                                    "]",
                                    "\xFF",
                                    std::string(4, '\xFF'),
                                    std::string("\1\0\0\0", 4)},
                                   accepts,
                                   4000});
}

// Damaged metadata of checkpoints.

#include "model/checkpoint_info.h"
#include "model/networks/network.h"

#include <cmath>

#include "tests/fuzz/fuzz.h"

namespace {

using scene::test::require;

/// A file without tensors.
std::string path_of(const std::string& name, const std::string& header) {
    std::string length;
    for (int i = 0; i < 8; ++i) length.push_back(static_cast<char>(header.size() >> (8 * i)));
    return scene::test::write_input(name, length + header);
}

std::string header_of(const scene::CheckpointInfo& info) {
    const std::string file = scene::safetensors_header(scene::checkpoint_metadata(info), {});
    std::string header = file.substr(8);
    const std::string checksum = R"(,"crc32c":"00000000")"; // no file of our own, which would have to agree with it
    header.erase(header.find(checksum), checksum.size());
    return header.substr(0, header.find_last_not_of(' ') + 1);
}

/// Settings that a network and a transform exist for; writing and reading them gives the same.
bool accepts(const std::string& input) {
    const scene::CheckpointInfo info =
        scene::read_checkpoint_info(scene::SafetensorsFile(path_of("fuzz.safetensors", input)));
    const scene::ModelConfig& model = info.model;
    require(info.features.is_possible(), "features that a transform exists for");
    require(model.width > 0 && model.width <= 64, "a width");
    require(model.classes >= 2 && static_cast<size_t>(model.classes) == info.classes.size(), "a name for every class");
    require(static_cast<size_t>(model.cities) >= info.cities.size(), "a row for every city");
    require(model.frames == info.features.frames && model.bands == info.features.bands, "a network of these features");
    for (const float dropout : {model.conv_dropout, model.encoder_dropout})
        require(dropout >= 0 && dropout < 1, "a share that drops out");
    const scene::CheckpointInfo other = scene::test::again([&] {
        return scene::read_checkpoint_info(scene::SafetensorsFile(path_of("copy.safetensors", header_of(info))));
    });
    require(other == info, "the same is read again");
    return true;
}

} // namespace

int main(int argc, char** argv) {
    scene::CheckpointInfo small;
    small.model = {&scene::se_trans, 0.05, 3, 32, 16, true, true, 2, 0.25f, 0.1f};
    small.features.frames = 32;
    small.features.bands = 16;
    small.features.samples = 32 * 882;
    small.fit_rule = "loop";
    small.classes = {"Bus", "Park, \"urban\"", "M\xC3\xA9tro"};
    small.cities = {"Xi'an", "Jinan"};
    small.system = "2";
    small.training = {{"epoch", "3"}, {"history", "[]"}};
    scene::CheckpointInfo large;
    large.classes = {"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"};
    large.fit_rule = "zero";
    large.system = "mine";
    return scene::test::fuzz_main(argc, argv,
                                  {{header_of(small), header_of(large)},
                                   {"0",    "1",     "-1",         "2",          "32",          "64",
                                    "8192", "16384", "2147483647", "2147483648", "-2147483648", "1e9",
                                    "1e38", "1e-50", "1e400",      "0.5",        "nan",         "inf",
                                    "-0",   "true",  "fcnn",       "se-trans",   "[]",          "[\\\"a\\\"]",
                                    "[[[[", "null",  "\\\"a\\\",", "\\n",        "\\u0000",     "\"training.x\":\"y\",",
                                    "\"",   ",",     "}",          "\xFF"},
                                   accepts,
                                   5000});
}

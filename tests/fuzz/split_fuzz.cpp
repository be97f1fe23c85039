// Damaged split files.

#include "data/splits/splits.h"

#include <set>

#include "tests/fuzz/fuzz.h"

namespace {

using scene::test::require;

constexpr int64_t clips = 7;

/// Every clip is one of the store's and stands in one part, ascending; saving and loading gives the same.
bool accepts(const std::string& input) {
    const scene::Split split = scene::load_split(scene::test::write_input("fuzz.json", input), clips);
    std::set<int32_t> seen;
    for (const auto* part : {&split.labelled, &split.unlabelled, &split.test})
        for (size_t i = 0; i < part->size(); ++i) {
            require((*part)[i] >= 0 && (*part)[i] < clips, "a clip of the store");
            require(seen.insert((*part)[i]).second, "a clip stands in one part");
            require(i == 0 || (*part)[i - 1] < (*part)[i], "the clips ascend");
            require(input.find(std::to_string((*part)[i])) != std::string::npos, "a clip that the file names");
        }
    const std::string copy = scene::test::write_input("copy.json", "");
    const scene::Split other = scene::test::again([&] {
        scene::save_split(copy, split, clips);
        return scene::load_split(copy, clips);
    });
    require(other == split, "the same split is read again");
    return true;
}

} // namespace

int main(int argc, char** argv) {
    return scene::test::fuzz_main(
        argc, argv,
        {{R"({"format":"scene.cu split","version":1,"name":"fold:4","seed":18446744073709551615,"clips":7,)"
          R"("labelled":[0,3],"unlabelled":[1,6],"test":[2,4,5]})"
          "\n",
          R"({"test":[],"unlabelled":[0,1,2,3,4,5,6],"labelled":[],"clips":7,"seed":0,"name":"","version":1,)"
          R"("format":"scene.cu split","more":[[{}],"\u0000",1e300]})",
          R"({"format":"scene.cu split","version":1,"name":"Xi'an","seed":1,"clips":7,"labelled":[0,1],)"
          R"("unlabelled":[],"test":[6]})"},
         {"0",
          "1",
          "2",
          "3",
          "6",
          "7",
          "-1",
          "1.5",
          "1e0",
          "1e300",
          "true",
          "null",
          "4294967297",
          "2147483648",
          "18446744073709551616",
          "\"scene.cu split\"",
          "\"test\":[0]",
          "[",
          "]",
          "{",
          "}",
          ",",
          "[]",
          "{}",
          "{\"0\":1}",
          "\"",
          "\\",
          "\\u0000",
          "\\ud800",
          "\n",
          "\xFF",
          "[[[[[[[["},
         accepts,
         10000});
}

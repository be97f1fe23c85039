// Damaged lists of the clips of an official split.

#include "data/splits/official_split.h"

#include <set>

#include "tests/fuzz/fuzz.h"

namespace {

using scene::test::require;

const std::vector<std::string> names = {"audio/a.wav", "audio/b.wav", "audio/c.wav", "x/d.wav", "y/d.wav", "e f.wav"};
const std::vector<int32_t> labels = {0, 1, 0, 1, -1, 1};

/// An input is the list of those that train if it begins with "r", else of those that test; the other one is undamaged.
bool accepts(const std::string& input) {
    const bool trains = input.starts_with("r");
    scene::ClipColumns clips;
    clips.label = labels;
    clips.classes = {"Bus", "Park"};
    clips.name = names;
    scene::SplitOptions options{.name = "official"};
    const std::string list = scene::test::write_input("fuzz.csv", input.substr(std::min<size_t>(1, input.size())));
    const std::string other =
        scene::test::write_input("other.csv", trains ? "x/d.wav\na.wav\n" : "filename\nb.wav\naudio/c.wav\ny/d.wav\n");
    options.train_list = trains ? list : other;
    options.test_list = trains ? other : list;
    const scene::Split split = scene::official_split(clips, options);

    std::set<int32_t> seen;
    for (const auto* part : {&split.labelled, &split.unlabelled, &split.test})
        for (size_t i = 0; i < part->size(); ++i) {
            const int32_t clip = (*part)[i];
            require(clip >= 0 && clip < 6 && seen.insert(clip).second, "a clip of the data, once");
            require(i == 0 || (*part)[i - 1] < clip, "the clips ascend");
            require((labels[size_t(clip)] < 0) == (part == &split.unlabelled), "clips with a label, and without");
        }
    for (const auto* part : {&split.labelled, &split.test}) {
        std::set<int32_t> classes;
        for (const int32_t clip : *part) classes.insert(labels[size_t(clip)]);
        require(classes.size() == 2, "both classes train and test");
    }
    for (const int32_t clip : trains ? split.labelled : split.test) {
        const std::string& name = names[size_t(clip)];
        require(input.find(name.substr(name.rfind('/') + 1)) != std::string::npos, "clips that the list names");
    }
    return true;
}

} // namespace

int main(int argc, char** argv) {
    return scene::test::fuzz_main(
        argc, argv,
        {{"rfilename\tscene_label\naudio/b.wav\tPark\naudio/c.wav\tBus\n", "rb.wav\ne f.wav\nc.wav",
          "r\xEF\xBB\xBF"
          "File,x\r\n\"e f.wav\",1\r\naudio/c.wav,\"two\nlines\"\r\ny/d.wav,2\r\n",
          " e f.wav\na.wav\nx/d.wav\n", " filename,n\nx/d.wav,1\na.wav,1 \n"},
         {"audio/a.wav", "audio/b.wav", "x/d.wav", "y/d.wav",  "d.wav", "e f.wav",  "c.wav",
          "\n",          "\r\n",        ",",       "\t",       "\"",    "\"a\nb\"", "/",
          "..",          "filename",    "file",    "\nfile\n", "",      "\xC3\xA9"},
         accepts,
         15000});
}

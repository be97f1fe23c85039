// Damaged metadata of data sets, of every format that is a table.

#include "data/formats/dataset.h"

#include <set>

#include "tests/fuzz/fuzz.h"

namespace {

using scene::test::require;

/// Names and lines that occur once; labels, cities and folds that there are; real times.
bool accepts(const std::string& input) {
    scene::DatasetOptions options;
    options.require_audio = false;
    const bool own_table = input.starts_with("file,") || input.starts_with("label,"); // others take no classes
    if (own_table && input.size() % 3 == 0) options.classes = {"Bus", "Park"};
    const scene::Dataset dataset = scene::read_dataset(scene::test::write_input("fuzz.csv", input), options);
    require(!dataset.clips.empty(), "at least one clip");
    const std::set<std::string> classes(dataset.classes.begin(), dataset.classes.end());
    require(classes.size() == dataset.classes.size() && !classes.contains(""), "classes with a name of their own");
    std::set<std::string> names;
    size_t line = 1;
    for (const scene::Clip& clip : dataset.clips) {
        require(!clip.name.empty() && names.insert(clip.name).second, "a name of its own");
        require(clip.line > line, "a row after the one before");
        line = clip.line;
        require(clip.label >= -1 && clip.label < static_cast<int>(dataset.classes.size()), "a class there is");
        require(clip.fold >= -1, "a fold");
        const int city = dataset.city_index(clip.city);
        require(city == -1 || dataset.cities.at(static_cast<size_t>(city)) == clip.city, "the city's number");
        require(!clip.time || scene::parse_record_time(text_of(*clip.time)) == clip.time, "a time");
        require(clip.file.empty(), "there is no audio file");
    }
    return true;
}

} // namespace

int main(int argc, char** argv) {
    return scene::test::fuzz_main(
        argc, argv,
        {{"filename,location,record_time,scene_label\na_1,Xi'an,2023-06-18 18:44:34,Bus\nb_2,Hefei,,shopping mall\n",
          "filename,scene_label\na,Bus\nb,\n",
          "filename,fold,target,category,esc10,src_file,take\n1-100032-A-0.wav,1,0,dog,True,100032,A\n"
          "1-100038-A-14.wav,5,14,birds,False,100038,A\n",
          "filename\tscene_label\tidentifier\tsource_label\naudio/airport-paris-1-2-b.wav\tairport\tparis-1\tb\n"
          "audio/bus-milan-3-4-a.wav\tbus\tmilan-3\ta\n",
          "file,label,city,time,fold,session,device\na.wav,Bus,Jinan,2024-02-29,0,s,d\n/x/b.wav,Park,,,,,\n",
          "label,file\n\"Bus\",\"a, b\"\n", "date;Category;path\n2024-02-29;Bus;C:\\set\\a.wav\n;Park;./b.wav\n"},
         {"Bus",
          "Park",
          "PUBLIC_square",
          "Xi\xE2\x80\x99"
          "an",
          "2023-02-29",
          "2023-06-18T00:00",
          "-1",
          "0",
          "2147483648",
          "1e3",
          "+1",
          "a.wav",
          "..",
          "/",
          "\\",
          "./",
          "C:\\",
          "----",
          "a-b-c-d",
          "-",
          ",",
          "\t",
          "\"",
          "\"\"",
          "\"\n\"",
          "\n",
          "\r\n",
          "filename",
          "file",
          "fold",
          "target",
          "category",
          "scene_label",
          "time",
          std::string(300, 'x')},
         accepts,
         15000});
}

// Damaged CSV files.

#include "data/formats/csv.h"

#include "tests/fuzz/fuzz.h"

namespace {

using scene::test::require;

/// Every row is complete, and writing and reading the table again gives the same.
bool accepts(const std::string& text) {
    const scene::CsvTable table = scene::parse_csv(text, "file");
    std::string copy = "\xEF\xBB\xBF"; // so that a mark in the first cell stays one
    const auto add = [&](const std::vector<std::string>& fields) {
        for (size_t i = 0; i < fields.size(); ++i)
            copy += (i ? "," : "") + (fields[i].empty() ? "\"\"" : scene::csv_field(fields[i]));
        copy += "\n";
    };
    add(table.header);
    size_t line = 0;
    for (const scene::CsvRow& row : table.rows) {
        require(row.fields.size() == table.header.size(), "every row has as many fields as the header");
        require(row.line > line, "rows stand in the order of their lines");
        line = row.line;
        add(row.fields);
    }
    if (table.delimiter != ',') return true;
    const scene::CsvTable again = scene::test::again([&] { return scene::parse_csv(copy, "copy"); });
    require(again.rows.size() == table.rows.size(), "all rows are read again");
    for (size_t i = 0; i < table.rows.size(); ++i)
        require(again.rows[i].fields == table.rows[i].fields, "the same fields are read again");
    return true;
}

} // namespace

int main(int argc, char** argv) {
    return scene::test::fuzz_main(
        argc, argv,
        {{"\xEF\xBB\xBF"
          "filename,location,record_time,scene_label\r\na_1,Xi'an,2023-06-18 18:44:34,\r\nb_2,Hefei,,Bus\r\n",
          "filename\tscene_label\tidentifier\tsource_label\naudio/airport-paris-1-2-b.wav\tairport\tparis-1\tb\n",
          "file,\"label\"\n\"a,b\",\"say \"\"hi\"\"\"\n\"two\nlines\",x", "a\n1\n", "sep=;\nfile;label\nx, y ;1\n;;\n",
          std::string("\xFF\xFE"
                      "a\0,\0b\0\n\0"
                      "1\0,\0"
                      "2\0\n\0",
                      18)},
         {"\"",
          "\"\"",
          ",",
          "\t",
          "\r\n",
          "\n",
          "\r",
          "\xEF\xBB\xBF",
          "\xE8\xA5\xBF",
          "\xC3",
          std::string(1, '\0'),
          "\"a\"b",
          ",,,",
          "\n\n\n",
          ";",
          "|",
          " ",
          "\xC2\xA0",
          "sep=,\n",
          "\xFF\xFE",
          std::string("\0\xD8", 2)},
         accepts});
}

// Damaged CSV files, for a build with -fsanitize=address,undefined. Usage: csv_fuzz [iterations] [seed]

#include "data/csv.h"

#include "kernels/error.h"
#include "tests/fuzz/mutate.h"

namespace {

/// True if the table is accepted; then every row is complete, and writing and reading it again gives the same.
bool accepts(const std::string& text) {
    try {
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
            if (row.fields.size() != table.header.size() || row.line <= line) std::abort();
            line = row.line;
            add(row.fields);
        }
        if (table.delimiter == ',') {
            const scene::CsvTable again = scene::parse_csv(copy, "copy");
            if (again.rows.size() != table.rows.size()) std::abort();
            for (size_t i = 0; i < table.rows.size(); ++i)
                if (again.rows[i].fields != table.rows[i].fields) std::abort();
        }
        return true;
    } catch (const scene::Error& error) {
        if (std::string(error.what()).find('\n') != std::string::npos) std::abort();
        return false;
    }
}

} // namespace

int main(int argc, char** argv) {
    const std::vector<std::string> corpus = {
        "\xEF\xBB\xBF"
        "filename,location,record_time,scene_label\r\na_1,Xi'an,2023-06-18 18:44:34,\r\nb_2,Hefei,,Bus\r\n",
        "filename\tscene_label\tidentifier\tsource_label\naudio/airport-paris-1-2-b.wav\tairport\tparis-1\tb\n",
        "file,\"label\"\n\"a,b\",\"say \"\"hi\"\"\"\n\"two\nlines\",x",
        "a\n1\n",
    };
    const std::vector<std::string> words = {"\"",
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
                                            "\n\n\n"};
    return scene::test::fuzz_main(argc, argv, corpus, words, accepts);
}

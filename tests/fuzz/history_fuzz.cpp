// Damaged training histories and lines of metrics.jsonl.

#include "train/run/history.h"

#include "tests/fuzz/fuzz.h"

namespace {

using scene::test::require;

/// What is read survives writing and reading: a history where the input is a list, else one epoch.
bool accepts(const std::string& input) {
    if (input.starts_with("[")) {
        const std::string once = scene::history_json(scene::parse_history_json(input, "fuzz"));
        const std::string twice =
            scene::test::again([&] { return scene::history_json(scene::parse_history_json(once, "copy")); });
        require(twice == once, "the same history is read again");
    } else {
        const std::string once = scene::epoch_json(scene::parse_epoch_json(input, "fuzz"));
        const std::string twice =
            scene::test::again([&] { return scene::epoch_json(scene::parse_epoch_json(once, "copy")); });
        require(twice == once, "the same epoch is read again");
    }
    return true;
}

} // namespace

int main(int argc, char** argv) {
    scene::EpochRecord record{1, 2, 1e-4, 1.0 / 7, 0.5, 2.25, 0.75, 0.625, true, 1.25, 100};
    const std::string line = scene::epoch_json(record);
    record.validation_labelled = __builtin_nan("");
    return scene::test::fuzz_main(
        argc, argv,
        {{line, scene::epoch_json(record), "[]", scene::history_json({record, record}), "[" + line + "]"},
         {"0",
          "1",
          "-1",
          "1.5",
          "1e300",
          "1e999",
          "-1e308",
          "9223372036854775807",
          "9223372036854775808",
          "true",
          "false",
          "null",
          "\"best\"",
          "\"stage\":1,",
          "[",
          "]",
          "{",
          "}",
          "[]",
          "{}",
          ",",
          ":",
          "\"",
          "\\ud800",
          "\n",
          "\xFF",
          line},
         accepts,
         15000});
}

// make counters: the kernels of a step, counted on the emulator at the step's real shapes. Prints a table and writes
// <out>/<step>.json; with the times that a model predicts of a GPU, <step>.predicted.json and <step>.html.

#include <charconv>
#include <cstring>
#include <filesystem>

#include "kernels/error.h"
#include "tests/counters/counters_json.h"
#include "tests/counters/model/report_writer.h"
#include "tests/counters/steps.h"
#include "tests/counters/table.h"
#include "tests/counters/thresholds.h"

namespace scene::counters {
namespace {

constexpr const char* usage = "counters [--out FOLDER] [--precision fp16|fp32] [--batch N] [--accesses N] [--gpu h100] "
                              "[--build FOLDER] [STEP...]: "
                              "the kernels of a step, counted on the emulator";

struct Options {
    std::filesystem::path out = "build/counters", build = "build"; ///< build: of the kernels for a GPU
    std::string gpu = "h100";
    StepSettings settings;
    std::vector<std::string> steps;
};

int64_t number(const std::string& text) {
    int64_t value = 0;
    const char* end = text.data() + text.size();
    const auto [rest, error] = std::from_chars(text.data(), end, value);
    if (error != std::errc() || rest != end || value < 1) fail("'{}' is no number from 1 on", text);
    return value;
}

Options parse(int count, char** arguments) {
    Options options;
    for (int i = 1; i < count; ++i) {
        const std::string name = arguments[i];
        if (!name.starts_with("--")) {
            options.steps.push_back(name);
            continue;
        }
        if (++i == count) fail("{} needs a value; {}", name, usage);
        const std::string value = arguments[i];
        if (name == "--out") {
            options.out = value;
        } else if (name == "--precision" && (value == "fp16" || value == "fp32")) {
            options.settings.activation = value == "fp16" ? DType::F16 : DType::F32;
        } else if (name == "--build") {
            options.build = value;
        } else if (name == "--gpu") {
            options.gpu = value;
        } else if (name == "--batch") {
            options.settings.batch = number(value);
        } else if (name == "--accesses") {
            options.settings.limits.accesses = static_cast<uint64_t>(number(value));
        } else {
            fail("unknown: {} {}; {}", name, value, usage);
        }
    }
    if (options.steps.empty()) options.steps = step_names();
    return options;
}

void run(const Options& options) {
    std::filesystem::create_directories(options.out);
    const ReportWriter writer(options.gpu, options.build);
    for (const std::string& name : options.steps) {
        const CountedStep step = count_step(name, options.settings);
        const std::filesystem::path file =
            options.out / fmt::format("{}_{}.json", step.counters.program, step.counters.precision);
        write_step_counters(step.counters, file);
        fmt::print("{}\n", table_text(step.counters));
        for (const Finding& finding : findings(step)) fmt::print("{:<9} {}\n", finding.rule, finding.text);
        const StepReport report = writer.write(step.counters, step.time_plan, options.out);
        fmt::print("\n{}\n{}\nwritten: {}, and its predictions beside it (.predicted.json, .html)\n\n",
                   table_text(report), markdown(report), file.string());
    }
}

} // namespace
} // namespace scene::counters

int main(int count, char** arguments) {
    if (count == 2 && std::strcmp(arguments[1], "--help") == 0) {
        fmt::print("{}\n", scene::counters::usage);
        return 0;
    }
    try {
        scene::counters::run(scene::counters::parse(count, arguments));
        return 0;
    } catch (const std::exception& error) {
        fmt::print(stderr, "counters: {}\n", error.what());
        return 1;
    }
}

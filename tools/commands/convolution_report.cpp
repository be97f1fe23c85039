#include "tools/commands/convolution_report.h"

#include <algorithm>

#include <fmt/format.h>

#include "tools/cli/text_table.h"

namespace scene {
namespace {

int left_out(const ConvReport& report) {
    int sum = 0;
    for (const ConvChoice& choice : report.choices) sum += choice.left_out;
    return sum;
}

} // namespace

nlohmann::ordered_json to_json(const ConvReport& report) {
    using Json = nlohmann::ordered_json;
    Json choices = Json::array();
    for (const ConvChoice& choice : report.choices)
        choices.push_back(Json{{"pass", choice.pass},
                               {"engine", choice.engine},
                               {"microseconds", 1e6 * choice.seconds},
                               {"ran", choice.ran},
                               {"failures", choice.failures},
                               {"left_out", choice.left_out}});
    return {{"kept", report.kept},
            {"autotune",
             {{"budget_seconds", report.budget_seconds},
              {"spent_seconds", report.spent_seconds},
              {"left_out", left_out(report)}}},
            {"choices", choices}};
}

std::string left_out_line(const ConvReport& report) {
    const auto limited = [](const ConvChoice& choice) { return choice.left_out > 0; };
    const auto passes = std::count_if(report.choices.begin(), report.choices.end(), limited);
    if (passes == 0) return "";
    return fmt::format("{} engines for {} of {} forms of a convolution were not tried within the {:.0f} seconds for a "
                       "step; runtime.autotune_seconds sets another time, 0 no limit",
                       left_out(report), passes, report.choices.size(), report.budget_seconds);
}

std::string failures_line(const ConvReport& report) {
    const auto failed = [](const ConvChoice& choice) { return !choice.failures.empty(); };
    const auto first = std::find_if(report.choices.begin(), report.choices.end(), failed);
    if (first == report.choices.end()) return "";
    return fmt::format(
        "engines failed for {} of {} forms of a convolution (the first: {}: {}); `scene bench` lists them",
        std::count_if(first, report.choices.end(), failed), report.choices.size(), first->pass, first->failures);
}

std::string text_of(const ConvReport& report, bool all) {
    TextTable table({"convolution", "engine", "us"}, {0, 1});
    for (const ConvChoice& choice : report.choices)
        if (choice.ran || all)
            table.add({choice.pass, choice.engine.empty() ? "none" : choice.engine,
                       choice.seconds > 0 ? fmt::format("{:.1f}", 1e6 * choice.seconds) : ""});
    std::string text = table.text();
    for (const ConvChoice& choice : report.choices)
        if (!choice.failures.empty()) text += fmt::format("Failed: {}: {}\n", choice.pass, choice.failures);
    text +=
        fmt::format("The choice took {:.1f} s, of {} for a step\n", report.spent_seconds,
                    report.budget_seconds > 0 ? fmt::format("at most {:.0f}", report.budget_seconds) : "any number");
    if (const std::string line = left_out_line(report); !line.empty()) text += fmt::format("Left out: {}\n", line);
    return text + fmt::format("Choices are kept: {}\n", report.kept);
}

} // namespace scene

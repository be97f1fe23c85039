#include "tools/commands/convolution_report.h"

#include <algorithm>

#include <fmt/format.h>

#include "tools/cli/text_table.h"

namespace scene {

nlohmann::ordered_json to_json(const ConvReport& report) {
    using Json = nlohmann::ordered_json;
    Json choices = Json::array();
    for (const ConvChoice& choice : report.choices)
        choices.push_back(Json{{"pass", choice.pass},
                               {"engine", choice.engine},
                               {"microseconds", 1e6 * choice.seconds},
                               {"ran", choice.ran},
                               {"failures", choice.failures}});
    return {{"kept", report.kept}, {"choices", choices}};
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
    return text + fmt::format("Choices are kept: {}\n", report.kept);
}

} // namespace scene

#include "tools/commands/summary_text.h"

#include <cmath>

#include <fmt/core.h>

#include "kernels/error.h"
#include "tools/cli/text_table.h"
#include "train/evaluation/statistic.h"

namespace scene {
namespace {

std::string lines_table(const std::string& kind, const std::string& score, const std::vector<SummaryLine>& lines) {
    if (lines.empty()) return "";
    TextTable table({kind, score});
    for (const SummaryLine& line : lines) table.add({line.name, statistic_text(line.values)});
    return "\n" + table.text();
}

} // namespace

std::string summary_text(const Summary& summary) {
    std::string out = fmt::format("System {} on split {}: {} runs; mean ± sample standard deviation (n - 1)\n\n",
                                  summary.system, summary.split, summary.runs.size());
    TextTable runs({"balanced accuracy", "train", "pseudo", "labelled validation", "test", "leaked"});
    const auto line = [&](const std::string& name) -> const std::vector<double>& {
        for (const SummaryLine& one : summary.scores)
            if (one.name == name) return one.values;
        SCENE_CHECK(false, "a summary has every score");
        return summary.scores.front().values;
    };
    const std::vector<std::string> columns = {"train", "pseudo", "labelled_validation", "test_balanced_accuracy",
                                              "leaked_share"};
    for (size_t run = 0; run < summary.runs.size(); ++run) {
        std::vector<std::string> row = {summary.runs[run]};
        for (const std::string& column : columns) row.push_back(statistic_text({line(column).at(run)}));
        runs.add(row);
    }
    std::vector<std::string> means = {"mean"};
    for (const std::string& column : columns) means.push_back(statistic_text(line(column)));
    runs.add(means);
    out += runs.text();
    if (std::isnan(statistic(line("leaked_share")).mean)) out += "leaked: unknown (no sessions, or no test clips)\n";
    out += lines_table("class", "recall", summary.classes);
    out += lines_table("city", "balanced accuracy", summary.cities);
    out += lines_table("device", "balanced accuracy", summary.devices);
    return out;
}

} // namespace scene

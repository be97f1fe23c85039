#include "train/report/report.h"

#include <gtest/gtest.h>

namespace scene::test {
namespace {

std::vector<EpochRecord> history() {
    std::vector<EpochRecord> out;
    for (int64_t stage : {1, 2}) {
        for (int64_t epoch : {1, 2, 3}) {
            EpochRecord record;
            record.stage = stage;
            record.epoch = epoch;
            record.train_loss = 1.0 / static_cast<double>(stage * epoch);
            record.validation_balanced_accuracy = 0.25 * static_cast<double>(epoch);
            out.push_back(record);
        }
    }
    return out;
}

size_t occurrences(const std::string& text, const std::string& part) {
    size_t count = 0;
    for (size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++count;
    return count;
}

TEST(Report, HasScoresCurvesMatrixAndSettings) {
    RunResult result;
    result.train_score = 0.75;
    result.pseudo_score = 0.875;
    result.test = Confusion(2, {3, 1, 0, 17});
    result.cities = {{"Xi'an", Confusion(2, {2, 1, 0, 13})}};
    result.leak = {0.3125, 0.3125, 1};
    const std::string html = report_html(system_config(4), result, history(), {"Bus", "Metro"});
    EXPECT_EQ(html.rfind("<!DOCTYPE html>", 0), 0u);
    for (const char* part : {"0.750", "0.875", ">17<", "Bus", "Metro", "<svg", "polyline", "learning_rate = 0.0001",
                             "Per city", "Xi'an", "0.833", "Split simulation; leaked 0.312"})
        EXPECT_NE(html.find(part), std::string::npos) << part;
    EXPECT_EQ(occurrences(html, "<polyline"), 5u);
    EXPECT_EQ(occurrences(html, "stroke-dasharray"), 2u) << "the start of stage 2 in both charts";
    for (const char* tag : {"table", "svg", "tr", "td", "th", "div", "body", "html"})
        EXPECT_EQ(occurrences(html, std::string("<") + tag + ">") + occurrences(html, std::string("<") + tag + " "),
                  occurrences(html, std::string("</") + tag + ">"))
            << tag;
    EXPECT_EQ(html.find("nan"), std::string::npos);
}

TEST(Report, NeedsNothingFromElsewhere) {
    const std::string html = report_html(system_config(1), {}, history(), {});
    for (const char* part : {"http", "src=", "href=", "<script", "@import", "url("})
        EXPECT_EQ(html.find(part), std::string::npos) << part;
}

TEST(Report, EscapesNames) {
    RunConfig config = system_config(2);
    config.split.name = "<b>&\"";
    RunResult result;
    result.test = Confusion(1, {1});
    const std::string html = report_html(config, result, {}, {"<script>alert(1)</script>"});
    EXPECT_EQ(html.find("<script>"), std::string::npos);
    EXPECT_NE(html.find("&lt;b&gt;&amp;&quot;"), std::string::npos);
}

} // namespace
} // namespace scene::test

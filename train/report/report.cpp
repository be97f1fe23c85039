#include "train/report/report.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>

#include "kernels/error.h"
#include "train/report/confusion_files.h"

namespace scene {
namespace {

std::string score(double value) { return std::isfinite(value) ? fmt::format("{:.3f}", value) : "–"; }

constexpr const char* style = R"(
body{font:15px/1.5 system-ui,sans-serif;color:#1c2430;background:#fff;max-width:960px;margin:2em auto;padding:0 1em}
h1{font-size:1.6em}h2{font-size:1.2em;margin-top:2em}
table{border-collapse:collapse;font-variant-numeric:tabular-nums}
td,th{padding:.25em .7em;text-align:right;border-bottom:1px solid #dde3ea}
td:first-child,th:first-child{text-align:left}
.scores{display:flex;gap:1em;flex-wrap:wrap}.scores div{border:1px solid #dde3ea;border-radius:8px;padding:.6em 1.2em}
.scores b{display:block;font-size:1.6em}
.matrix{overflow-x:auto}.matrix td,.matrix th{text-align:center;padding:.3em .5em}
pre{background:#f4f6f8;padding:1em;overflow-x:auto}svg{max-width:100%;height:auto}
)";

/// A curve of a chart.
struct Curve {
    std::string name, colour;
    std::function<double(const EpochRecord&)> value;
};

constexpr double chart_width = 900, chart_height = 260, margin_left = 56, margin_right = 12, margin_top = 12,
                 margin_bottom = 34;

/// An SVG chart over the epochs of all stages, with a dashed line where a stage begins.
std::string chart(const std::vector<EpochRecord>& history, const std::vector<Curve>& curves, const std::string& label) {
    double low = std::numeric_limits<double>::infinity(), high = -low;
    for (const EpochRecord& record : history) {
        for (const Curve& curve : curves) {
            const double value = curve.value(record);
            if (std::isfinite(value)) low = std::min(low, value), high = std::max(high, value);
        }
    }
    if (!(low <= high)) return "<p>No epochs.</p>";
    const double padding = std::max(0.05 * (high - low), 1e-6);
    low -= padding, high += padding;
    const double plot_width = chart_width - margin_left - margin_right;
    const double plot_height = chart_height - margin_top - margin_bottom;
    const auto x = [&](size_t index) {
        return margin_left + plot_width * (static_cast<double>(index) + 0.5) / static_cast<double>(history.size());
    };
    const auto y = [&](double value) { return margin_top + plot_height * (high - value) / (high - low); };

    std::string svg = fmt::format(R"(<svg viewBox="0 0 {} {}" role="img" aria-label="{}" font-size="12">)", chart_width,
                                  chart_height, escaped_markup(label));
    for (int tick = 0; tick <= 4; ++tick) {
        const double value = low + (high - low) * tick / 4;
        svg += fmt::format(R"(<path d="M{:.1f} {:.1f}H{:.1f}" stroke="#e3e8ee"/><text x="{}" y="{:.1f}" )"
                           R"(text-anchor="end" fill="#5b6673">{:.3f}</text>)",
                           margin_left, y(value), chart_width - margin_right, margin_left - 6, y(value) + 4, value);
    }
    const size_t every = std::max<size_t>(1, history.size() / 20);
    for (size_t index = 0; index < history.size(); ++index) {
        if (index > 0 && history[index].stage != history[index - 1].stage)
            svg += fmt::format(R"(<path d="M{0:.1f} {1}V{2:.1f}" stroke="#8a94a3" stroke-dasharray="4 4"/>)",
                               (x(index) + x(index - 1)) / 2, margin_top, margin_top + plot_height);
        if (index % every == 0)
            svg += fmt::format(R"(<text x="{:.1f}" y="{}" text-anchor="middle" fill="#5b6673">{}</text>)", x(index),
                               chart_height - margin_bottom + 16, history[index].epoch);
    }
    double legend = margin_left + 8;
    for (const Curve& curve : curves) {
        std::string points;
        for (size_t index = 0; index < history.size(); ++index) {
            const double value = curve.value(history[index]);
            if (std::isfinite(value)) points += fmt::format("{:.1f},{:.1f} ", x(index), y(value));
        }
        svg += fmt::format(R"(<polyline points="{}" fill="none" stroke="{}" stroke-width="2"/>)", points, curve.colour);
        svg += fmt::format(R"(<text x="{:.0f}" y="{}" fill="{}">{}</text>)", legend, chart_height - 3, curve.colour,
                           escaped_markup(curve.name));
        legend += 9.0 * static_cast<double>(curve.name.size()) + 24;
    }
    return svg + "</svg>\n";
}

std::string matrix_table(const Confusion& confusion, const std::vector<std::string>& classes) {
    std::string html = "<div class=\"matrix\"><table><tr><th>true \\ predicted</th>";
    for (int64_t predicted = 0; predicted < confusion.classes(); ++predicted)
        html +=
            fmt::format("<th title=\"{}\">{}</th>", escaped_markup(classes[static_cast<size_t>(predicted)]), predicted);
    html += "</tr>\n";
    for (int64_t truth = 0; truth < confusion.classes(); ++truth) {
        html += fmt::format("<tr><th>{} {}</th>", truth, escaped_markup(classes[static_cast<size_t>(truth)]));
        const auto clips = static_cast<double>(std::max<int64_t>(1, confusion.clips(truth)));
        for (int64_t predicted = 0; predicted < confusion.classes(); ++predicted) {
            const int64_t count = confusion.count(truth, predicted);
            const double share = static_cast<double>(count) / clips;
            const char* colour = truth == predicted ? "32,120,180" : "200,80,40";
            html += fmt::format("<td style=\"background:rgba({},{:.2f})\">{}</td>", colour, 0.75 * share, count);
        }
        html += "</tr>\n";
    }
    return html + "</table></div>\n";
}

std::string class_table(const Confusion& confusion, const std::vector<std::string>& classes) {
    std::string html = "<table><tr><th>class</th><th>clips</th><th>recall</th><th>precision</th></tr>\n";
    for (int64_t truth = 0; truth < confusion.classes(); ++truth)
        html += fmt::format("<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>\n",
                            escaped_markup(classes[static_cast<size_t>(truth)]), confusion.clips(truth),
                            score(confusion.recall(truth)), score(confusion.precision(truth)));
    return html + "</table>\n";
}

std::string part_table(const char* kind, const std::vector<PartScore>& parts) {
    if (parts.empty()) return "";
    std::string html = fmt::format("<h2>Per {0}</h2>\n<table><tr><th>{0}</th><th>clips</th><th>balanced accuracy</th>"
                                   "<th>accuracy</th></tr>\n",
                                   kind);
    for (const PartScore& part : parts)
        html += fmt::format("<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>\n", escaped_markup(part.name),
                            part.confusion.total(), score(part.confusion.balanced_accuracy()),
                            score(part.confusion.accuracy()));
    return html + "</table>\n";
}

std::string epoch_table(const std::vector<EpochRecord>& history) {
    std::string html = "<table><tr><th>stage</th><th>epoch</th><th>learning rate</th><th>train loss</th>"
                       "<th>train</th><th>validation loss</th><th>validation</th><th>labelled only</th></tr>\n";
    for (const EpochRecord& r : history)
        html += fmt::format("<tr><td>{}</td><td>{}{}</td><td>{:.3g}</td><td>{:.4f}</td><td>{}</td><td>{:.4f}</td>"
                            "<td>{}</td><td>{}</td></tr>\n",
                            r.stage, r.epoch, r.best ? " *" : "", r.learning_rate, r.train_loss,
                            score(r.train_balanced_accuracy), r.validation_loss, score(r.validation_balanced_accuracy),
                            score(r.validation_labelled));
    return html + "</table>\n<p>* the weights of this epoch were kept (the last such line of a stage counts)</p>\n";
}

} // namespace

std::string report_html(const RunConfig& config, const RunResult& result, const std::vector<EpochRecord>& history,
                        const std::vector<std::string>& classes) {
    const std::string title =
        fmt::format("System {} on split {}", escaped_markup(system_title(config)), escaped_markup(config.split.name));
    std::string html = fmt::format("<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>{}</title>"
                                   "<style>{}</style></head><body>\n<h1>{}</h1>\n<div class=\"scores\">",
                                   title, style, title);
    const auto add_score = [&](const std::string& name, const std::string& value) {
        html += fmt::format("<div>{}<b>{}</b></div>", name, value);
    };
    constexpr double none = std::numeric_limits<double>::quiet_NaN();
    add_score("Train (validation, stage 1)", score(result.train_score));
    if (config.training.stages >= 2) {
        add_score(fmt::format("Pseudo (validation, stage {})", config.training.stages),
                  score(result.pseudo_score.value_or(none)));
        add_score(fmt::format("Stage {}, labelled clips only", config.training.stages),
                  score(result.labelled_score.value_or(none)));
    }
    add_score("Test", score(result.test ? result.test->balanced_accuracy() : none));
    html +=
        fmt::format("</div>\n<p>Split {}; {}. \"Leaked\" is the share of the test clips whose recording session also "
                    "trains.</p>\n",
                    escaped_markup(config.split.name), escaped_markup(leak_text(result.leak)));
    html += "<p>All scores are balanced accuracies. The stage-2 score counts pseudo labels as true; ";
    html += config.training.choose_by == ChooseBy::Paper
                ? "it chose the epoch, as in the paper (training.choose_by)."
                : "the one on labelled clips only chose the epoch (training.choose_by).";
    if (config.training.hard_samples)
        html += fmt::format(" {} training clips are hard (teacher's confidence below {}).", result.hard_clips,
                            config.training.hard_threshold);
    html += "</p>\n<h2>Balanced accuracy</h2>\n";
    html += chart(history,
                  {{"train", "#2078b4", [](const EpochRecord& r) { return r.train_balanced_accuracy; }},
                   {"validation", "#c8501e", [](const EpochRecord& r) { return r.validation_balanced_accuracy; }},
                   {"labelled only", "#2e9d4c", [](const EpochRecord& r) { return r.validation_labelled; }}},
                  "balanced accuracy by epoch");
    html += "<h2>Loss</h2>\n";
    html += chart(history,
                  {{"train", "#2078b4", [](const EpochRecord& r) { return r.train_loss; }},
                   {"validation", "#c8501e", [](const EpochRecord& r) { return r.validation_loss; }}},
                  "loss by epoch");
    if (result.test) {
        html += "<h2>Test clips</h2>\n" + matrix_table(*result.test, classes);
        html += "<h2>Per class</h2>\n" + class_table(*result.test, classes);
        html += part_table("city", result.cities) + part_table("device", result.devices);
    }
    html += "<h2>Epochs</h2>\n" + epoch_table(history);
    html += "<h2>Settings</h2>\n<pre>" + escaped_markup(to_toml(config)) + "</pre>\n</body></html>\n";
    return html;
}

} // namespace scene

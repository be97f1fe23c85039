#include "train/run/table1.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "data/splits/splits.h"
#include "data/store/feature_store.h"
#include "kernels/files/atomic_file.h"
#include "kernels/files/json.h"
#include "model/networks/network.h"
#include "train/evaluation/statistic.h"
#include "train/run/repeats.h"
#include "train/run/stages.h"

namespace scene {
namespace {

/// Balanced accuracies of the paper's Table I. The split "experiment" has no test labels.
struct PaperRow {
    const char* split;
    int system;
    double train, pseudo;
    std::optional<double> test;
};

constexpr std::array<PaperRow, 8> paper_table{{
    {"simulation", 1, 0.920, 0.961, 0.936},
    {"simulation", 2, 0.845, 0.898, 0.824},
    {"simulation", 3, 0.939, 0.958, 0.974},
    {"simulation", 4, 0.947, 0.966, 0.978},
    {"experiment", 1, 0.966, 0.982, std::nullopt},
    {"experiment", 2, 0.989, 0.985, std::nullopt},
    {"experiment", 3, 0.973, 0.976, std::nullopt},
    {"experiment", 4, 0.989, 0.991, std::nullopt},
}};

/// Null for a split that the paper does not have.
const PaperRow* paper_row(const Table1Row& row) {
    for (const PaperRow& one : paper_table)
        if (row.split == one.split && row.system == one.system) return &one;
    return nullptr;
}

/// `value(result)` of every seed.
template <typename Value> std::vector<double> over_seeds(const Table1Row& row, Value&& value) {
    std::vector<double> values;
    for (const RunResult& result : row.results) values.push_back(value(result));
    return values;
}

std::vector<double> train_scores(const Table1Row& row) {
    return over_seeds(row, [](const RunResult& result) { return result.train_score; });
}
std::vector<double> pseudo_scores(const Table1Row& row) {
    return over_seeds(row, [](const RunResult& result) { return result.pseudo_score.value_or(LeakedShare::unknown); });
}
std::vector<double> labelled_scores(const Table1Row& row) {
    return over_seeds(row,
                      [](const RunResult& result) { return result.labelled_score.value_or(LeakedShare::unknown); });
}
std::vector<double> test_scores(const Table1Row& row) {
    return over_seeds(row, [](const RunResult& result) {
        return result.test ? result.test->balanced_accuracy() : LeakedShare::unknown;
    });
}
std::vector<double> leaked_shares(const Table1Row& row) {
    return over_seeds(row, [](const RunResult& result) { return result.leak.labelled; });
}

bool has_test(const Table1Row& row) { return !std::isnan(statistic(test_scores(row)).mean); }

/// "0.912 (0.920)": ours, the paper's.
std::string cell(const std::vector<double>& ours, const std::optional<double>& paper) {
    return statistic_text(ours) + (paper ? fmt::format(" ({:.3f})", *paper) : "");
}

const char* mark(bool yes) { return yes ? "x" : ""; }

std::string leaked_text(const Table1Row& row) {
    if (!has_test(row)) return "no test";
    const std::vector<double> shares = leaked_shares(row);
    return std::isnan(statistic(shares).mean) ? "leaked: unknown (no sessions)" : "leaked " + statistic_text(shares);
}

struct NamedSplit {
    SplitSettings settings;
    std::vector<Split> splits; ///< [seeds]
};

NamedSplit draw(const FeatureStore& store, const RunConfig& base, const std::string& name, int64_t seeds) {
    NamedSplit out{base.split, {}};
    out.settings.name = name;
    for (int64_t seed = 0; seed < seeds; ++seed)
        out.splits.push_back(split_of(store.columns(), nth_draw(out.settings, static_cast<uint64_t>(seed))));
    return out;
}

/// Draws all splits before the first run, so that an impossible one fails at once.
std::vector<NamedSplit> draw_all(const FeatureStore& store, const RunConfig& base, const Table1Options& options,
                                 std::vector<std::string>& notes) {
    std::vector<NamedSplit> out;
    for (const std::string& name : options.splits) out.push_back(draw(store, base, name, options.seeds));
    if (!options.splits.empty()) return out;
    for (const char* name : {"simulation", "experiment"}) out.push_back(draw(store, base, name, options.seeds));
    try {
        out.push_back(draw(store, base, "session", options.seeds));
    } catch (const Error& error) { notes.push_back(fmt::format("no session split: {}", error.what())); }
    return out;
}

std::string folder_of(std::string split) {
    std::replace_if(
        split.begin(), split.end(), [](char c) { return c == ':' || c == '/'; }, '-');
    return split;
}

/// Fails if the settings do not fit one of the splits. Reports which splits have stage 1 only.
void check_all(const FeatureStore& store, const RunConfig& base, const std::vector<NamedSplit>& drawn,
               const Session& session) {
    std::string alone;
    for (const NamedSplit& one : drawn) {
        for (int system = 1; system <= 4; ++system) {
            RunConfig config = as_table_system(base, system);
            const std::string note = fit_stages(config, one.splits.front());
            if (system == 1 && !note.empty()) alone += (alone.empty() ? "" : ", ") + one.settings.name;
            check_settings(store, one.splits.front(), config);
        }
    }
    if (!alone.empty()) session.progress.message(fmt::format("no unlabelled clips in {}: stage 1 only", alone));
}

} // namespace

Table1 run_table1(Device& device, const FeatureStore& store, const RunConfig& base, const Table1Options& options,
                  const std::filesystem::path& run, const Session& session) {
    Table1 table;
    const std::vector<NamedSplit> drawn = draw_all(store, base, options, table.notes);
    check_all(store, base, drawn, session); // before the first file is written
    std::error_code error;
    std::filesystem::create_directories(run, error);
    if (error) fail("{}: cannot create the run folder: {}", run.string(), error.message());
    for (const NamedSplit& one : drawn) {
        std::vector<std::filesystem::path> teachers; // [seeds]
        for (int system = 1; system <= 4; ++system) {
            Table1Row row{one.settings.name, system, {}, as_table_system(base, system)};
            fit_stages(row.config, one.splits.front());
            for (size_t step = 0; step < one.splits.size(); ++step) {
                RunConfig config = row.config;
                config.split = nth_draw(one.settings, step);
                config.training.seed += step;
                if (config.training.hard_samples && base.training.teacher == "train")
                    config.training.teacher = std::filesystem::absolute(teachers.at(step)).string();
                const std::string seed = fmt::format("seed-{}", config.training.seed);
                PrefixedProgress progress(session.progress, fmt::format("{} #{} {}: ", row.split, system, seed));
                const auto folder = run / folder_of(row.split) / fmt::format("system{}", system) / seed;
                row.results.push_back(
                    train_system(device, store, one.splits[step], config, folder, {progress, session.stop}));
                if (system == 1) teachers.push_back(row.results.back().checkpoint);
            }
            table.rows.push_back(std::move(row));
        }
    }
    write_file(run / "table1.md", table1_markdown(table));
    write_file(run / "table1.json", table1_json(table));
    return table;
}

std::string table1_markdown(const Table1& table) {
    std::vector<const Table1Row*> first_of_split;
    for (const Table1Row& row : table.rows)
        if (first_of_split.empty() || first_of_split.back()->split != row.split) first_of_split.push_back(&row);
    std::string out = "| system | smoothing | hard | FCNN |", rule = "|---|---|---|---|";
    for (const Table1Row* row : first_of_split) {
        out += fmt::format(" {0} train | {0} pseudo |", row->split);
        rule += "---|---|";
        if (!has_test(*row)) continue;
        out += fmt::format(" {} test, {} |", row->split, leaked_text(*row));
        rule += "---|";
    }
    out += "\n" + rule + "\n";
    for (int system = 1; system <= 4; ++system) {
        const auto first = std::find_if(table.rows.begin(), table.rows.end(),
                                        [&](const Table1Row& row) { return row.system == system; });
        if (first == table.rows.end()) continue;
        const RunConfig& config = first->config;
        std::string line =
            fmt::format("| #{} | {} | {} | {} |", system_title(config), mark(config.training.label_smoothing > 0),
                        mark(config.training.hard_samples), mark(config.model.network == &fcnn));
        for (const Table1Row& row : table.rows) {
            if (row.system != system) continue;
            const PaperRow* paper = paper_row(row);
            line +=
                fmt::format(" {} | {} |", cell(train_scores(row), paper ? std::optional(paper->train) : std::nullopt),
                            cell(pseudo_scores(row), paper ? std::optional(paper->pseudo) : std::nullopt));
            if (has_test(row)) line += fmt::format(" {} |", cell(test_scores(row), paper ? paper->test : std::nullopt));
        }
        out += line + "\n";
    }
    out += "\nBalanced accuracy; the paper's in brackets. Train and pseudo are validation scores, pseudo with pseudo "
           "labels "
           "as truth. Leaked: share of the test clips whose recording session also trains with labels.\n";
    if (!table.rows.empty() && table.rows[0].results.size() > 1)
        out += fmt::format("Mean ± sample standard deviation (n - 1) over {} seeds.\n", table.rows[0].results.size());
    for (const std::string& note : table.notes) out += note + "\n";
    return out;
}

std::string table1_json(const Table1& table) {
    using Json = nlohmann::ordered_json;
    const auto or_null = [](double value) { return std::isfinite(value) ? Json(value) : Json(); };
    const auto paper_or_null = [](const std::optional<double>& value) { return value ? Json(*value) : Json(); };
    Json list = Json::array();
    for (const Table1Row& row : table.rows) {
        const PaperRow* paper = paper_row(row);
        const auto add = [&](Json& json, const char* name, const std::vector<double>& values) {
            const Statistic one = statistic(values);
            json[name] = or_null(one.mean);
            json[fmt::format("{}_deviation", name)] = or_null(one.deviation);
        };
        Json json = {{"split", row.split},
                     {"system", row.system},
                     {"title", system_title(row.config)},
                     {"seeds", row.results.size()}};
        add(json, "train", train_scores(row));
        add(json, "pseudo", pseudo_scores(row));
        add(json, "labelled_validation", labelled_scores(row));
        add(json, "test", test_scores(row));
        json["leaked_share"] = or_null(statistic(leaked_shares(row)).mean);
        json["paper_train"] = paper ? Json(paper->train) : Json();
        json["paper_pseudo"] = paper ? Json(paper->pseudo) : Json();
        json["paper_test"] = paper ? paper_or_null(paper->test) : Json();
        list.push_back(std::move(json));
    }
    return json_text(list) + "\n";
}

} // namespace scene

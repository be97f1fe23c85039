#include "train/table1.h"

#include <array>
#include <cmath>

#include <nlohmann/json.hpp>

#include "data/feature_store.h"
#include "data/splits.h"
#include "kernels/atomic_file.h"

namespace scene {
namespace {

/// Balanced accuracies of the paper's Table I; the experiment has no test labels.
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

const PaperRow& paper_row(const Table1Row& row) {
    for (const PaperRow& one : paper_table)
        if (row.split == one.split && row.system == one.system) return one;
    SCENE_CHECK(false, "Table I has no such row");
    return paper_table.front();
}

std::optional<double> test_score(const RunResult& result) {
    if (!result.test) return std::nullopt;
    return result.test->balanced_accuracy();
}

std::string cell(const std::optional<double>& value) {
    return value && std::isfinite(*value) ? fmt::format("{:.3f}", *value) : "-";
}

const char* mark(bool yes) { return yes ? "x" : ""; }

} // namespace

std::vector<Table1Row> run_table1(Backend& backend, const FeatureStore& store, const RunConfig& base,
                                  const std::filesystem::path& run, const Session& session) {
    std::error_code error;
    std::filesystem::create_directories(run, error);
    if (error) fail("{}: cannot create the run folder: {}", run.string(), error.message());

    std::vector<Table1Row> rows;
    for (const char* split_name : {"simulation", "experiment"}) {
        RunConfig shared = base;
        shared.split.name = split_name;
        const Split split = make_split(store.clip_columns(), split_options(shared.split));
        std::filesystem::path teacher;
        for (int system = 1; system <= 4; ++system) {
            RunConfig config = as_system(shared, system);
            if (config.training.hard_samples && base.training.teacher == "train")
                config.training.teacher = std::filesystem::absolute(teacher).string();
            PrefixedProgress progress(session.progress, fmt::format("{} #{}: ", split_name, system));
            const auto folder = run / split_name / fmt::format("system{}", system);
            rows.push_back(
                {split_name, system, train_system(backend, store, split, config, folder, {progress, session.stop})});
            if (system == 1) teacher = rows.back().result.checkpoint;
        }
    }
    write_file(run / "table1.md", table1_markdown(rows));
    write_file(run / "table1.json", table1_json(rows));
    return rows;
}

std::string table1_markdown(const std::vector<Table1Row>& rows) {
    std::string out = "| data | system | smoothing | hard | FCNN | train | paper | pseudo | paper | test | paper |\n"
                      "|---|---|---|---|---|---|---|---|---|---|---|\n";
    for (const Table1Row& row : rows) {
        const PaperRow& paper = paper_row(row);
        out += fmt::format("| {} | #{} | {} | {} | {} | {} | {} | {} | {} | {} | {} |\n", row.split, row.system,
                           mark(row.system == 4), mark(row.system >= 3), mark(row.system >= 2),
                           cell(row.result.train_score), cell(paper.train), cell(row.result.pseudo_score),
                           cell(paper.pseudo), cell(test_score(row.result)), cell(paper.test));
    }
    return out;
}

std::string table1_json(const std::vector<Table1Row>& rows) {
    using Json = nlohmann::ordered_json;
    const auto or_null = [](const std::optional<double>& value) { return value ? Json(*value) : Json(); };
    Json list = Json::array();
    for (const Table1Row& row : rows) {
        const PaperRow& paper = paper_row(row);
        list.push_back({{"split", row.split},
                        {"system", row.system},
                        {"train", row.result.train_score},
                        {"pseudo", or_null(row.result.pseudo_score)},
                        {"labelled_validation", or_null(row.result.labelled_score)},
                        {"test", or_null(test_score(row.result))},
                        {"paper_train", paper.train},
                        {"paper_pseudo", paper.pseudo},
                        {"paper_test", or_null(paper.test)}});
    }
    return list.dump(2) + "\n";
}

} // namespace scene

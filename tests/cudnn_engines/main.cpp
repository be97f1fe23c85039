// What cuDNN's heuristics propose for every convolution of both networks, from a device's properties:
//   cudnn_engines PROFILE JSON_FILE [all]
// writes a table to stdout, one row for the configurations of an engine, and every configuration to the JSON file.
// `make cudnn-engines` runs it with a stand-in for the driver (tests/tools/stand_ins/libcuda.cpp), without which cuDNN
// proposes no engine that it compiles at run time. Nothing is computed. Build times are processor time of this machine.
// A plan that is compiled at run time takes seconds: without `all` it is built for the first shape of each batch alone.

#include <algorithm>
#include <ctime>
#include <limits>
#include <map>
#include <memory>
#include <set>

#include "kernels/conv2d/stem.h"
#include "kernels/cuda/cudnn/convolutions.h"
#include "kernels/cuda/cudnn/device_profiles.h"
#include "kernels/files/atomic_file.h"
#include "kernels/files/json.h"
#include "model/step.h"

namespace scene {
namespace {

using namespace cuda;
using Json = nlohmann::ordered_json;

/// The convolutions that the library runs, each once.
std::vector<Conv2dShape> shapes(const std::vector<int64_t>& batches) {
    std::vector<Conv2dShape> out;
    for (const int64_t batch : batches) {
        for (const Network* network : {&fcnn, &se_trans}) {
            StepConfig config;
            config.model.network = network;
            config.batch = batch;
            for (const Conv2dShape& shape : convolution_shapes(config, Mode::Training, batch))
                if (!conv2d_stem_suits(shape) && std::find(out.begin(), out.end(), shape) == out.end())
                    out.push_back(shape);
        }
    }
    return out;
}

struct Form {
    const char* name;
    ConvPass pass;
    ConvolutionFusion fusion;
};

constexpr Form forms[] = {
    {"forward", ConvPass::Forward, {}},
    {"forward + sums", ConvPass::Forward, {.statistics = true}},
    {"normalize + forward + sums", ConvPass::Forward, {.normalize_input = true, .statistics = true}},
    {"normalize + forward", ConvPass::Forward, {.normalize_input = true}},
    {"data gradient", ConvPass::DataGrad, {}},
    {"data gradient + batch norm's sums", ConvPass::DataGrad, {.bn_reduce = true}},
    {"weight gradient", ConvPass::WeightGrad, {}},
    {"normalize + weight gradient", ConvPass::WeightGrad, {.normalize_input = true}},
};

double processor_seconds() { return static_cast<double>(std::clock()) / CLOCKS_PER_SEC; }

/// What the configurations of one engine have in common, over all shapes.
struct Engine {
    std::map<std::string, int> per_problem; ///< configurations
    std::set<std::string> notes, verdicts;
    size_t least_workspace = std::numeric_limits<size_t>::max(), most_workspace = 0;
    std::vector<double> build_seconds;
};

/// Whether autotuning takes the configuration as a candidate by default, or why not.
std::string verdict(const EngineConfiguration& configuration, const BuiltPlan& built, size_t most) {
    std::string out = configuration.unsuitable.empty() ? "" : "left out: " + configuration.unsuitable;
    if (!built.failure.empty()) return (out.empty() ? out : out + ", ") + "no plan: " + built.failure;
    if (out.empty()) out = built.workspace > most ? "left out: workspace" : "taken";
    return out;
}

std::string milliseconds(std::vector<double> seconds) {
    if (seconds.empty()) return "";
    std::sort(seconds.begin(), seconds.end());
    return fmt::format("{:.3g}", 1e3 * seconds[seconds.size() / 2]);
}

std::string mib(size_t bytes) { return fmt::format("{:.1f}", static_cast<double>(bytes) / (1 << 20)); }

void print_engines(const std::string& form, const std::map<int64_t, Engine>& engines, size_t problems) {
    if (engines.empty()) fmt::print("| {} | none | | | | | |\n", form);
    for (const auto& [number, engine] : engines) {
        int least = std::numeric_limits<int>::max(), most = 0;
        for (const auto& [problem, count] : engine.per_problem)
            least = std::min(least, count), most = std::max(most, count);
        if (engine.per_problem.size() < problems) least = 0;
        fmt::print("| {} | {} | {} | {} | {} | {} | {} |\n", form, number,
                   least == most ? std::to_string(most) : fmt::format("{} to {}", least, most),
                   fmt::join(engine.notes, "; "),
                   engine.most_workspace == 0 ? "0" : mib(engine.least_workspace) + " to " + mib(engine.most_workspace),
                   milliseconds(engine.build_seconds), fmt::join(engine.verdicts, "; "));
    }
}

int run(const std::string& profile, const std::string& file, bool all_plans) {
    const PlanTarget target(device_profile(profile));
    Json all = {{"device", profile}, {"cudnn", cudnn().version()}, {"configurations", Json::array()}};
    fmt::print("cuDNN {}, {}; build times are processor time of this machine, the median\n\n", cudnn().version(),
               profile);
    fmt::print("| form | engine | configurations a shape | notes | workspace, MiB | built in, ms | autotuning |\n"
               "|---|---|---|---|---|---|---|\n");
    std::vector<double> heuristics_seconds;
    struct Kind {
        const char* name;
        DType type;
        bool tensor_cores, fused;
        std::vector<int64_t> batches;
    };
    for (const Kind& kind :
         {Kind{"F16", DType::F16, true, true, {16, 64, 256}}, Kind{"TF32", DType::F32, true, false, {64}},
          Kind{"F32", DType::F32, false, false, {64}}}) {
        const std::vector<Conv2dShape> of_kind = shapes(kind.batches);
        for (const Form& form : forms) {
            if (form.fusion.any() && !kind.fused) continue;
            std::map<int64_t, Engine> engines;
            int64_t batch = 0; // of the shapes before
            for (const Conv2dShape& shape : of_kind) {
                const size_t most = most_workspace(shape, kind.type);
                const ConvolutionProblem problem{.task = {shape, form.pass, form.fusion},
                                                 .type = kind.type,
                                                 .tensor_cores = kind.tensor_cores,
                                                 .most_workspace = std::numeric_limits<size_t>::max()};
                const auto graph = std::make_shared<const ConvolutionGraph>(problem, target);
                const bool first_of_batch = shape.batch != batch;
                batch = shape.batch;
                const double asked = processor_seconds();
                std::vector<EngineConfiguration> proposed = engine_configurations(problem, *graph, target);
                heuristics_seconds.push_back(processor_seconds() - asked);
                int rank = 0;
                for (EngineConfiguration& one : proposed) {
                    Json entry = {{"form", fmt::format("{}, {}", form.name, kind.name)},
                                  {"x", shape.x().text()},
                                  {"w", shape.w().text()},
                                  {"rank", ++rank},
                                  {"engine", one.name},
                                  {"notes", one.notes}};
                    Engine& engine = engines[one.engine];
                    ++engine.per_problem[problem.text()];
                    engine.notes.insert(one.notes.begin(), one.notes.end());
                    if (one.run_time_compiled && !all_plans && !first_of_batch) {
                        entry["autotuning"] = "left out: " + one.unsuitable;
                        engine.verdicts.insert("left out: " + one.unsuitable);
                        all["configurations"].push_back(std::move(entry));
                        continue;
                    }
                    EngineConfiguration building{one.name,       one.engine,           one.notes, one.run_time_compiled,
                                                 one.unsuitable, std::move(one.config)};
                    const double begin = processor_seconds();
                    const BuiltPlan built = build_plan(problem, target, graph, std::move(building));
                    const double seconds = processor_seconds() - begin;
                    const std::string taken = verdict(one, built, most);
                    engine.verdicts.insert(taken);
                    entry["build_seconds"] = seconds;
                    entry["autotuning"] = taken;
                    if (built.failure.empty()) {
                        entry["workspace_bytes"] = built.workspace;
                        engine.build_seconds.push_back(seconds);
                        engine.least_workspace = std::min(engine.least_workspace, built.workspace);
                        engine.most_workspace = std::max(engine.most_workspace, built.workspace);
                    }
                    all["configurations"].push_back(std::move(entry));
                }
            }
            print_engines(fmt::format("{}, {}", form.name, kind.name), engines, of_kind.size());
            std::fflush(stdout);
        }
    }
    fmt::print("\nThe heuristics' answer for a shape takes {} ms.\n", milliseconds(heuristics_seconds));
    write_file(file, json_text(all) + "\n");
    return 0;
}

} // namespace
} // namespace scene

int main(int argc, char** argv) {
    if (argc < 3 || argc > 4 || (argc == 4 && std::string(argv[3]) != "all")) {
        fmt::print(stderr, "usage: cudnn_engines PROFILE JSON_FILE [all]\n");
        return 2;
    }
    try {
        return scene::run(argv[1], argv[2], argc == 4);
    } catch (const std::exception& error) {
        fmt::print(stderr, "cudnn_engines: {}\n", error.what());
        return 1;
    }
}

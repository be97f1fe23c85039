// scene plan: a step as it will run: its ops, its memory and its costs. No step runs and no arena is allocated; a GPU
// autotunes its convolutions first.

#include <algorithm>
#include <memory>

#include "data/store/feature_store.h"
#include "kernels/cuda/gpu.h"
#include "kernels/files/json.h"
#include "model/memory_plan.h"
#include "model/step.h"
#include "tools/cli/note.h"
#include "tools/cli/options.h"
#include "tools/cli/text_table.h"
#include "tools/commands/command.h"
#include "tools/commands/convolution_report.h"
#include "train/config/step_config.h"

namespace scene {
namespace {

using Json = nlohmann::ordered_json;

struct PlanOptions {
    CommonOptions common;
    ConfigOptions config;
    std::string store, device_profile;
    std::optional<int64_t> batch;
    bool inference = false;
};

/// CAS2023, the dataset of the paper. It gives the shape of the network if there is no --store.
StoreShape paper_store() {
    StoreShape store;
    store.name = "CAS2023";
    store.clips = 8700;
    store.classes = 10;
    store.cities = 22;
    store.places_or_times = true;
    return store;
}

struct Plan {
    Variables variables;
    Program program;
    int64_t batch = 0;
    std::string device; ///< with --device-profile: the profile, precision and libraries
    ConvReport convolutions;

    /// The largest scratch of an op.
    size_t workspace_bytes() const {
        size_t largest = 0;
        for (const Op& op : program.ops)
            if (op.scratch) largest = std::max(largest, program.info(op.scratch).bytes());
        return largest;
    }
    /// External memory, which is not in the arena: the feature store.
    size_t table_bytes() const {
        size_t total = 0;
        for (const TensorInfo& info : program.tensors)
            if (info.storage == Storage::External) total += info.bytes();
        return total;
    }
    size_t device_bytes() const { return arena_bytes() + table_bytes(); }
    size_t arena_bytes() const { return variables.total_bytes() + program.transient_bytes; }
    size_t arena_offset(const TensorInfo& info) const {
        return info.storage == Storage::Transient ? variables.total_bytes() + info.offset
                                                  : variables.base(info.segment) + info.offset;
    }
    double flops_per_clip(Phase phase) const { return program.flops(phase) / static_cast<double>(batch); }
    double bytes_moved_per_clip() const { return program.bytes_moved() / static_cast<double>(batch); }
    /// The step's memory / the lower bound, which is the largest live set.
    double ratio() const {
        return static_cast<double>(program.transient_bytes) / static_cast<double>(program.lower_bound);
    }
};

Plan make_plan(const PlanOptions& options) {
    RunConfig config = load_config(options.config, options.common);
    if (options.batch) config.training.batch = *options.batch;
    const StoreShape store = options.store.empty() ? paper_store() : StoreShape(FeatureStore::open(options.store));
    const StepConfig step = step_config(config, store);
    const std::vector<Conv2dShape> shapes =
        convolution_shapes(step, options.inference ? Mode::Inference : Mode::Training, step.batch);
    std::unique_ptr<Device> device;
    std::unique_ptr<Planner> of_profile;
    if (options.device_profile.empty()) {
        device = open_device(config.runtime, options.common.quiet);
        device->autotune(shapes);
    } else {
        of_profile = make_cuda_planner(cuda_settings(config.runtime), options.device_profile, shapes);
    }
    const Planner& planner = device ? device->planner() : *of_profile;
    Plan plan;
    plan.batch = step.batch;
    if (!options.device_profile.empty())
        plan.device = fmt::format("{}, {}, {}", options.device_profile, name_in(precisions, config.runtime.precision),
                                  planner.libraries());
    plan.program = options.inference ? build_inference_step(planner, plan.variables, step, step.batch)
                                     : build_training_step(planner, plan.variables, step, step.batch);
    plan.convolutions = planner.conv2d_report();
    if (const std::string line = left_out_line(plan.convolutions); !line.empty() && !options.common.quiet)
        note_later(line);
    return plan;
}

/// The first tensor that the op writes.
const TensorInfo* output_of(const Program& program, const Op& op) {
    return op.writes.empty() ? nullptr : &program.info(op.writes.front());
}

Json to_json(const Plan& plan, const Op& op) {
    Json entry = {{"name", op.name}, {"kind", op.kind}, {"phase", name_of(op.phase)}};
    if (const TensorInfo* output = output_of(plan.program, op)) {
        Json shape = Json::array();
        for (int axis = 0; axis < output->shape.rank(); ++axis) shape.push_back(output->shape[axis]);
        entry["output"] = output->name;
        entry["shape"] = shape;
        entry["dtype"] = name_of(output->dtype);
        entry["offset"] = plan.arena_offset(*output);
        entry["bytes"] = output->bytes();
    }
    entry["flops"] = op.flops;
    entry["bytes_moved"] = op.bytes;
    return entry;
}

Json to_json(const Plan& plan) {
    Json all = {{"program", plan.program.name}};
    if (!plan.device.empty()) all["device"] = plan.device;
    if (!plan.convolutions.choices.empty()) all["convolutions"] = to_json(plan.convolutions);
    Json& ops = all["ops"] = Json::array();
    for (const Op& op : plan.program.ops) ops.push_back(to_json(plan, op));
    all["totals"] = {{"batch", plan.batch},
                     {"parameters", plan.variables.parameter_count()},
                     {"forward_flops_per_clip", plan.flops_per_clip(Phase::Forward)},
                     {"backward_flops_per_clip", plan.flops_per_clip(Phase::Backward)},
                     {"bytes_moved_per_clip", plan.bytes_moved_per_clip()},
                     {"arena_bytes", plan.arena_bytes()},
                     {"variable_bytes", plan.variables.total_bytes()},
                     {"transient_bytes", plan.program.transient_bytes},
                     {"lower_bound_bytes", plan.program.lower_bound},
                     {"workspace_bytes", plan.workspace_bytes()},
                     {"table_bytes", plan.table_bytes()},
                     {"device_bytes", plan.device_bytes()},
                     {"ratio", plan.ratio()}};
    return all;
}

/// The step's memory over time: a row for an op (at most 28 of them, evenly spaced), a column for 1/72 of the memory.
std::string memory_map(const Program& program) {
    constexpr size_t columns = 72, most_rows = 28;
    const std::vector<Lifetime> buffers = lifetimes(program);
    if (buffers.empty()) return "";
    const size_t steps = program.ops.size(), rows = std::min(most_rows, steps);
    size_t name_width = 0;
    for (size_t row = 0; row < rows; ++row)
        name_width = std::max(name_width, program.ops[row * steps / rows].name.size());
    std::string out;
    for (size_t row = 0; row < rows; ++row) {
        const size_t step = row * steps / rows;
        std::vector<double> used(columns, 0.0);
        double live = 0;
        const double cell = static_cast<double>(program.transient_bytes) / columns;
        for (const Lifetime& buffer : buffers) {
            if (step < buffer.first || step > buffer.last) continue;
            live += static_cast<double>(buffer.bytes);
            const double begin = static_cast<double>(program.tensors[buffer.buffer].offset);
            const double end = begin + static_cast<double>(buffer.bytes);
            for (size_t column = 0; column < columns; ++column)
                used[column] += std::max(0.0, std::min(end, static_cast<double>(column + 1) * cell) -
                                                  std::max(begin, static_cast<double>(column) * cell));
        }
        std::string line;
        for (double bytes : used) line += bytes > 0.5 * cell ? '#' : bytes > 0 ? '.' : ' ';
        out += fmt::format("{:<{}} |{}| {}\n", program.ops[step].name, name_width, line, bytes_text(live));
    }
    return out;
}

void print(const Plan& plan) {
    TextTable table({"op", "phase", "output", "offset", "bytes", "GFLOP", "MB moved"}, {0, 1, 2});
    for (const Op& op : plan.program.ops) {
        const TensorInfo* output = output_of(plan.program, op);
        table.add({op.name, std::string(name_of(op.phase)), output ? output->shape.text() : "",
                   output ? std::to_string(plan.arena_offset(*output)) : "",
                   output ? std::to_string(output->bytes()) : "", fmt::format("{:.3f}", op.flops / 1e9),
                   fmt::format("{:.2f}", op.bytes / 1e6)});
    }
    fmt::print("{}\n{}\n", plan.program.name, table.text());
    fmt::print("Memory of the step over time ({} wide, # in use, . partly)\n{}\n",
               bytes_text(static_cast<double>(plan.program.transient_bytes)), memory_map(plan.program));
    const auto line = [](std::string_view name, const std::string& value) { fmt::print("{:<26}{}\n", name, value); };
    line("parameters", std::to_string(plan.variables.parameter_count()));
    line("forward per clip", fmt::format("{:.2f} GFLOP", plan.flops_per_clip(Phase::Forward) / 1e9));
    line("backward per clip", fmt::format("{:.2f} GFLOP", plan.flops_per_clip(Phase::Backward) / 1e9));
    line("moved per clip",
         fmt::format("{}, if nothing stays in a cache; scratch not counted", bytes_text(plan.bytes_moved_per_clip())));
    line("arena", fmt::format("{} = {} variables + {} step", bytes_text(static_cast<double>(plan.arena_bytes())),
                              bytes_text(static_cast<double>(plan.variables.total_bytes())),
                              bytes_text(static_cast<double>(plan.program.transient_bytes))));
    line("lower bound of the step", bytes_text(static_cast<double>(plan.program.lower_bound)));
    line("step / lower bound", fmt::format("{:.4f}", plan.ratio()));
    line("largest workspace",
         fmt::format("{}, part of the step", bytes_text(static_cast<double>(plan.workspace_bytes()))));
    line("feature store", bytes_text(static_cast<double>(plan.table_bytes())));
    line("in all", bytes_text(static_cast<double>(plan.device_bytes())));
    if (!plan.device.empty()) line("planned for", plan.device);
    if (plan.device.empty() && !plan.convolutions.choices.empty())
        line("choice of engines", fmt::format("{:.1f} s, of {} for a step", plan.convolutions.spent_seconds,
                                              plan.convolutions.budget_seconds > 0
                                                  ? fmt::format("at most {:.0f}", plan.convolutions.budget_seconds)
                                                  : "any number"));
}

} // namespace

void add_plan_command(CommandLine& line) {
    const auto options = std::make_shared<PlanOptions>();
    Arguments arguments = line.add_command(
        "plan", "Show a step op by op: shapes, memory, arithmetic. Nothing is computed.",
        "Examples:\n  scene plan --config configs/system4.toml --batch 64\n"
        "  scene plan --config configs/system4.toml --batch 256 --device-profile h100 --precision fp16\n"
        "Without --store the network is shaped for CAS2023: 10 classes, 22 cities, city and time as inputs.",
        [options] {
            const Plan plan = make_plan(*options);
            if (options->common.json)
                fmt::print("{}\n", json_text(to_json(plan)));
            else
                print(plan);
            return 0;
        });
    add_config_options(arguments, options->config, true);
    arguments.add("--batch,-b", options->batch, "clips per step (default: training.batch)").range(1, 1 << 20);
    arguments.add("--store", options->store, "feature store that the network's shape follows from");
    arguments.add("--device-profile", options->device_profile,
                  fmt::format("plan for a GPU that need not be here: {}a JSON file of a device's properties",
                              cuda_profiles().empty() ? "" : fmt::format("{}, or ", fmt::join(cuda_profiles(), ", "))));
    arguments.add_flag("--inference", options->inference, "the inference step in place of the training step");
    add_common_options(arguments, options->common);
}

} // namespace scene

#include "kernels/cuda/cudnn_plans.h"

#include <algorithm>
#include <array>

#include "kernels/error.h"

namespace scene::cuda {
namespace {

constexpr int64_t alignment = 16; ///< bytes, of every tensor's address

/// A tensor of `shape` = [outermost, rows, columns, channels], channels last, as cuDNN's [outermost, channels, rows,
/// columns] with the strides of that memory.
Descriptor tensor(const Shape& shape, DType type, ConvTensor role) {
    const std::array<int64_t, 4> extents{shape[0], shape[3], shape[1], shape[2]};
    const std::array<int64_t, 4> strides{shape[1] * shape[2] * shape[3], 1, shape[2] * shape[3], shape[3]};
    Descriptor out(CUDNN_BACKEND_TENSOR_DESCRIPTOR);
    out.set(CUDNN_ATTR_TENSOR_DATA_TYPE, type == DType::F16 ? CUDNN_DATA_HALF : CUDNN_DATA_FLOAT);
    out.set(CUDNN_ATTR_TENSOR_DIMENSIONS, std::span<const int64_t>(extents));
    out.set(CUDNN_ATTR_TENSOR_STRIDES, std::span<const int64_t>(strides));
    out.set(CUDNN_ATTR_TENSOR_UNIQUE_ID, static_cast<int64_t>(role));
    out.set(CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, alignment);
    out.finalize("tensor " + shape.text());
    return out;
}

Descriptor convolution(const Conv2dShape& shape) {
    const std::array<int64_t, 2> dilation{1, 1}, stride{shape.stride, shape.stride};
    const std::array<int64_t, 2> padding{shape.padding, shape.padding};
    Descriptor out(CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR);
    out.set(CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS, int64_t{2});
    out.set(CUDNN_ATTR_CONVOLUTION_COMP_TYPE, CUDNN_DATA_FLOAT);
    out.set(CUDNN_ATTR_CONVOLUTION_CONV_MODE, CUDNN_CROSS_CORRELATION);
    out.set(CUDNN_ATTR_CONVOLUTION_DILATIONS, std::span<const int64_t>(dilation));
    out.set(CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES, std::span<const int64_t>(stride));
    out.set(CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS, std::span<const int64_t>(padding));
    out.set(CUDNN_ATTR_CONVOLUTION_POST_PADDINGS, std::span<const int64_t>(padding));
    out.finalize("convolution");
    return out;
}

/// The names that one pass has for the attributes of its operation.
struct PassNames {
    const char* name;
    cudnnBackendDescriptorType_t operation;
    cudnnBackendAttributeName_t x, w, y, convolution, alpha, beta;
};

const PassNames& names_of(ConvPass pass) {
    static const PassNames forward{"forward",
                                   CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR,
                                   CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X,
                                   CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W,
                                   CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y,
                                   CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC,
                                   CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA,
                                   CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_BETA};
    static const PassNames data_grad{"data-grad",
                                     CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR,
                                     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DX,
                                     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_W,
                                     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DY,
                                     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_CONV_DESC,
                                     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_ALPHA,
                                     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_BETA};
    static const PassNames weight_grad{"weight-grad",
                                       CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_FILTER_DESCRIPTOR,
                                       CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_X,
                                       CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DW,
                                       CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DY,
                                       CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_CONV_DESC,
                                       CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_ALPHA,
                                       CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_BETA};
    switch (pass) {
    case ConvPass::Forward: return forward;
    case ConvPass::DataGrad: return data_grad;
    case ConvPass::WeightGrad: break;
    }
    return weight_grad;
}

/// The configurations that one mode of the heuristics proposes; none where it does not know the problem.
std::vector<Descriptor> proposals(const Descriptor& graph, const PlanTarget& target, cudnnBackendHeurMode_t mode) {
    Descriptor heuristics(CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR);
    heuristics.set(CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, graph);
    heuristics.set(CUDNN_ATTR_ENGINEHEUR_MODE, mode);
    if (target.properties()) heuristics.set(CUDNN_ATTR_ENGINEHEUR_DEVICEPROP, *target.properties());
    if (!heuristics.try_finalize()) return {};
    return heuristics.descriptors(CUDNN_ATTR_ENGINEHEUR_RESULTS, CUDNN_BACKEND_ENGINECFG_DESCRIPTOR);
}

Descriptor engine_of(const Descriptor& config) {
    std::vector<Descriptor> engines = config.descriptors(CUDNN_ATTR_ENGINECFG_ENGINE, CUDNN_BACKEND_ENGINE_DESCRIPTOR);
    SCENE_CHECK(engines.size() == 1, "a configuration has one engine");
    return std::move(engines.front());
}

std::string engine_text(const Descriptor& config, const Descriptor& engine) {
    std::string text = fmt::format("engine {}", engine.integer(CUDNN_ATTR_ENGINE_GLOBAL_INDEX));
    const std::vector<Descriptor> knobs =
        config.descriptors(CUDNN_ATTR_ENGINECFG_KNOB_CHOICES, CUDNN_BACKEND_KNOB_CHOICE_DESCRIPTOR);
    if (!knobs.empty()) text += " knobs";
    for (const Descriptor& knob : knobs) {
        const auto type =
            knob.values<cudnnBackendKnobType_t>(CUDNN_ATTR_KNOB_CHOICE_KNOB_TYPE, CUDNN_TYPE_KNOB_TYPE, 1);
        text += fmt::format(" {}={}", int{type.at(0)}, knob.integer(CUDNN_ATTR_KNOB_CHOICE_KNOB_VALUE));
    }
    return text;
}

bool suits(const Descriptor& engine, const ConvolutionProblem& problem) {
    const auto notes = engine.values<cudnnBackendNumericalNote_t>(
        CUDNN_ATTR_ENGINE_NUMERICAL_NOTE, CUDNN_TYPE_NUMERICAL_NOTE, CUDNN_NUMERICAL_NOTE_TYPE_COUNT);
    const auto noted = [&](cudnnBackendNumericalNote_t note) {
        return std::find(notes.begin(), notes.end(), note) != notes.end();
    };
    if (problem.deterministic && noted(CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC)) return false;
    if (noted(CUDNN_NUMERICAL_NOTE_DOWN_CONVERT_INPUTS)) return false;
    if (noted(CUDNN_NUMERICAL_NOTE_REDUCED_PRECISION_REDUCTION)) return false;
    return problem.tensor_cores || problem.type != DType::F32 || !noted(CUDNN_NUMERICAL_NOTE_TENSOR_CORE);
}

} // namespace

PlanTarget::PlanTarget() { check_cudnn(cudnn().create(&handle_), "creating a handle"); }

PlanTarget::PlanTarget(const std::string& device_properties)
    : properties_(std::make_unique<Descriptor>(CUDNN_BACKEND_DEVICEPROP_DESCRIPTOR)) {
    properties_->set(CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION, device_properties);
    properties_->finalize("the properties of a device");
}

PlanTarget::~PlanTarget() {
    if (handle_) (void)cudnn().destroy(handle_);
}

std::string ConvolutionProblem::text() const {
    return fmt::format("{} {} {} {} stride {} padding {}{}{}", names_of(pass).name,
                       type == DType::F32 && tensor_cores ? "TF32" : name_of(type), shape.x().text(), shape.w().text(),
                       shape.stride, shape.padding, deterministic ? " deterministic" : "",
                       fmt::format(" within {}", most_workspace));
}

ConvolutionGraph::ConvolutionGraph(const ConvolutionProblem& problem, const PlanTarget& target)
    : x_(tensor(problem.shape.x(), problem.type, ConvTensor::X)),
      w_(tensor(problem.shape.w(), problem.type, ConvTensor::W)),
      y_(tensor(problem.shape.y(), problem.type, ConvTensor::Y)), convolution_(convolution(problem.shape)),
      operation_(names_of(problem.pass).operation), graph_(CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR) {
    const PassNames& names = names_of(problem.pass);
    operation_.set(names.x, x_);
    operation_.set(names.w, w_);
    operation_.set(names.y, y_);
    operation_.set(names.convolution, convolution_);
    operation_.set(names.alpha, 1.0f);
    operation_.set(names.beta, 0.0f);
    operation_.finalize(problem.text());
    graph_.set(CUDNN_ATTR_OPERATIONGRAPH_OPS, operation_);
    if (target.handle()) graph_.set(CUDNN_ATTR_OPERATIONGRAPH_HANDLE, target.handle());
    graph_.finalize("the graph of " + problem.text());
}

std::vector<ConvolutionPlan> convolution_plans(const ConvolutionProblem& problem, const PlanTarget& target,
                                               size_t most) {
    const auto graph = std::make_shared<const ConvolutionGraph>(problem, target);
    std::vector<ConvolutionPlan> out;
    for (const cudnnBackendHeurMode_t mode : {CUDNN_HEUR_MODE_A, CUDNN_HEUR_MODE_FALLBACK}) {
        for (Descriptor& config : proposals(graph->get(), target, mode)) {
            if (out.size() >= most) return out;
            const Descriptor engine = engine_of(config);
            if (!suits(engine, problem)) continue;
            Descriptor plan(CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR);
            plan.set(CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, config);
            if (target.handle()) plan.set(CUDNN_ATTR_EXECUTION_PLAN_HANDLE, target.handle());
            if (target.properties()) plan.set(CUDNN_ATTR_EXECUTION_PLAN_DEVICEPROP, *target.properties());
            if (!plan.try_finalize()) continue;
            const auto workspace = static_cast<size_t>(plan.integer(CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE));
            if (workspace > problem.most_workspace) continue;
            std::string name = engine_text(config, engine);
            if (std::any_of(out.begin(), out.end(), [&](const auto& known) { return known.engine == name; })) continue;
            out.push_back({graph, std::move(config), std::move(plan), std::move(name), workspace});
        }
    }
    if (out.empty()) fail("cuDNN {} has no plan for {}", cudnn().version(), problem.text());
    return out;
}

void execute(const ConvolutionPlan& plan, const PlanTarget& target, void* x, void* w, void* y, void* workspace) {
    const std::array<int64_t, 3> roles{static_cast<int64_t>(ConvTensor::X), static_cast<int64_t>(ConvTensor::W),
                                       static_cast<int64_t>(ConvTensor::Y)};
    const std::array<void*, 3> pointers{x, w, y};
    const std::array<void*, 1> scratch{workspace};
    Descriptor pack(CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR);
    pack.set(CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, std::span<const int64_t>(roles));
    pack.set_pointers(CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, pointers);
    pack.set_pointers(CUDNN_ATTR_VARIANT_PACK_WORKSPACE, scratch);
    pack.finalize("the tensors of a convolution");
    check_cudnn(cudnn().execute(target.handle(), plan.plan.get(), pack.get()), "running a convolution");
}

} // namespace scene::cuda

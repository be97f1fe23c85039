#include "kernels/cuda/cudnn/graph.h"

#include <array>
#include <type_traits>

#include "kernels/error.h"

namespace scene::cuda {
namespace {

constexpr int64_t alignment = 16; ///< bytes, of every tensor's address

/// Ids of virtual tensors, which have no memory, behind those of ConvTensor.
enum class Virtual : int64_t {
    Scaled = 100,
    Shifted,
    Rectified,
    Sum,
    Biased,
    Gradient,
    Centred,
    Normed,
    Multiplied,
    Raised
};

cudnnDataType_t data_type(DType type) {
    switch (type) {
    case DType::F16: return CUDNN_DATA_HALF;
    case DType::BF16: return CUDNN_DATA_BFLOAT16;
    default: return CUDNN_DATA_FLOAT;
    }
}

/// A tensor of `shape` = [outermost, rows, columns, channels], channels last, as cuDNN's [outermost, channels, rows,
/// columns] with the strides of that memory.
template <typename Role> Descriptor tensor(const Shape& shape, DType type, Role role) {
    const std::array<int64_t, 4> extents{shape[0], shape[3], shape[1], shape[2]};
    const std::array<int64_t, 4> strides{shape[1] * shape[2] * shape[3], 1, shape[2] * shape[3], shape[3]};
    Descriptor out(CUDNN_BACKEND_TENSOR_DESCRIPTOR);
    out.set(CUDNN_ATTR_TENSOR_DATA_TYPE, data_type(type));
    out.set(CUDNN_ATTR_TENSOR_DIMENSIONS, std::span<const int64_t>(extents));
    out.set(CUDNN_ATTR_TENSOR_STRIDES, std::span<const int64_t>(strides));
    out.set(CUDNN_ATTR_TENSOR_UNIQUE_ID, static_cast<int64_t>(role));
    out.set(CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, alignment);
    out.set(CUDNN_ATTR_TENSOR_IS_VIRTUAL, std::is_same_v<Role, Virtual>);
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

Descriptor arithmetic(cudnnPointwiseMode_t mode) {
    Descriptor out(CUDNN_BACKEND_POINTWISE_DESCRIPTOR);
    out.set(CUDNN_ATTR_POINTWISE_MODE, mode);
    out.set(CUDNN_ATTR_POINTWISE_MATH_PREC, CUDNN_DATA_FLOAT);
    out.finalize("an elementwise function");
    return out;
}

/// y = function(x, operand). The operand is one value per channel; the relu has none.
Descriptor pointwise(const Descriptor& function, const Descriptor& x, const Descriptor* operand, const Descriptor& y) {
    Descriptor out(CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR);
    out.set(CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR, function);
    out.set(CUDNN_ATTR_OPERATION_POINTWISE_XDESC, x);
    if (operand) out.set(CUDNN_ATTR_OPERATION_POINTWISE_BDESC, *operand);
    out.set(CUDNN_ATTR_OPERATION_POINTWISE_YDESC, y);
    out.finalize("an elementwise operation");
    return out;
}

/// cuDNN's names for the operation of one pass and its attributes.
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
    const Conv2dShape& shape = task.shape;
    return fmt::format("{}{}{} {} {} {} stride {} padding {}{}{} within {}{}", names_of(task.pass).name,
                       task.fusion.normalize_input ? " of relu(scale*x + shift)" : "",
                       task.fusion.statistics  ? " with sums"
                       : task.fusion.bias_relu ? " with bias and relu"
                       : task.fusion.bn_reduce ? " into a batch norm"
                                               : "",
                       type == DType::F32 && tensor_cores ? "TF32" : name_of(type), shape.x().text(), shape.w().text(),
                       shape.stride, shape.padding, deterministic ? " deterministic" : "",
                       run_time_compiled ? " or compiled at run time" : "", most_workspace,
                       shape.full_batch > 0 ? fmt::format(" as in a batch of {}", shape.full_batch) : "");
}

ConvolutionGraph::ConvolutionGraph(const ConvolutionProblem& problem, const PlanTarget& target)
    : graph_(CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR) {
    const auto& [shape, pass, fusion] = problem.task;
    SCENE_CHECK(!fusion.normalize_input || pass != ConvPass::DataGrad, "a data gradient reads no x");
    SCENE_CHECK(!fusion.statistics || pass == ConvPass::Forward, "only the forward pass writes y");
    SCENE_CHECK(!fusion.bias_relu || (pass == ConvPass::Forward && !fusion.normalize_input && !fusion.statistics),
                "bias and relu are fused alone");
    SCENE_CHECK(!fusion.bn_reduce || pass == ConvPass::DataGrad, "only a data gradient goes into a batch norm");
    const PassNames& names = names_of(pass);
    const Descriptor& x = keep(tensor(shape.x(), problem.type, ConvTensor::X));
    const Descriptor& y = keep(tensor(shape.y(), problem.type, ConvTensor::Y));
    Descriptor operation(names.operation);
    const Descriptor& gradient = fusion.bn_reduce ? keep(tensor(shape.x(), DType::F32, Virtual::Gradient)) : x;
    operation.set(names.x, fusion.normalize_input ? normalized(x, problem) : gradient);
    operation.set(names.w, keep(tensor(shape.w(), problem.type, ConvTensor::W)));
    const Descriptor& sum = fusion.bias_relu ? keep(tensor(shape.y(), DType::F32, Virtual::Sum)) : y;
    operation.set(names.y, sum);
    operation.set(names.convolution, keep(convolution(shape)));
    operation.set(names.alpha, 1.0f);
    operation.set(names.beta, 0.0f);
    operation.finalize(problem.text());
    operations_.push_back(std::move(operation));
    if (fusion.statistics) add_sums(y, problem);
    if (fusion.bias_relu) add_bias_relu(sum, y, problem);
    if (fusion.bn_reduce) add_bn_reduce(x, gradient, problem);
    graph_.set(CUDNN_ATTR_OPERATIONGRAPH_OPS, std::span<const Descriptor>(operations_));
    if (target.handle()) graph_.set(CUDNN_ATTR_OPERATIONGRAPH_HANDLE, target.handle());
    graph_.finalize("the graph of " + problem.text());
}

const Descriptor& ConvolutionGraph::keep(Descriptor descriptor) { return parts_.emplace_back(std::move(descriptor)); }

const Descriptor& ConvolutionGraph::normalized(const Descriptor& x, const ConvolutionProblem& problem) {
    const Shape map = problem.task.shape.x(), per_channel{1, 1, 1, map[3]};
    const Descriptor& scale = keep(tensor(per_channel, problem.type, ConvTensor::Scale));
    const Descriptor& shift = keep(tensor(per_channel, problem.type, ConvTensor::Shift));
    const Descriptor& scaled = computed(CUDNN_POINTWISE_MUL, x, &scale, map, Virtual::Scaled);
    const Descriptor& shifted = computed(CUDNN_POINTWISE_ADD, scaled, &shift, map, Virtual::Shifted);
    return computed(CUDNN_POINTWISE_RELU_FWD, shifted, nullptr, map, Virtual::Rectified);
}

template <typename Role> const Descriptor& ConvolutionGraph::computed(cudnnPointwiseMode_t function,
                                                                      const Descriptor& a, const Descriptor* b,
                                                                      const Shape& map, Role role) {
    const Descriptor& y = keep(tensor(map, DType::F32, role));
    operations_.push_back(pointwise(keep(arithmetic(function)), a, b, y));
    return y;
}

/// The bias is of the type of y: for a float bias beside halves cuDNN proposes no engine.
void ConvolutionGraph::add_bias_relu(const Descriptor& sum, const Descriptor& y, const ConvolutionProblem& problem) {
    const Shape map = problem.task.shape.y(), per_channel{1, 1, 1, map[3]};
    const Descriptor& bias = keep(tensor(per_channel, problem.type, ConvTensor::Bias));
    const Descriptor& biased = computed(CUDNN_POINTWISE_ADD, sum, &bias, map, Virtual::Biased);
    operations_.push_back(pointwise(keep(arithmetic(CUDNN_POINTWISE_RELU_FWD)), biased, nullptr, y));
}

void ConvolutionGraph::add_sums(const Descriptor& y, const ConvolutionProblem& problem) {
    const Shape per_channel{1, 1, 1, problem.task.shape.out_channels};
    Descriptor sums(CUDNN_BACKEND_OPERATION_GEN_STATS_DESCRIPTOR);
    sums.set(CUDNN_ATTR_OPERATION_GENSTATS_MODE, CUDNN_GENSTATS_SUM_SQSUM);
    sums.set(CUDNN_ATTR_OPERATION_GENSTATS_MATH_PREC, CUDNN_DATA_FLOAT);
    sums.set(CUDNN_ATTR_OPERATION_GENSTATS_XDESC, y);
    sums.set(CUDNN_ATTR_OPERATION_GENSTATS_SUMDESC, keep(tensor(per_channel, DType::F32, ConvTensor::Sum)));
    sums.set(CUDNN_ATTR_OPERATION_GENSTATS_SQSUMDESC, keep(tensor(per_channel, DType::F32, ConvTensor::SquareSum)));
    sums.finalize("sums over rows");
    operations_.push_back(std::move(sums));
}

void ConvolutionGraph::add_bn_reduce(const Descriptor& dz, const Descriptor& gradient,
                                     const ConvolutionProblem& problem) {
    const Shape map = problem.task.shape.x(), per_channel{1, 1, 1, map[3]};
    const auto channels = [&](ConvTensor role) -> const Descriptor& {
        return keep(tensor(per_channel, DType::F32, role));
    };
    const Descriptor& x = keep(tensor(map, problem.type, ConvTensor::NormX));
    const Descriptor &mean = channels(ConvTensor::Mean), &inv_std = channels(ConvTensor::InvStd);
    const Descriptor &gamma = channels(ConvTensor::Gamma), &beta = channels(ConvTensor::Beta);
    const Descriptor& centred = computed(CUDNN_POINTWISE_SUB, x, &mean, map, Virtual::Centred);
    const Descriptor& normed = computed(CUDNN_POINTWISE_MUL, centred, &inv_std, map, Virtual::Normed);
    const Descriptor& multiplied = computed(CUDNN_POINTWISE_MUL, normed, &gamma, map, Virtual::Multiplied);
    const Descriptor& z = computed(CUDNN_POINTWISE_ADD, multiplied, &beta, map, Virtual::Raised);
    Descriptor mask(CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR);
    mask.set(CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR, keep(arithmetic(CUDNN_POINTWISE_RELU_BWD)));
    mask.set(CUDNN_ATTR_OPERATION_POINTWISE_XDESC, z);
    mask.set(CUDNN_ATTR_OPERATION_POINTWISE_DYDESC, gradient);
    mask.set(CUDNN_ATTR_OPERATION_POINTWISE_DXDESC, dz);
    mask.finalize("the relu's gradient");
    operations_.push_back(std::move(mask));
    Descriptor sums(CUDNN_BACKEND_OPERATION_BN_BWD_WEIGHTS_DESCRIPTOR);
    sums.set(CUDNN_ATTR_OPERATION_BN_BWD_WEIGHTS_MATH_PREC, CUDNN_DATA_FLOAT);
    sums.set(CUDNN_ATTR_OPERATION_BN_BWD_WEIGHTS_MEAN_DESC, mean);
    sums.set(CUDNN_ATTR_OPERATION_BN_BWD_WEIGHTS_INVSTD_DESC, inv_std);
    sums.set(CUDNN_ATTR_OPERATION_BN_BWD_WEIGHTS_BN_SCALE_DESC, gamma);
    sums.set(CUDNN_ATTR_OPERATION_BN_BWD_WEIGHTS_X_DESC, x);
    sums.set(CUDNN_ATTR_OPERATION_BN_BWD_WEIGHTS_DY_DESC, dz);
    sums.set(CUDNN_ATTR_OPERATION_BN_BWD_WEIGHTS_DBN_SCALE_DESC, channels(ConvTensor::DGamma));
    sums.set(CUDNN_ATTR_OPERATION_BN_BWD_WEIGHTS_DBN_BIAS_DESC, channels(ConvTensor::DBeta));
    // The coefficients of dx = A*dz + B*x + C. batch_norm_apply_gradient computes them itself.
    sums.set(CUDNN_ATTR_OPERATION_BN_BWD_WEIGHTS_EQ_DY_SCALE_DESC, channels(ConvTensor::UnusedA));
    sums.set(CUDNN_ATTR_OPERATION_BN_BWD_WEIGHTS_EQ_X_SCALE_DESC, channels(ConvTensor::UnusedB));
    sums.set(CUDNN_ATTR_OPERATION_BN_BWD_WEIGHTS_EQ_BIAS, channels(ConvTensor::UnusedC));
    sums.finalize("sums of a batch norm's gradient");
    operations_.push_back(std::move(sums));
}

} // namespace scene::cuda

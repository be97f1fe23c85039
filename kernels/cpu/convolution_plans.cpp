#include "kernels/cpu/convolution_plans.h"

#include <algorithm>

#include <dnnl.hpp>

namespace scene::cpu {
namespace {

using dnnl::memory;

memory::desc activation(const Shape& nhwc) {
    return {{nhwc[0], nhwc[3], nhwc[1], nhwc[2]}, memory::data_type::f32, memory::format_tag::nhwc};
}

memory::dims weight_extents(const Conv2dShape& shape) {
    return {shape.out_channels, shape.in_channels, shape.kernel, shape.kernel};
}

size_t aligned(size_t bytes) { return (bytes + 255) / 256 * 256; }

} // namespace

struct ConvolutionPlans::Library {
    dnnl::engine engine{dnnl::engine::kind::cpu, 0};
    dnnl::stream stream{engine};
};

/// The primitive, with a reorder between our dense [K, R, S, C] weights and the library's layout where they differ.
/// Scratch holds the reordered weights, then the primitive's scratchpad.
struct ConvolutionPlans::Plan {
    Key key;
    dnnl::convolution_forward forward;
    dnnl::convolution_backward_data data_grad;
    dnnl::convolution_backward_weights weight_grad;
    dnnl::reorder reorder;
    memory weights, dense_weights, scratchpad, x, y, bias;
    bool reordered = false;

    size_t weights_bytes() const { return reordered ? aligned(weights.get_desc().get_size()) : 0; }
    size_t scratch_bytes() const { return weights_bytes() + scratchpad.get_desc().get_size(); }

    Plan(const Key& new_key, const dnnl::engine& engine) : key(new_key) {
        const Conv2dShape& shape = key.shape;
        const memory::dims strides{shape.stride, shape.stride}, padding{shape.padding, shape.padding};
        const auto direct = dnnl::algorithm::convolution_direct;
        const memory::desc x_desc = activation(shape.x()), y_desc = activation(shape.y());
        const memory::desc any_weights(weight_extents(shape), memory::data_type::f32, memory::format_tag::any);
        const memory::desc dense(weight_extents(shape), memory::data_type::f32, memory::format_tag::ohwi);
        const memory::desc bias_desc({shape.out_channels}, memory::data_type::f32, memory::format_tag::a);
        dnnl::primitive_attr attributes;
        attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
        if (key.relu) {
            dnnl::post_ops after;
            after.append_eltwise(1, dnnl::algorithm::eltwise_relu, 0, 0);
            attributes.set_post_ops(after);
        }
        const auto kind = key.pass == ConvPass::Forward && !key.bias ? dnnl::prop_kind::forward_training
                                                                     : dnnl::prop_kind::forward_inference;
        const auto forward_desc =
            key.bias
                ? dnnl::convolution_forward::desc(kind, direct, x_desc, any_weights, bias_desc, y_desc, strides,
                                                  padding, padding)
                : dnnl::convolution_forward::desc(kind, direct, x_desc, any_weights, y_desc, strides, padding, padding);
        const dnnl::convolution_forward::primitive_desc forward_plan(forward_desc, attributes, engine);
        memory::desc weights_desc, scratchpad_desc;
        switch (key.pass) {
        case ConvPass::Forward:
            forward = dnnl::convolution_forward(forward_plan);
            weights_desc = forward_plan.weights_desc();
            scratchpad_desc = forward_plan.scratchpad_desc();
            break;
        case ConvPass::DataGrad: {
            const dnnl::convolution_backward_data::primitive_desc backward_plan(
                {direct, x_desc, any_weights, y_desc, strides, padding, padding}, attributes, engine, forward_plan);
            data_grad = dnnl::convolution_backward_data(backward_plan);
            weights_desc = backward_plan.weights_desc();
            scratchpad_desc = backward_plan.scratchpad_desc();
            break;
        }
        case ConvPass::WeightGrad: {
            const dnnl::convolution_backward_weights::primitive_desc backward_plan(
                {direct, x_desc, any_weights, y_desc, strides, padding, padding}, attributes, engine, forward_plan);
            weight_grad = dnnl::convolution_backward_weights(backward_plan);
            weights_desc = backward_plan.diff_weights_desc();
            scratchpad_desc = backward_plan.scratchpad_desc();
            break;
        }
        }
        reordered = weights_desc != dense;
        x = memory(x_desc, engine, nullptr);
        y = memory(y_desc, engine, nullptr);
        bias = memory(bias_desc, engine, nullptr);
        weights = memory(weights_desc, engine, nullptr);
        dense_weights = memory(dense, engine, nullptr);
        scratchpad = memory(scratchpad_desc, engine, nullptr);
        if (reordered) {
            using Plan = dnnl::reorder::primitive_desc;
            reorder = dnnl::reorder(key.pass == ConvPass::WeightGrad ? Plan(weights, dense_weights)
                                                                     : Plan(dense_weights, weights));
        }
    }

    void bind(const void* x_data, const void* y_data, const void* w_data, void* scratch) {
        x.set_data_handle(const_cast<void*>(x_data));
        y.set_data_handle(const_cast<void*>(y_data));
        dense_weights.set_data_handle(const_cast<void*>(w_data));
        weights.set_data_handle(reordered ? scratch : const_cast<void*>(w_data));
        scratchpad.set_data_handle(static_cast<char*>(scratch) + weights_bytes());
    }
};

ConvolutionPlans::ConvolutionPlans() : library_(std::make_unique<Library>()) {}
ConvolutionPlans::~ConvolutionPlans() = default;

ConvolutionPlans::Plan& ConvolutionPlans::plan(const Key& key) {
    const auto found = std::find_if(plans_.begin(), plans_.end(), [&](const auto& plan) { return plan->key == key; });
    if (found != plans_.end()) return **found;
    return *plans_.emplace_back(std::make_unique<Plan>(key, library_->engine));
}

size_t ConvolutionPlans::scratch_bytes(const Conv2dShape& shape, ConvPass pass) {
    size_t bytes = plan({shape, pass}).scratch_bytes();
    if (pass != ConvPass::Forward) return bytes;
    bytes = std::max(bytes, plan({shape, pass, true, false}).scratch_bytes());
    return std::max(bytes, plan({shape, pass, true, true}).scratch_bytes());
}

void ConvolutionPlans::forward(float* y, const float* x, const float* w, const float* bias, bool relu, void* scratch,
                               const Conv2dShape& shape) {
    Plan& use = plan({shape, ConvPass::Forward, bias != nullptr, relu});
    use.bind(x, y, w, scratch);
    use.bias.set_data_handle(const_cast<float*>(bias));
    if (use.reordered) use.reorder.execute(library_->stream, use.dense_weights, use.weights);
    use.forward.execute(library_->stream, {{DNNL_ARG_SRC, use.x},
                                           {DNNL_ARG_WEIGHTS, use.weights},
                                           {DNNL_ARG_BIAS, use.bias},
                                           {DNNL_ARG_DST, use.y},
                                           {DNNL_ARG_SCRATCHPAD, use.scratchpad}});
    library_->stream.wait();
}

void ConvolutionPlans::data_grad(float* dx, const float* dy, const float* w, void* scratch, const Conv2dShape& shape) {
    Plan& use = plan({shape, ConvPass::DataGrad});
    use.bind(dx, dy, w, scratch);
    if (use.reordered) use.reorder.execute(library_->stream, use.dense_weights, use.weights);
    use.data_grad.execute(library_->stream, {{DNNL_ARG_DIFF_SRC, use.x},
                                             {DNNL_ARG_WEIGHTS, use.weights},
                                             {DNNL_ARG_DIFF_DST, use.y},
                                             {DNNL_ARG_SCRATCHPAD, use.scratchpad}});
    library_->stream.wait();
}

void ConvolutionPlans::weight_grad(float* dw, const float* dy, const float* x, void* scratch,
                                   const Conv2dShape& shape) {
    Plan& use = plan({shape, ConvPass::WeightGrad});
    use.bind(x, dy, dw, scratch);
    use.weight_grad.execute(library_->stream, {{DNNL_ARG_SRC, use.x},
                                               {DNNL_ARG_DIFF_WEIGHTS, use.weights},
                                               {DNNL_ARG_DIFF_DST, use.y},
                                               {DNNL_ARG_SCRATCHPAD, use.scratchpad}});
    if (use.reordered) use.reorder.execute(library_->stream, use.weights, use.dense_weights);
    library_->stream.wait();
}

} // namespace scene::cpu

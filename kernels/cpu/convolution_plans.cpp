#include "kernels/cpu/convolution_plans.h"

#include <algorithm>
#include <unordered_map>

#include <dnnl.hpp>
#include <omp.h>

#include "kernels/cpu/parallel.h"

namespace scene::cpu {
namespace {

using dnnl::memory;

/// Sets OpenMP's thread count to 1 while it lives. oneDNN reads that count when a primitive is created and when it
/// runs.
class OneThread {
public:
    OneThread() : before_(omp_get_max_threads()) { omp_set_num_threads(1); }
    ~OneThread() { omp_set_num_threads(before_); }
    OneThread(const OneThread&) = delete;
    OneThread& operator=(const OneThread&) = delete;

private:
    int before_;
};

/// Clips per chunk: the largest number that splits the batch into at least 16 equal chunks, or 1.
int64_t chunk_clips(int64_t batch) {
    for (int64_t clips = batch / 16; clips > 1; --clips)
        if (batch % clips == 0) return clips;
    return 1;
}

Conv2dShape chunk_of(Conv2dShape shape) {
    shape.batch = chunk_clips(shape.batch);
    return shape;
}

memory::desc activation(const Shape& nhwc) {
    return {{nhwc[0], nhwc[3], nhwc[1], nhwc[2]}, memory::data_type::f32, memory::format_tag::nhwc};
}

memory::dims weight_extents(const Conv2dShape& shape) {
    return {shape.out_channels, shape.in_channels, shape.kernel, shape.kernel};
}

/// The operands of a convolution as oneDNN sees them; it chooses the layout of the weights.
struct Descriptors {
    memory::desc x, weights, bias, y;
    memory::dims strides, padding;

    explicit Descriptors(const Conv2dShape& shape)
        : x(activation(shape.x())), weights(weight_extents(shape), memory::data_type::f32, memory::format_tag::any),
          bias({shape.out_channels}, memory::data_type::f32, memory::format_tag::a),
          y(activation(shape.y())), strides{shape.stride, shape.stride}, padding{shape.padding, shape.padding} {}
};

constexpr auto direct = dnnl::algorithm::convolution_direct;

// oneDNN 3 has no operation descriptors: a primitive descriptor is made directly from its operands.
#if DNNL_VERSION_MAJOR >= 3
dnnl::convolution_forward::primitive_desc plan_forward(const dnnl::engine& engine, const Descriptors& d, bool bias,
                                                       const dnnl::primitive_attr& attributes) {
    if (bias)
        return {engine,    dnnl::prop_kind::forward_inference,
                direct,    d.x,
                d.weights, d.bias,
                d.y,       d.strides,
                d.padding, d.padding,
                attributes};
    return {engine,    dnnl::prop_kind::forward_training, direct, d.x, d.weights, d.y, d.strides, d.padding, d.padding,
            attributes};
}

dnnl::convolution_backward_data::primitive_desc
plan_data_grad(const dnnl::engine& engine, const Descriptors& d, const dnnl::primitive_attr& attributes,
               const dnnl::convolution_forward::primitive_desc& forward) {
    return {engine, direct, d.x, d.weights, d.y, d.strides, d.padding, d.padding, forward, attributes};
}

dnnl::convolution_backward_weights::primitive_desc
plan_weight_grad(const dnnl::engine& engine, const Descriptors& d, const dnnl::primitive_attr& attributes,
                 const dnnl::convolution_forward::primitive_desc& forward) {
    return {engine, direct, d.x, d.weights, d.y, d.strides, d.padding, d.padding, forward, attributes};
}
#else
dnnl::convolution_forward::primitive_desc plan_forward(const dnnl::engine& engine, const Descriptors& d, bool bias,
                                                       const dnnl::primitive_attr& attributes) {
    using Operation = dnnl::convolution_forward::desc;
    return {bias ? Operation(dnnl::prop_kind::forward_inference, direct, d.x, d.weights, d.bias, d.y, d.strides,
                             d.padding, d.padding)
                 : Operation(dnnl::prop_kind::forward_training, direct, d.x, d.weights, d.y, d.strides, d.padding,
                             d.padding),
            attributes, engine};
}

dnnl::convolution_backward_data::primitive_desc
plan_data_grad(const dnnl::engine& engine, const Descriptors& d, const dnnl::primitive_attr& attributes,
               const dnnl::convolution_forward::primitive_desc& forward) {
    return {{direct, d.x, d.weights, d.y, d.strides, d.padding, d.padding}, attributes, engine, forward};
}

dnnl::convolution_backward_weights::primitive_desc
plan_weight_grad(const dnnl::engine& engine, const Descriptors& d, const dnnl::primitive_attr& attributes,
                 const dnnl::convolution_forward::primitive_desc& forward) {
    return {{direct, d.x, d.weights, d.y, d.strides, d.padding, d.padding}, attributes, engine, forward};
}
#endif

void rectify(float* values, int64_t count) {
#pragma omp simd
    for (int64_t i = 0; i < count; ++i) values[i] = values[i] <= 0 ? 0.0f : values[i];
}

} // namespace

struct ConvolutionPlans::Library {
    dnnl::engine engine{dnnl::engine::kind::cpu, 0};
};

/// The primitive for one chunk, with a reorder between our dense [K, R, S, C] weights and the library's layout where
/// they differ. Scratch holds the reordered weights, then each thread's scratchpad, then (weight gradient) each chunk's
/// gradient in the library's layout.
struct ConvolutionPlans::Plan {
    Key key;
    int64_t chunks;
    dnnl::primitive primitive;
    dnnl::reorder reorder;
    memory::desc x, y, bias, weights, dense_weights, scratchpad;
    bool reordered = false;

    Plan(const Key& new_key, const dnnl::engine& engine)
        : key(new_key), chunks(key.shape.batch / chunk_clips(key.shape.batch)) {
        const OneThread one_thread;
        const Descriptors operands(chunk_of(key.shape));
        dnnl::primitive_attr attributes;
        attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
        const auto forward = plan_forward(engine, operands, key.bias, attributes);
        switch (key.pass) {
        case ConvPass::Forward:
            primitive = dnnl::convolution_forward(forward);
            weights = forward.weights_desc();
            scratchpad = forward.scratchpad_desc();
            break;
        case ConvPass::DataGrad: {
            const auto backward = plan_data_grad(engine, operands, attributes, forward);
            primitive = dnnl::convolution_backward_data(backward);
            weights = backward.weights_desc();
            scratchpad = backward.scratchpad_desc();
            break;
        }
        case ConvPass::WeightGrad: {
            const auto backward = plan_weight_grad(engine, operands, attributes, forward);
            primitive = dnnl::convolution_backward_weights(backward);
            weights = backward.diff_weights_desc();
            scratchpad = backward.scratchpad_desc();
            break;
        }
        }
        x = operands.x;
        y = operands.y;
        bias = operands.bias;
        dense_weights = memory::desc(weight_extents(key.shape), memory::data_type::f32, memory::format_tag::ohwi);
        reordered = weights != dense_weights;
        if (reordered) {
            const memory ours(dense_weights, engine, nullptr), theirs(weights, engine, nullptr);
            reorder = key.pass == ConvPass::WeightGrad ? dnnl::reorder(theirs, ours) : dnnl::reorder(ours, theirs);
        }
    }

    size_t weights_bytes() const { return aligned_bytes(weights.get_size()); }
    size_t scratchpad_bytes() const { return aligned_bytes(scratchpad.get_size()); }
    size_t scratch_bytes(int threads) const {
        return (reordered ? weights_bytes() : 0) + static_cast<size_t>(threads) * scratchpad_bytes() +
               (key.pass == ConvPass::WeightGrad ? static_cast<size_t>(chunks) * weights_bytes() : 0);
    }

    /// The memory of the weights in the library's layout: scratch if they are reordered, else `w` itself.
    float* weights_in(void* scratch, const float* w) const {
        return reordered ? static_cast<float*>(scratch) : const_cast<float*>(w);
    }
    char* scratchpad_in(void* scratch, int thread) const {
        return static_cast<char*>(scratch) + (reordered ? weights_bytes() : 0) +
               static_cast<size_t>(thread) * scratchpad_bytes();
    }
    float* chunk_gradient_in(void* scratch, int threads, int64_t chunk) const {
        return reinterpret_cast<float*>(scratchpad_in(scratch, threads) + static_cast<size_t>(chunk) * weights_bytes());
    }

    void reorder_weights(const dnnl::engine& engine, const float* from, float* to) const {
        const OneThread one_thread;
        const bool to_ours = key.pass == ConvPass::WeightGrad;
        memory source(to_ours ? weights : dense_weights, engine, const_cast<float*>(from));
        memory target(to_ours ? dense_weights : weights, engine, to);
        dnnl::stream stream(engine);
        reorder.execute(stream, source, target);
        stream.wait();
    }

    /// Runs one chunk on the calling thread. x and y are those of the whole batch.
    void run(const dnnl::engine& engine, int64_t chunk, const float* x_batch, const float* y_batch, float* w,
             const float* bias_data, void* pad) const {
        const OneThread one_thread;
        const Shape x_chunk = chunk_of(key.shape).x(), y_chunk = chunk_of(key.shape).y();
        const memory x_memory(x, engine, const_cast<float*>(x_batch) + chunk * x_chunk.elements());
        const memory y_memory(y, engine, const_cast<float*>(y_batch) + chunk * y_chunk.elements());
        const memory w_memory(weights, engine, w), pad_memory(scratchpad, engine, pad);
        const bool data_grad = key.pass == ConvPass::DataGrad, weight_grad = key.pass == ConvPass::WeightGrad;
        std::unordered_map<int, memory> arguments{
            {data_grad ? DNNL_ARG_DIFF_SRC : DNNL_ARG_SRC, x_memory},
            {weight_grad ? DNNL_ARG_DIFF_WEIGHTS : DNNL_ARG_WEIGHTS, w_memory},
            {key.pass == ConvPass::Forward ? DNNL_ARG_DST : DNNL_ARG_DIFF_DST, y_memory},
            {DNNL_ARG_SCRATCHPAD, pad_memory}};
        if (key.bias) arguments.emplace(DNNL_ARG_BIAS, memory(bias, engine, const_cast<float*>(bias_data)));
        dnnl::stream stream(engine);
        primitive.execute(stream, arguments);
        stream.wait();
    }
};

ConvolutionPlans::ConvolutionPlans(int threads) : threads_(threads), library_(std::make_unique<Library>()) {}
ConvolutionPlans::~ConvolutionPlans() = default;

ConvolutionPlans::Plan& ConvolutionPlans::plan(const Key& key) {
    const auto found = std::find_if(plans_.begin(), plans_.end(), [&](const auto& plan) { return plan->key == key; });
    if (found != plans_.end()) return **found;
    return *plans_.emplace_back(std::make_unique<Plan>(key, library_->engine));
}

size_t ConvolutionPlans::scratch_bytes(const Conv2dShape& shape, ConvPass pass) {
    const size_t bytes = plan({shape, pass}).scratch_bytes(threads_);
    if (pass != ConvPass::Forward) return bytes;
    return std::max(bytes, plan({shape, pass, true}).scratch_bytes(threads_));
}

void ConvolutionPlans::forward(float* y, const float* x, const float* w, const float* bias, bool relu, void* scratch,
                               const Conv2dShape& shape) {
    const Plan& use = plan({shape, ConvPass::Forward, bias != nullptr});
    const int64_t chunk_elements = chunk_of(shape).y().elements();
    float* weights = use.weights_in(scratch, w);
    if (use.reordered) use.reorder_weights(library_->engine, w, weights);
    for_chunks(threads_, use.chunks, 1, [&](int64_t chunk, int64_t) {
        use.run(library_->engine, chunk, x, y, weights, bias, use.scratchpad_in(scratch, omp_get_thread_num()));
        // oneDNN's own relu makes 0 of a NaN.
        if (relu) rectify(y + chunk * chunk_elements, chunk_elements);
    });
}

void ConvolutionPlans::data_grad(float* dx, const float* dy, const float* w, void* scratch, const Conv2dShape& shape) {
    const Plan& use = plan({shape, ConvPass::DataGrad});
    float* weights = use.weights_in(scratch, w);
    if (use.reordered) use.reorder_weights(library_->engine, w, weights);
    for_chunks(threads_, use.chunks, 1, [&](int64_t chunk, int64_t) {
        use.run(library_->engine, chunk, dx, dy, weights, nullptr, use.scratchpad_in(scratch, omp_get_thread_num()));
    });
}

void ConvolutionPlans::weight_grad(float* dw, const float* dy, const float* x, void* scratch,
                                   const Conv2dShape& shape) {
    const Plan& use = plan({shape, ConvPass::WeightGrad});
    for_chunks(threads_, use.chunks, 1, [&](int64_t chunk, int64_t) {
        use.run(library_->engine, chunk, x, dy, use.chunk_gradient_in(scratch, threads_, chunk), nullptr,
                use.scratchpad_in(scratch, omp_get_thread_num()));
    });
    float* sum = use.weights_in(scratch, dw);
    const auto elements = static_cast<int64_t>(use.weights.get_size() / sizeof(float));
    for_chunks(threads_, elements, grain_for(use.chunks), [&](int64_t first, int64_t last) {
        for (int64_t i = first; i < last; ++i) {
            double total = 0;
            for (int64_t chunk = 0; chunk < use.chunks; ++chunk)
                total += static_cast<double>(use.chunk_gradient_in(scratch, threads_, chunk)[i]);
            sum[i] = static_cast<float>(total);
        }
    });
    if (use.reordered) use.reorder_weights(library_->engine, sum, dw);
}

} // namespace scene::cpu

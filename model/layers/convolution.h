#pragma once

// One convolution of a network, for the layers that have one.

#include <string>

#include "model/layers/layers.h"
#include "model/layers/norm.h"

namespace scene {

/// Between an activation and its raw output.
struct Convolution {
    std::string name;
    Conv2dShape shape;
    ConvFusion fusion;
    FeatureMap x;
    TensorId parameter; ///< the weights, f32
    TensorId w;         ///< the same in the activation type
    TensorId y;

    bool normalizes_on_load() const { return fusion.normalize_input && static_cast<bool>(x.raw); }
    Shape pooled_y() const { return {shape.batch, shape.out_height() / 2, shape.out_width() / 2, shape.out_channels}; }
};

Convolution declare_convolution(ProgramBuilder& builder, const FeatureMap& x, const ConvNormSpec& spec);

/// What a convolution multiplies with: w, or what the device made of it once.
struct Weights {
    TensorId w, prepared;
};

/// Inference: `w` in the form that the device makes of it in setup, if it makes one.
Weights inference_weights(ProgramBuilder& builder, const Convolution& conv, TensorId w);

/// y = conv(x); statistics of y come with it when `statistics` is given and the device can, and in an op of their own
/// when it is given and the device cannot.
void add_convolution(ProgramBuilder& builder, const Convolution& conv, const Weights& weights, const Norm* statistics,
                     TensorId bias);

/// The gradients of weights and, if anyone needs it, of the input, from dy, the gradient of the raw output.
void add_convolution_backward(ProgramBuilder& builder, const Convolution& conv, TensorId dy);

/// folded = w*scale.
void add_fold(ProgramBuilder& builder, const Convolution& conv, TensorId folded, TensorId scale);

} // namespace scene

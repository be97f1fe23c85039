#pragma once

// A single convolution, shared by the layers that contain one.

#include <string>

#include "model/layers/layers.h"
#include "model/layers/norm.h"

namespace scene {

/// A convolution without bias, from the feature map x to its raw output y (before batch norm).
struct Convolution {
    std::string name;
    Conv2dShape shape;
    ConvFusion fusion; ///< what the device can fuse for this shape
    FeatureMap x;
    TensorId parameter; ///< the weights, F32 [K, R, S, C]
    TensorId w;         ///< the same in the activation type
    TensorId y;         ///< [N, P, Q, K]

    /// Whether it reads x.raw and applies batch norm and relu itself.
    bool normalizes_on_load() const { return fusion.normalize_input && static_cast<bool>(x.raw); }
    /// y after 2x2 pooling.
    Shape pooled_y() const { return {shape.batch, shape.out_height() / 2, shape.out_width() / 2, shape.out_channels}; }
};

/// Declares the parameter `spec.conv`.weight and the output; adds no forward op but the cast of an input norm.
Convolution declare_convolution(ProgramBuilder& builder, const FeatureMap& x, const ConvNormSpec& spec);

/// The weights of a convolution: exactly one of w [K, R, S, C] and the device's prepared form of it.
struct Weights {
    TensorId w, prepared;
};

/// Inference: adds the setup op that prepares `w`, if the device has a prepared form for the shape.
Weights inference_weights(ProgramBuilder& builder, const Convolution& conv, TensorId w);

/// y = conv(x), or relu(conv(x) + bias) with a bias. With `statistics`, also mean and variance of y: fused into the
/// convolution if the device can, else by an op of their own.
void add_convolution(ProgramBuilder& builder, const Convolution& conv, const Weights& weights, const Norm* statistics,
                     TensorId bias);

/// Weight gradient and, if it is needed, data gradient from dy, the gradient of y. The data gradient also reduces
/// dgamma and dbeta of the batch norm of x if the device can (NormOfMap).
void add_convolution_backward(ProgramBuilder& builder, const Convolution& conv, TensorId dy);

/// folded = w*scale[k]: batch norm folded into the weights.
void add_fold(ProgramBuilder& builder, const Convolution& conv, TensorId folded, TensorId scale);

} // namespace scene

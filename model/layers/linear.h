#pragma once

// A single linear layer, shared by the layers that contain one.

#include <string>

#include "model/program_builder.h"

namespace scene {

struct Linear {
    std::string name;         ///< prefix of its ops' names
    std::string weight, bias; ///< names of the parameters; an empty bias: none
    TensorId w, b;            ///< [O, I], [O]
    Activation activation = Activation::None;
    Dropout dropout;
};

/// y [M, O] = dropout(activation(x w^T + bias)) for x [M, I].
TensorId add_linear_forward(ProgramBuilder& builder, const Linear& layer, TensorId x);
/// dpre, the gradient of x w^T + bias, from dy and the forward output y. Works in place over dy; without activation and
/// dropout it adds no op and returns dy.
TensorId add_activation_backward(ProgramBuilder& builder, const Linear& layer, TensorId dy, TensorId y);
/// Gradients of weight and bias.
void add_weight_grad(ProgramBuilder& builder, const Linear& layer, TensorId dpre, TensorId x);
/// dx = dpre w.
TensorId add_data_grad(ProgramBuilder& builder, const Linear& layer, TensorId dpre);
/// dx += dpre w.
void add_data_grad_onto(ProgramBuilder& builder, const Linear& layer, TensorId dx, TensorId dpre);

} // namespace scene

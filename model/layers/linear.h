#pragma once

// One linear layer of a network, for the layers that have one.

#include <string>

#include "model/program_builder.h"

namespace scene {

struct Linear {
    std::string name;         ///< of its ops
    std::string weight, bias; ///< parameters; no bias where the name is empty
    TensorId w, b;
    Activation activation = Activation::None;
    Dropout dropout;
};

/// y = dropout(activation(x w^T + bias)).
TensorId add_linear_forward(ProgramBuilder& builder, const Linear& layer, TensorId x);
/// The gradient before activation and dropout, in the memory of dy; dy itself where there is neither.
TensorId add_activation_backward(ProgramBuilder& builder, const Linear& layer, TensorId dy, TensorId y);
void add_weight_grad(ProgramBuilder& builder, const Linear& layer, TensorId dpre, TensorId x);
/// dx = dpre w.
TensorId add_data_grad(ProgramBuilder& builder, const Linear& layer, TensorId dpre);
/// dx += dpre w.
void add_data_grad_onto(ProgramBuilder& builder, const Linear& layer, TensorId dx, TensorId dpre);

} // namespace scene

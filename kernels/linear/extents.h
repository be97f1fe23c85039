#pragma once

// Checks of the operands of the linear products, the same for every device.

#include "kernels/linear/linear.h"
#include "kernels/operands.h"

namespace scene {

/// x [rows, in], w [out, in], y [rows, out].
struct LinearExtents {
    int64_t rows = 0, in = 0, out = 0;
};

inline LinearExtents checked_extents(const LinearForward<Tensor>& op) {
    check_rank(op.x, 2, "x");
    check_rank(op.w, 2, "w");
    const LinearExtents e{op.x.shape[0], op.w.shape[1], op.w.shape[0]};
    check_tensor(op.x, DType::F32, {e.rows, e.in}, "x");
    check_tensor(op.w, DType::F32, {e.out, e.in}, "w");
    check_tensor(op.y, DType::F32, {e.rows, e.out}, "y");
    if (op.bias) check_tensor(op.bias, DType::F32, {e.out}, "bias");
    return e;
}

inline LinearExtents checked_extents(const LinearDataGrad<Tensor>& op) {
    check_rank(op.dpre, 2, "dpre");
    check_rank(op.w, 2, "w");
    const LinearExtents e{op.dpre.shape[0], op.w.shape[1], op.w.shape[0]};
    check_tensor(op.dpre, DType::F32, {e.rows, e.out}, "dpre");
    check_tensor(op.w, DType::F32, {e.out, e.in}, "w");
    check_tensor(op.dx, DType::F32, {e.rows, e.in}, "dx");
    if (op.addend) check_tensor(op.addend, DType::F32, {e.rows, e.in}, "addend");
    SCENE_CHECK(!op.addend || op.addend.data == op.dx.data, "addend is not dx itself");
    return e;
}

inline LinearExtents checked_extents(const LinearWeightGrad<Tensor>& op) {
    check_rank(op.x, 2, "x");
    check_rank(op.dw, 2, "dw");
    const LinearExtents e{op.x.shape[0], op.dw.shape[1], op.dw.shape[0]};
    check_tensor(op.x, DType::F32, {e.rows, e.in}, "x");
    check_tensor(op.dpre, DType::F32, {e.rows, e.out}, "dpre");
    check_tensor(op.dw, DType::F32, {e.out, e.in}, "dw");
    if (op.dbias) check_tensor(op.dbias, DType::F32, {e.out}, "dbias");
    return e;
}

} // namespace scene

#pragma once

// Extents and operand checks of attention, the same on every device.

#include "kernels/attention/attention.h"
#include "kernels/operands.h"

namespace scene {

struct AttentionExtents {
    int64_t clips = 0, tokens = 0, features = 0, heads = 0;

    int64_t size() const { return features / heads; } ///< features of a head
    Shape qkv() const { return {clips, tokens, 3 * features}; }
    Shape y() const { return {clips, tokens, features}; }
};

inline AttentionExtents extents_of(const Tensor& qkv, int heads) {
    check_rank(qkv, 3, "qkv");
    SCENE_CHECK(heads > 0 && qkv.shape[2] % (3 * heads) == 0,
                "qkv " + qkv.shape.text() + " does not split into q, k, v of " + std::to_string(heads) + " heads");
    return {qkv.shape[0], qkv.shape[1], qkv.shape[2] / 3, heads};
}

inline AttentionExtents checked_extents(const AttentionForward<Tensor>& op) {
    const AttentionExtents e = extents_of(op.qkv, op.heads);
    check_tensor(op.y, op.qkv.dtype, e.y(), "y");
    return e;
}

inline AttentionExtents checked_extents(const AttentionBackward<Tensor>& op) {
    const AttentionExtents e = extents_of(op.qkv, op.heads);
    check_tensor(op.dy, op.qkv.dtype, e.y(), "dy");
    check_tensor(op.dqkv, op.qkv.dtype, e.qkv(), "dqkv");
    return e;
}

} // namespace scene

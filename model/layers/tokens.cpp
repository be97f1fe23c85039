#include "model/layers/layers.h"

namespace scene {

TensorId token_pool(ProgramBuilder& b, const FeatureMap& x, int64_t tokens) {
    const TensorId values = x.stored ? x.stored : x.materialize("");
    const TensorId y = b.transient("tokens", {x.shape[0], tokens, x.shape[3]});
    b.add("token_pool.forward", TokenPoolForward<TensorId>{.y = y, .x = values});
    b.on_backward([=, &b] {
        const TensorId dx = b.activation("token_pool.dx", x.shape);
        b.add("token_pool.backward", TokenPoolBackward<TensorId>{.dx = dx, .dy = b.gradient(y)});
        b.set_gradient(x.key, dx);
    });
    return y;
}

TensorId token_max(ProgramBuilder& b, TensorId x) {
    const Shape shape = b.shape(x);
    const TensorId y = b.transient("embedding", {shape[0], shape[2]});
    const TensorId argmax = b.transient("embedding.argmax", {shape[0], shape[2]}, DType::I32);
    b.add("token_max.forward", TokenMaxForward<TensorId>{.y = y, .argmax = argmax, .x = x});
    b.on_backward([=, &b] {
        const TensorId dx = b.transient("token_max.dx", shape);
        b.add("token_max.backward", TokenMaxBackward<TensorId>{.dx = dx, .dy = b.gradient(y), .argmax = argmax});
        b.set_gradient(x, dx);
    });
    return y;
}

TensorId embedding(ProgramBuilder& b, TensorId index, const std::string& name, int64_t rows, int64_t width) {
    const TensorId table = b.parameter(name + ".weight", {rows, width}, Init::normal());
    const TensorId y = b.transient(name + ".out", {b.shape(index)[0], width});
    b.add(name + ".forward", EmbeddingForward<TensorId>{.y = y, .table = table, .index = index});
    b.on_backward([=, &b] {
        b.add(name + ".backward", EmbeddingBackward<TensorId>{.dtable = b.parameter_gradient(name + ".weight"),
                                                              .dy = b.gradient(y),
                                                              .index = index});
    });
    return y;
}

TensorId concat(ProgramBuilder& b, const std::string& name, TensorId x0, TensorId x1, TensorId x2) {
    const int64_t width = b.shape(x0)[1] + b.shape(x1)[1] + b.shape(x2)[1];
    const TensorId y = b.transient(name, {b.shape(x0)[0], width});
    b.add(name + ".forward", ConcatForward<TensorId>{.y = y, .parts = {x0, x1, x2}});
    b.on_backward([=, &b] {
        const auto part = [&](TensorId x) {
            const TensorId dx = b.transient(name + ".dx", b.shape(x));
            b.set_gradient(x, dx);
            return dx;
        };
        const TensorId dx0 = part(x0), dx1 = part(x1), dx2 = part(x2);
        b.add(name + ".backward", ConcatBackward<TensorId>{.dparts = {dx0, dx1, dx2}, .dy = b.gradient(y)});
    });
    return y;
}

} // namespace scene

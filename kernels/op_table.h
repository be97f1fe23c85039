#pragma once

// A device's dispatch table: one function for each op, generated from the list of ops (kernels/ops.h). An op for which
// a device has no function does not compile.

#include <tuple>

#include "kernels/ops.h"

namespace scene {

class Device;
class Planner;

template <template <class> class Op> using RunFunction = void (*)(Device&, const Op<Tensor>&);
template <template <class> class Op> using ScratchFunction = size_t (*)(const Planner&, const Op<TensorSpec>&);

namespace table {

template <template <class> class Op> struct Entry { RunFunction<Op> run; };
template <template <class> class Op> struct ScratchEntry { ScratchFunction<Op> bytes; };

template <class List> struct Of;
template <template <class> class... Op> struct Of<OpList<Op...>> {
    using Run = std::tuple<Entry<Op>...>;
    using Scratch = std::tuple<ScratchEntry<Op>...>;

    /// `Functions::call` and `Functions::bytes` are templates over Op.
    template <class Functions> static constexpr Run run() { return {Entry<Op>{&Functions::template call<Op>}...}; }
    template <class Functions> static constexpr Scratch scratch() {
        return {ScratchEntry<Op>{&Functions::template bytes<Op>}...};
    }
};

} // namespace table

using RunTable = table::Of<AllOps>::Run;
using ScratchTable = table::Of<AllOps>::Scratch;

/// Functions::call<Op>(Device&, const Op<Tensor>&) for every op: runs it.
template <class Functions> constexpr RunTable run_table = table::Of<AllOps>::run<Functions>();
/// Functions::bytes<Op>(const Planner&, const Op<TensorSpec>&) for every op: the bytes of its scratch, or 0.
template <class Functions> constexpr ScratchTable scratch_table = table::Of<AllOps>::scratch<Functions>();

} // namespace scene

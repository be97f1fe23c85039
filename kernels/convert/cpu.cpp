#include "kernels/convert/convert.h"

#include "kernels/cpu/context.h"
#include "kernels/cpu/parallel.h"
#include "kernels/half_width.h"
#include "kernels/operands.h"

namespace scene::cpu {
namespace {

template <typename To, typename From> void convert(To* to, const From* from, int64_t count, int threads) {
    for_chunks(threads, count, 65536, [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) to[i] = static_cast<To>(from[i]);
    });
}

} // namespace

void run(const Convert<Tensor>& op, Context& cpu) {
    const Tensor &x = op.x, &y = op.y;
    const bool narrows = x.dtype == DType::F32;
    check_half_width(narrows ? y : x, x.shape, narrows ? "y" : "x");
    check_tensor(narrows ? x : y, DType::F32, x.shape, narrows ? "x" : "y");
    with_half_width(narrows ? y.dtype : x.dtype, [&](auto type) {
        using Half = decltype(type);
        if (narrows) {
            convert(static_cast<Half*>(y.data), static_cast<const float*>(x.data), x.elements(), cpu.threads);
        } else {
            convert(static_cast<float*>(y.data), static_cast<const Half*>(x.data), x.elements(), cpu.threads);
        }
    });
}

} // namespace scene::cpu

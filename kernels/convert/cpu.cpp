#include "kernels/convert/convert.h"

#include "kernels/cpu/context.h"
#include "kernels/cpu/parallel.h"
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
    check_tensor(x, narrows ? DType::F32 : DType::F16, x.shape, "x");
    check_tensor(y, narrows ? DType::F16 : DType::F32, x.shape, "y");
    if (narrows) {
        convert(static_cast<_Float16*>(y.data), static_cast<const float*>(x.data), x.elements(), cpu.threads);
    } else {
        convert(static_cast<float*>(y.data), static_cast<const _Float16*>(x.data), x.elements(), cpu.threads);
    }
}

} // namespace scene::cpu

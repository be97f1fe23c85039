#include "kernels/fill_zero/fill_zero.h"

#include <cstring>

#include "kernels/cpu/context.h"
#include "kernels/cpu/parallel.h"

namespace scene::cpu {

void run(const FillZero<Tensor>& op, Context& cpu) {
    SCENE_CHECK(op.x, "fill_zero of an absent tensor");
    for_chunks(cpu.threads, static_cast<int64_t>(op.x.bytes()), 1 << 18, [&](int64_t begin, int64_t end) {
        std::memset(static_cast<char*>(op.x.data) + begin, 0, static_cast<size_t>(end - begin));
    });
}

} // namespace scene::cpu

#include "kernels/fill_zero/fill_zero.h"

#include <algorithm>

namespace scene::reference {

void run(const FillZero<Tensor>& op) { std::fill_n(static_cast<std::byte*>(op.x.data), op.x.bytes(), std::byte{0}); }

} // namespace scene::reference

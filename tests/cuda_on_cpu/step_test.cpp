// What surrounds the network in a step: folded weights.

#include "tests/cuda_on_cpu/support.h"

namespace scene::test {
namespace {} // namespace
} // namespace scene::test

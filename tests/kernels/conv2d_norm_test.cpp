// conv2d_norm_statistics and conv2d_norm_backward against the ops that they stand for: a convolution, its batch norm's
// statistics, and the backward passes of both.

#include "tests/kernels/batch_norm_of_batch.h"
#include "tests/support/run_with_scratch.h"

namespace scene::test {
namespace {

struct Case {
    Conv2dShape shape;
    double offset; ///< of the input's mean, in its standard deviations
};

const std::vector<Case> cases = {
    {{.batch = 2,
      .height = 13,
      .width = 9,
      .in_channels = 1,
      .out_channels = 24,
      .kernel = 5,
      .stride = 2,
      .padding = 2},
     0},
    {{.batch = 3,
      .height = 8,
      .width = 7,
      .in_channels = 3,
      .out_channels = 10,
      .kernel = 3,
      .stride = 1,
      .padding = 1},
     3},
    {{.batch = 2, .height = 9, .width = 8, .in_channels = 2, .out_channels = 5, .kernel = 1, .stride = 2, .padding = 0},
     0},
};

} // namespace
} // namespace scene::test

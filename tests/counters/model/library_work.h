#pragma once

// The ops of a step that a library computes, convolutions by cuDNN and matrix products by cuBLASLt, which the emulator
// does not run. Their time is predicted from their arithmetic and their operands' bytes.

#include <string>
#include <vector>

#include "model/program.h"
#include "tests/counters/model/gpu_properties.h"

namespace scene::counters {

struct LibraryWork {
    std::string op, kind; ///< block1.conv2.forward, conv2d_forward
    double flops = 0, bytes = 0;
    bool halves = false; ///< operands are fp16 or bf16
    /// Of the product that a convolution is: its columns, and the channels of one filter tap in its inner dimension.
    int64_t columns = 0, inner = 0;
};

/// Convolutions with more than four input channels, and the matrix products of linear layers, in order.
std::vector<LibraryWork> library_work(const Program& program);

/// The share of a tile's multiplications that are of use, at the tile width that suits best.
double tile_fill(int64_t columns, int64_t inner);

/// The larger of arithmetic at the device's rate, times tile_fill, and operands over the bandwidth; plus the gap to the
/// next kernel. Float operands are taken to have half the rate of halves (TF32). A prediction.
double predicted_seconds(const LibraryWork& work, const GpuProperties& gpu);

} // namespace scene::counters

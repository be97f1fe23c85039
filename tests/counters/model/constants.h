#pragma once

// Every constant of the time model, with its source. "Assumed" means: no measurement and no document; the first
// measurement on a device decides.

#include <array>
#include <string_view>

namespace scene::counters {

/// What a GPU sustains. Properties that the CUDA runtime reports come from the device profiles instead
/// (kernels/cuda/cudnn/device_profiles.h).
struct SustainedRates {
    std::string_view device;      ///< the name of the device profile
    double datasheet_bytes_per_s; ///< device memory
    double dram_bytes_per_s;      ///< that a large copy reaches, reads and writes together
    double l2_bytes_per_s;
    double half_flops_per_s; ///< dense fp16 or bf16 tensor-core products, summed in float, as large products reach
};

/// Of the bandwidth and the arithmetic in the data sheet: on an H100 SXM 3.0 of 3.35 TB/s and 798 of 989 TFLOP/s, which
/// were measured there, but not by this program. Assumed of the others.
constexpr double share_of_bandwidth = 3.0 / 3.35, share_of_arithmetic = 798.0 / 989.0;
/// L2 bandwidth over that of device memory. Assumed, from an A100's: 2,560 bytes a cycle are 3.6 TB/s (GitHub,
/// smallscientist1/cuda_microbenchmark, analysis_A100.md) beside 1.8 TB/s.
constexpr double l2_over_dram = 2;

constexpr SustainedRates sustained(std::string_view device, double datasheet_bytes, double datasheet_flops) {
    const double dram = share_of_bandwidth * datasheet_bytes;
    return {device, datasheet_bytes, dram, l2_over_dram * dram, share_of_arithmetic * datasheet_flops};
}

/// Data sheets of NVIDIA: H100 SXM, H200 SXM, A100 80GB SXM, L4, GeForce RTX 4090 (architecture whitepapers,
/// fp16 with float sums), HGX B200.
inline constexpr std::array rates = {
    sustained("h100", 3.35e12, 989e12), sustained("h200", 4.8e12, 989e12),      sustained("a100", 2.039e12, 312e12),
    sustained("l4", 0.3e12, 121e12),    sustained("rtx4090", 1.008e12, 165e12), sustained("b200", 8e12, 2250e12),
};

/// Cycles from a load to its first use on an otherwise idle Hopper, from L2 and from device memory (GitHub,
/// markdewing/AI_kernels, latency/README.md, GH200). Memory that is busy all the time answers
/// later: twice as late is assumed.
constexpr double l2_latency_cycles = 281, dram_latency_cycles = 690, latency_under_load = 2;

/// Bytes that an L1 passes in a cycle, of global memory: 128 (CUDA C++ Best Practices Guide: one 128-byte line a
/// request). Shared memory: one wavefront, 32 banks of four bytes.
constexpr double l1_bytes_per_cycle = 128;
/// Warp schedulers of a multiprocessor; each issues one instruction a cycle (CUDA C++ Programming Guide, 5.0 to 12.0).
constexpr double schedulers = 4;
/// Additions or multiplications in double precision of a multiprocessor in a cycle (CUDA C++ Programming Guide,
/// "Throughput of Native Arithmetic Instructions").
constexpr double double_lanes(int architecture) {
    return architecture == 80 ? 32 : architecture == 90 || architecture == 100 ? 64 : 2;
}
/// Independent loads that a thread has under way, where the machine code is not at hand. Assumed; never too favourable.
constexpr double assumed_loads_in_flight = 1;
/// From one node of a CUDA graph to the next: 0.4 ms over 220 nodes, estimated, not measured.
constexpr double launch_seconds = 0.4e-3 / 220;

/// Widths of the tiles among which a library chooses for the columns of a product, and of the blocks of its inner
/// dimension. Assumed from the tiles that CUTLASS offers for Hopper.
inline constexpr std::array tile_columns = {128, 192, 256};
constexpr int tile_inner = 64;

} // namespace scene::counters

#include "tests/counters/model/library_work.h"

#include <algorithm>

#include "tests/counters/model/constants.h"

namespace scene::counters {
namespace {

constexpr int64_t most_stem_channels = 4;

double fill(int64_t extent, int64_t tile) {
    return static_cast<double>(extent) / static_cast<double>((extent + tile - 1) / tile * tile);
}

int64_t last_axis(const TensorInfo& info) { return info.shape[info.shape.rank() - 1]; }

} // namespace

std::vector<LibraryWork> library_work(const Program& program) {
    std::vector<LibraryWork> all;
    for (const Op& op : program.ops) {
        if (op.phase == Phase::Setup || op.writes.empty() || op.reads.empty()) continue;
        LibraryWork work{.op = op.name, .kind = op.kind, .flops = op.flops, .bytes = op.bytes};
        const TensorInfo &out = program.info(op.writes.front()), &in = program.info(op.reads.front());
        work.halves = in.dtype != DType::F32;
        int64_t channels_in = most_stem_channels + 1;
        if (op.kind == "conv2d_forward") {
            work.columns = last_axis(out), channels_in = work.inner = last_axis(in);
        } else if (op.kind == "conv2d_data_grad") {
            channels_in = work.columns = last_axis(out), work.inner = last_axis(in);
        } else if (op.kind == "conv2d_weight_grad") {
            work.columns = out.shape[0], channels_in = work.inner = last_axis(out);
        } else if (op.kind != "linear_forward" && op.kind != "linear_data_grad" && op.kind != "linear_weight_grad") {
            continue;
        }
        if (channels_in <= most_stem_channels) continue; // kernels/conv2d/stem.cu
        all.push_back(std::move(work));
    }
    return all;
}

double tile_fill(int64_t columns, int64_t inner) {
    double best = 0;
    for (const int tile : tile_columns) best = std::max(best, fill(columns, tile));
    return best * fill(inner, tile_inner);
}

double predicted_seconds(const LibraryWork& work, const GpuProperties& gpu) {
    const double rate =
        gpu.half_flops_per_s / (work.halves ? 1 : 2) * (work.columns > 0 ? tile_fill(work.columns, work.inner) : 1);
    return std::max(work.flops / rate, work.bytes / gpu.dram_bytes_per_s) + launch_seconds;
}

} // namespace scene::counters

#include "kernels/conv2d/cpu_im2col.h"

#include <algorithm>

#include <omp.h>

#include "kernels/cpu/gemm.h"
#include "kernels/cpu/parallel.h"

namespace scene::cpu {
namespace {

constexpr int64_t block_pixels = 32;
constexpr int64_t max_patch_width = round_up(max_patch, lanes);

/// Elements of a patch, R*S*C, in the order of a filter's weights.
int64_t patch_size(const Conv2dShape& shape) { return shape.kernel * shape.kernel * shape.in_channels; }

/// Forward: output rows, over all clips, of one chunk, and of one group of the statistics.
constexpr int64_t rows_per_group = 4;
/// Weight gradient: output rows of a clip in one chunk of the split-K.
constexpr int64_t rows_per_sum = 16;
/// Data gradient: input rows of one chunk. Output rows that reach into two chunks are multiplied in both.
constexpr int64_t rows_per_band = 50;

/// packed = all panels of b [depth, columns], one after another, each [depth, width].
void pack_panels(float* packed, const Panels& panels, MatrixView b, int64_t columns, int64_t depth) {
    for (int64_t panel = 0; panel < panels.count; ++panel) {
        const int64_t first = panels.first_column(panel);
        pack_panel(packed + first * depth, panels.width_of(panel), b, first, columns - first, depth);
    }
}

/// patches [count, patch] of the pixels first_q .. first_q + count - 1 of output row p of clip n; zeros outside x.
void im2col(float* patches, const float* x, const Conv2dShape& shape, int64_t n, int64_t p, int64_t first_q,
            int64_t count) {
    const int64_t row_values = shape.kernel * shape.in_channels, channels = shape.in_channels;
    for (int64_t i = 0; i < count; ++i) {
        const int64_t left = (first_q + i) * shape.stride - shape.padding;
        const int64_t begin = std::clamp<int64_t>(-left, 0, shape.kernel);
        const int64_t end = std::clamp<int64_t>(shape.width - left, begin, shape.kernel);
        for (int64_t r = 0; r < shape.kernel; ++r, patches += row_values) {
            const int64_t h = p * shape.stride - shape.padding + r;
            if (h < 0 || h >= shape.height) {
                std::fill_n(patches, row_values, 0.0f);
                continue;
            }
            const float* from = x + ((n * shape.height + h) * shape.width + left) * channels;
            for (int64_t s = 0; s < begin * channels; ++s) patches[s] = 0;
            for (int64_t s = begin * channels; s < end * channels; ++s) patches[s] = from[s];
            for (int64_t s = end * channels; s < row_values; ++s) patches[s] = 0;
        }
    }
}

/// Adds the patch gradients [count, patch_stride] of the same pixels to the rows first_row .. last_row - 1 of dx.
void col2im(float* dx, const float* patches, int64_t patch_stride, const Conv2dShape& shape, int64_t n, int64_t p,
            int64_t first_q, int64_t count, int64_t first_row, int64_t last_row) {
    const int64_t row_values = shape.kernel * shape.in_channels, channels = shape.in_channels;
    for (int64_t i = 0; i < count; ++i, patches += patch_stride) {
        const int64_t left = (first_q + i) * shape.stride - shape.padding;
        const int64_t begin = std::clamp<int64_t>(-left, 0, shape.kernel);
        const int64_t end = std::clamp<int64_t>(shape.width - left, begin, shape.kernel);
        for (int64_t r = 0; r < shape.kernel; ++r) {
            const int64_t h = p * shape.stride - shape.padding + r;
            if (h < first_row || h >= last_row) continue;
            float* to = dx + ((n * shape.height + h) * shape.width + left) * channels;
            for (int64_t s = begin * channels; s < end * channels; ++s) to[s] += patches[r * row_values + s];
        }
    }
}

/// Applies the epilogue to rows [count, columns] that are still in the cache. `moments` has one per vector of columns
/// and may be null.
void finish_rows(float* rows, int64_t count, int64_t columns, const ConvEpilogue& epilogue, VectorMoments* moments) {
    if (!epilogue.bias && !moments) return;
    for (int64_t k = 0; k < columns; k += lanes) {
        const int used = static_cast<int>(std::min<int64_t>(lanes, columns - k));
        const Vec bias = epilogue.bias ? load_first(epilogue.bias + k, used) : Vec{};
        for (int64_t i = 0; epilogue.bias && i < count; ++i) {
            float* at = rows + i * columns + k;
            const Vec value = load_first(at, used) + bias;
            store_first(at, epilogue.relu ? positive_part(value) : value, used);
        }
        if (moments) moments[k / lanes].add(rows + k, columns, count, used);
    }
}

int64_t moment_groups(const Conv2dShape& shape) { return divide_up(shape.batch * shape.out_height(), rows_per_group); }

int64_t split_k_chunks(const Conv2dShape& shape) { return shape.batch * divide_up(shape.out_height(), rows_per_sum); }

} // namespace

bool im2col_suits(const Conv2dShape& shape) {
    return shape.in_channels <= most_input_channels && patch_size(shape) <= max_patch;
}

size_t im2col_scratch_bytes(int threads, const Conv2dShape& shape, ConvPass pass) {
    const int64_t patch = patch_size(shape), out = shape.out_channels, padded = round_up(out, lanes);
    switch (pass) {
    case ConvPass::Forward:
        return static_cast<size_t>(patch * padded) * sizeof(float) +
               static_cast<size_t>(threads * padded / lanes) * sizeof(VectorMoments) +
               GroupMoments::bytes(moment_groups(shape), out);
    case ConvPass::DataGrad: return static_cast<size_t>(out * round_up(patch, lanes)) * sizeof(float);
    case ConvPass::WeightGrad: return static_cast<size_t>(split_k_chunks(shape) * patch * padded) * sizeof(float);
    }
    return 0;
}

void im2col_forward(int threads, float* y, const float* x, const float* w, const ConvEpilogue& epilogue, void* scratch,
                    const Conv2dShape& shape) {
    const int64_t patch = patch_size(shape), out = shape.out_channels, width = shape.out_width();
    const Panels panels(out);
    float* packed = static_cast<float*>(scratch);
    pack_panels(packed, panels, {w, 1, patch}, out, patch);
    auto* thread_moments = reinterpret_cast<VectorMoments*>(packed + patch * panels.padded_columns());
    GroupMoments groups;
    if (epilogue.mean) groups = GroupMoments(thread_moments + threads * panels.vectors, moment_groups(shape), out);
    for_chunks(threads, shape.batch * shape.out_height(), rows_per_group, [&](int64_t first_row, int64_t last_row) {
        VectorMoments* moments = groups ? thread_moments + omp_get_thread_num() * panels.vectors : nullptr;
        if (moments) std::fill_n(moments, panels.vectors, VectorMoments{});
        alignas(64) float patches[block_pixels * max_patch];
        alignas(64) float tail[block_pixels * max_panel_width];
        for (int64_t block = first_row * width; block < last_row * width; block += block_pixels) {
            const int64_t count = std::min(block_pixels, last_row * width - block);
            for (int64_t i = 0; i < count;) { // a block may cover several output rows
                const int64_t row = (block + i) / width, q = (block + i) % width;
                const int64_t run = std::min(count - i, width - q);
                im2col(patches + i * patch, x, shape, row / shape.out_height(), row % shape.out_height(), q, run);
                i += run;
            }
            float* to = y + block * out;
            for (int64_t panel = 0; panel < panels.count; ++panel) {
                const int64_t first = panels.first_column(panel),
                              taken = std::min<int64_t>(out - first, panels.width_of(panel));
                const int panel_width = panels.width_of(panel), vectors = panels.vectors_of(panel);
                const float* b = packed + first * patch;
                if (taken == panel_width) {
                    multiply_panel(to + first, out, {patches, patch, 1}, b, panel_width, count, vectors, patch, false);
                    continue;
                }
                multiply_panel(tail, panel_width, {patches, patch, 1}, b, panel_width, count, vectors, patch, false);
                for (int64_t i = 0; i < count; ++i) std::copy_n(tail + i * panel_width, taken, to + i * out + first);
            }
            finish_rows(to, count, out, epilogue, moments);
        }
        if (moments) groups.set(first_row / rows_per_group, 0, out, moments);
    });
    if (groups) groups.merge(threads, epilogue.mean, epilogue.variance);
}

void im2col_data_grad(int threads, float* dx, const float* dy, const float* w, void* scratch,
                      const Conv2dShape& shape) {
    const int64_t patch = patch_size(shape), out = shape.out_channels, width = shape.out_width();
    const Panels panels(patch);
    const int64_t patch_stride = panels.padded_columns();
    float* packed = static_cast<float*>(scratch);
    pack_panels(packed, panels, {w, patch, 1}, patch, out);
    const int64_t bands = divide_up(shape.height, rows_per_band);
    for_chunks(threads, shape.batch * bands, 1, [&](int64_t chunk, int64_t) {
        const int64_t n = chunk / bands, first_row = chunk % bands * rows_per_band;
        const int64_t last_row = std::min(shape.height, first_row + rows_per_band);
        const int64_t row_values = shape.width * shape.in_channels;
        std::fill_n(dx + (n * shape.height + first_row) * row_values, (last_row - first_row) * row_values, 0.0f);
        // Output row p reads the input rows p*stride - padding .. p*stride - padding + kernel - 1.
        const int64_t first_p =
            std::max<int64_t>(0, divide_up(first_row + shape.padding - shape.kernel + 1, shape.stride));
        const int64_t last_p = std::min(shape.out_height(), (last_row - 1 + shape.padding) / shape.stride + 1);
        alignas(64) float gradients[block_pixels * max_patch_width];
        for (int64_t p = first_p; p < last_p; ++p) {
            for (int64_t q = 0; q < width; q += block_pixels) {
                const int64_t count = std::min(block_pixels, width - q);
                const float* from = dy + ((n * shape.out_height() + p) * width + q) * out;
                for (int64_t panel = 0; panel < panels.count; ++panel) {
                    const int64_t first = panels.first_column(panel);
                    multiply_panel(gradients + first, patch_stride, {from, out, 1}, packed + first * out,
                                   panels.width_of(panel), count, panels.vectors_of(panel), out, false);
                }
                col2im(dx, gradients, patch_stride, shape, n, p, q, count, first_row, last_row);
            }
        }
    });
}

void im2col_weight_grad(int threads, float* dw, const float* dy, const float* x, void* scratch,
                        const Conv2dShape& shape) {
    const int64_t patch = patch_size(shape), out = shape.out_channels, width = shape.out_width();
    const Panels panels(out);
    const int64_t chunks_per_clip = divide_up(shape.out_height(), rows_per_sum);
    const int64_t padded = panels.padded_columns();
    float* partial = static_cast<float*>(scratch); // [chunks, patch, padded]
    for_chunks(threads, split_k_chunks(shape), 1, [&](int64_t chunk, int64_t) {
        const int64_t n = chunk / chunks_per_clip, first_p = chunk % chunks_per_clip * rows_per_sum;
        const int64_t last_p = std::min(shape.out_height(), first_p + rows_per_sum);
        float* sums = partial + chunk * patch * padded;
        std::fill_n(sums, patch * padded, 0.0f);
        alignas(64) float patches[block_pixels * max_patch];
        alignas(64) float gradients[block_pixels * max_panel_width];
        for (int64_t p = first_p; p < last_p; ++p) {
            for (int64_t q = 0; q < width; q += block_pixels) {
                const int64_t count = std::min(block_pixels, width - q);
                im2col(patches, x, shape, n, p, q, count);
                const float* from = dy + ((n * shape.out_height() + p) * width + q) * out;
                for (int64_t panel = 0; panel < panels.count; ++panel) {
                    const int64_t first = panels.first_column(panel);
                    const int panel_width = panels.width_of(panel);
                    const bool whole = first + panel_width <= out; // then dy itself is the panel
                    if (!whole) pack_panel(gradients, panel_width, {from, out, 1}, first, out - first, count);
                    multiply_panel(sums + first, padded, {patches, 1, patch}, whole ? from + first : gradients,
                                   whole ? out : panel_width, patch, panels.vectors_of(panel), count, true);
                }
            }
        }
    });
    for_chunks(threads, patch, 1, [&](int64_t value, int64_t) {
        for (int64_t chunk = 1; chunk < split_k_chunks(shape); ++chunk) {
            const float* other = partial + (chunk * patch + value) * padded;
            for (int64_t k = 0; k < out; ++k) partial[value * padded + k] += other[k];
        }
        for (int64_t k = 0; k < out; ++k) dw[k * patch + value] = partial[value * padded + k];
    });
}

} // namespace scene::cpu

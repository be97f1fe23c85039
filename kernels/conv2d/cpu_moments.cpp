#include "kernels/conv2d/cpu_moments.h"

#include "kernels/cpu/parallel.h"

namespace scene::cpu {

void GroupMoments::set(int64_t group, int64_t first, int64_t count, const VectorMoments* vectors) const {
    double* values = values_ + group * (1 + 2 * channels_);
    const double pixels = static_cast<double>(vectors[0].count);
    values[0] = pixels;
    for (int64_t i = 0; i < count; ++i) {
        const VectorMoments& vector = vectors[i / lanes];
        const double sum = static_cast<double>(vector.sum[i % lanes]);
        values[1 + first + i] = static_cast<double>(vector.shift[i % lanes]) + sum / pixels;
        values[1 + channels_ + first + i] = static_cast<double>(vector.squares[i % lanes]) - sum * sum / pixels;
    }
}

void GroupMoments::merge(int threads, float* mean, float* variance) const {
    for_chunks(threads, channels_, lanes, [&](int64_t begin, int64_t end) {
        double count = 0, means[lanes] = {}, squares[lanes] = {};
        for (int64_t group = 0; group < groups_; ++group) {
            const double* values = values_ + group * (1 + 2 * channels_);
            const double all = count + values[0], share = values[0] / all;
            for (int64_t c = begin; c < end; ++c) {
                const double difference = values[1 + c] - means[c - begin];
                means[c - begin] += difference * share;
                squares[c - begin] += values[1 + channels_ + c] + difference * difference * count * share;
            }
            count = all;
        }
        for (int64_t c = begin; c < end; ++c) {
            mean[c] = static_cast<float>(means[c - begin]);
            variance[c] = static_cast<float>(std::max(squares[c - begin] / count, 0.0));
        }
    });
}

} // namespace scene::cpu

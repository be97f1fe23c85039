#include "train/metrics.h"

#include <algorithm>
#include <limits>
#include <numeric>

#include "data/formats/csv.h"
#include "kernels/error.h"

namespace scene {
namespace {

double share(int64_t part, int64_t whole) {
    return whole == 0 ? std::numeric_limits<double>::quiet_NaN()
                      : static_cast<double>(part) / static_cast<double>(whole);
}

} // namespace

Confusion::Confusion(int64_t classes)
    : Confusion(classes, std::vector<int64_t>(static_cast<size_t>(classes * classes))) {}

Confusion::Confusion(int64_t classes, std::vector<int64_t> counts) : classes_(classes), counts_(std::move(counts)) {
    SCENE_CHECK(static_cast<int64_t>(counts_.size()) == classes * classes, "a confusion matrix is square");
    SCENE_CHECK(std::all_of(counts_.begin(), counts_.end(), [](int64_t n) { return n >= 0; }),
                "counts are not negative");
}

void Confusion::add(int64_t truth, int64_t predicted, int64_t clips) {
    SCENE_CHECK(truth >= 0 && truth < classes_ && predicted >= 0 && predicted < classes_, "no such class");
    counts_[static_cast<size_t>(truth * classes_ + predicted)] += clips;
}

int64_t Confusion::count(int64_t truth, int64_t predicted) const {
    return counts_.at(static_cast<size_t>(truth * classes_ + predicted));
}

int64_t Confusion::clips(int64_t truth) const {
    int64_t sum = 0;
    for (int64_t predicted = 0; predicted < classes_; ++predicted) sum += count(truth, predicted);
    return sum;
}

int64_t Confusion::total() const { return std::accumulate(counts_.begin(), counts_.end(), int64_t{0}); }

double Confusion::recall(int64_t truth) const { return share(count(truth, truth), clips(truth)); }

double Confusion::precision(int64_t predicted) const {
    int64_t sum = 0;
    for (int64_t truth = 0; truth < classes_; ++truth) sum += count(truth, predicted);
    return share(count(predicted, predicted), sum);
}

double Confusion::balanced_accuracy() const {
    double sum = 0;
    int64_t occurring = 0;
    for (int64_t truth = 0; truth < classes_; ++truth) {
        if (clips(truth) == 0) continue;
        sum += recall(truth);
        ++occurring;
    }
    return occurring == 0 ? std::numeric_limits<double>::quiet_NaN() : sum / static_cast<double>(occurring);
}

double Confusion::accuracy() const {
    int64_t right = 0;
    for (int64_t truth = 0; truth < classes_; ++truth) right += count(truth, truth);
    return share(right, total());
}

std::string confusion_table(const Confusion& confusion, std::span<const std::string> class_names) {
    const int64_t classes = confusion.classes();
    SCENE_CHECK(static_cast<int64_t>(class_names.size()) == classes, "one name per class");
    size_t name_width = 10, count_width = 4;
    for (const std::string& name : class_names) name_width = std::max(name_width, name.size());
    for (int64_t truth = 0; truth < classes; ++truth)
        count_width = std::max(count_width, std::to_string(confusion.clips(truth)).size() + 1);

    std::string out = fmt::format("   {:<{}}", "true class", name_width);
    for (int64_t predicted = 0; predicted < classes; ++predicted) out += fmt::format("{:>{}}", predicted, count_width);
    out += fmt::format("{:>{}}  recall\n", "sum", count_width + 2);
    for (int64_t truth = 0; truth < classes; ++truth) {
        out += fmt::format("{:>2} {:<{}}", truth, class_names[static_cast<size_t>(truth)], name_width);
        for (int64_t predicted = 0; predicted < classes; ++predicted)
            out += fmt::format("{:>{}}", confusion.count(truth, predicted), count_width);
        const int64_t clips = confusion.clips(truth);
        out += fmt::format("{:>{}}  {}\n", clips, count_width + 2,
                           clips == 0 ? "-" : fmt::format("{:.3f}", confusion.recall(truth)));
    }
    return out;
}

std::string confusion_csv(const Confusion& confusion, std::span<const std::string> class_names) {
    SCENE_CHECK(static_cast<int64_t>(class_names.size()) == confusion.classes(), "one name per class");
    std::string out = "true\\predicted";
    for (const std::string& name : class_names) out += "," + csv_field(name);
    out += "\n";
    for (int64_t truth = 0; truth < confusion.classes(); ++truth) {
        out += csv_field(class_names[static_cast<size_t>(truth)]);
        for (int64_t predicted = 0; predicted < confusion.classes(); ++predicted)
            out += "," + std::to_string(confusion.count(truth, predicted));
        out += "\n";
    }
    return out;
}

} // namespace scene

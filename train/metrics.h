#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace scene {

/// Counts [true][predicted] and the scores that follow from them.
class Confusion {
public:
    explicit Confusion(int64_t classes);
    /// `counts` is classes x classes, row = true class, none negative.
    Confusion(int64_t classes, std::vector<int64_t> counts);

    void add(int64_t truth, int64_t predicted, int64_t clips = 1);
    int64_t classes() const { return classes_; }
    int64_t count(int64_t truth, int64_t predicted) const;
    /// Clips of the true class.
    int64_t clips(int64_t truth) const;
    int64_t total() const;

    /// Share of the class's clips that are predicted right; NaN for a class without clips.
    double recall(int64_t truth) const;
    /// Share of the clips predicted as this class that are of it; NaN if there are none.
    double precision(int64_t predicted) const;
    /// Mean recall over the classes that occur; NaN without clips.
    double balanced_accuracy() const;
    /// NaN without clips.
    double accuracy() const;

    bool operator==(const Confusion&) const = default;

private:
    int64_t classes_;
    std::vector<int64_t> counts_;
};

/// A matrix for a terminal: one row per true class with its clips and recall, columns numbered like the rows.
std::string confusion_table(const Confusion& confusion, std::span<const std::string> class_names);

/// "true\predicted,Bus,Airport,...", then one line per true class.
std::string confusion_csv(const Confusion& confusion, std::span<const std::string> class_names);

} // namespace scene

#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace scene {

/// A confusion matrix of counts [true][predicted], and its scores.
class Confusion {
public:
    explicit Confusion(int64_t classes);
    /// `counts` [classes, classes], [true][predicted], none negative.
    Confusion(int64_t classes, std::vector<int64_t> counts);

    /// Adds `clips` clips of class `truth` that are predicted as `predicted`.
    void add(int64_t truth, int64_t predicted, int64_t clips = 1);
    int64_t classes() const { return classes_; }
    int64_t count(int64_t truth, int64_t predicted) const;
    /// Clips whose true class is `truth`.
    int64_t clips(int64_t truth) const;
    int64_t total() const;

    /// Share of the clips of class `truth` that are predicted correctly; NaN if the class has no clips.
    double recall(int64_t truth) const;
    /// Share of the clips predicted as this class that belong to it; NaN if there are none.
    double precision(int64_t predicted) const;
    /// Mean recall over the classes that have clips; NaN without clips.
    double balanced_accuracy() const;
    /// Share of all clips that are predicted correctly; NaN without clips.
    double accuracy() const;

    bool operator==(const Confusion&) const = default;

private:
    int64_t classes_;
    std::vector<int64_t> counts_;
};

/// The matrix as text for a terminal: one row per true class with counts, their sum and recall; columns are numbered
/// like the rows.
std::string confusion_table(const Confusion& confusion, std::span<const std::string> class_names);

/// "true\predicted,Bus,Airport,...", then one line per true class.
std::string confusion_csv(const Confusion& confusion, std::span<const std::string> class_names);

} // namespace scene

#pragma once

#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "data/formats/dataset.h"
#include "tests/support/expect_error.h"
#include "tests/support/temporary_folder.h"

namespace scene::test {

/// A folder to put metadata and (empty) audio files into.
class DatasetTest : public testing::Test {
protected:
    void add_files(const std::vector<std::string>& names) {
        for (const std::string& name : names) write_text(folder_ / name, "");
    }
    Dataset read(const std::string& text, const DatasetOptions& options = {}, const std::string& name = "meta.csv") {
        write_text(folder_ / name, text);
        return read_dataset(folder_ / name, options);
    }
    testing::AssertionResult rejects(const std::string& text, const std::vector<std::string>& parts,
                                     const DatasetOptions& options = {}) {
        return fails_with([&] { read(text, options); }, parts);
    }

    TemporaryFolder folder_;
};

} // namespace scene::test

// Damage that readers have taken badly; tests/fuzz tries more.

#include <algorithm>

#include <gtest/gtest.h>

#include "data/prepare_journal.h"
#include "kernels/crc32c.h"
#include "tests/support/expect_error.h"
#include "tests/support/temporary_folder.h"

namespace scene {
namespace {

using test::fails_with;

class DamagedFiles : public testing::Test {
protected:
    std::filesystem::path at(const std::string& name) const { return folder_ / name; }

    test::TemporaryFolder folder_;
};

/// Whole lines with right checksums that are no record of the next chunk of 4 of 10 clips.
TEST_F(DamagedFiles, LinesThatAreNoRecordEndAJournal) {
    const std::filesystem::path file = at("journal");
    const auto records_with = [&](const std::string& line) {
        PrepareJournal(file, "run", 10, 4).append({0, {{3, "why"}}, {1}});
        test::write_text(file,
                         test::read_text(file) + fmt::format("{:08x} {}\n", crc32c(line.data(), line.size()), line));
        const size_t records = PrepareJournal(file, "run", 10, 4).records().size();
        EXPECT_EQ(PrepareJournal(file, "run", 10, 4).records().size(), std::min<size_t>(records, 2));
        std::filesystem::remove(file);
        return records;
    };
    EXPECT_EQ(records_with(R"({"chunk":1,"bad":[[4,"x"]],"silent":[7]})"), 2u);
    for (const char* line : {"", "[]", "{}", R"({"chunk":1,"bad":[]})", R"({"chunk":2,"bad":[],"silent":[]})",
                             R"({"chunk":1.0,"bad":[],"silent":[]})", R"({"chunk":1,"bad":[],"silent":[8]})",
                             R"({"chunk":1,"bad":[[-1,"x"]],"silent":[]})", R"({"chunk":1,"bad":[[4]],"silent":[]})"})
        EXPECT_EQ(records_with(line), 1u) << line;
}

} // namespace
} // namespace scene

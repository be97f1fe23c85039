#include "data/store/prepare_journal.h"

#include <gtest/gtest.h>

#include "tests/support/temporary_folder.h"

namespace scene {
namespace {

class PrepareJournalTest : public testing::Test {
protected:
    static constexpr int64_t clips = 64, chunk_clips = 32;

    PrepareJournalTest() {
        PrepareJournal journal(file_, "these files", clips, chunk_clips);
        EXPECT_FALSE(journal.started_anew());
        journal.append({0, {{3, "a \"reason\""}, {7, "another"}}, {5}});
        journal.append({1, {}, {40, 41}, {42}, {43, 44}});
    }
    /// The records that a later run finds.
    std::vector<ChunkRecord> found(const std::string& fingerprint = "these files") const {
        return PrepareJournal(file_, fingerprint, clips, chunk_clips).records();
    }

    test::TemporaryFolder folder_;
    std::filesystem::path file_ = folder_ / "journal";
};

TEST_F(PrepareJournalTest, KeepsWhatHappenedInEachChunk) {
    const std::vector<ChunkRecord> records = found();
    ASSERT_EQ(records.size(), 2u);
    EXPECT_EQ(records[0].bad, (std::vector<std::pair<int64_t, std::string>>{{3, "a \"reason\""}, {7, "another"}}));
    EXPECT_EQ(records[0].silent, std::vector<int64_t>{5});
    EXPECT_TRUE(records[1].bad.empty());
    EXPECT_EQ(records[1].silent, (std::vector<int64_t>{40, 41}));
    EXPECT_EQ(records[1].chunk, 1);
    EXPECT_TRUE(records[0].longer.empty());
    EXPECT_EQ(records[1].longer, std::vector<int64_t>{42});
    EXPECT_EQ(records[1].ends_early, (std::vector<int64_t>{43, 44}));
}

/// Damage that leaves a line of valid JSON.
TEST_F(PrepareJournalTest, AChangedLineDoesNotCountAndIsWrittenAgain) {
    std::string text = test::read_text(file_);
    text.replace(text.rfind("41"), 2, "42");
    test::write_text(file_, text);
    EXPECT_EQ(found().size(), 1u);
    PrepareJournal(file_, "these files", clips, chunk_clips).append({1, {}, {}});
    EXPECT_EQ(found().size(), 2u);
    EXPECT_TRUE(found()[1].silent.empty());
}

TEST_F(PrepareJournalTest, OfOtherFilesIsEmptied) {
    PrepareJournal other(file_, "other files", clips, chunk_clips);
    EXPECT_TRUE(other.started_anew());
    EXPECT_TRUE(other.records().empty());
    other.append({0, {}, {}});
    EXPECT_EQ(found("other files").size(), 1u);
    EXPECT_TRUE(found().empty()) << "nor is anything left of the first";
}

} // namespace
} // namespace scene

#include "kernels/files/atomic_file.h"

#include <csignal>
#include <functional>

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/expect_error.h"
#include "tests/support/temporary_folder.h"

namespace scene {
namespace {

using test::fails_with;
using test::read_text;
using test::TemporaryFolder;

size_t entries(const std::filesystem::path& folder) {
    return static_cast<size_t>(std::distance(std::filesystem::directory_iterator(folder), {}));
}

TEST(AtomicFile, AppearsOnCommitOnly) {
    TemporaryFolder folder;
    test::write_text(folder / "a", "old");
    AtomicFile file(folder / "a");
    file.write("ne");
    EXPECT_EQ(read_text(folder / "a"), "old");
    EXPECT_TRUE(std::filesystem::exists((folder / "a.tmp-").string() + std::to_string(::getpid())));
    file.write("w");
    file.commit();
    EXPECT_EQ(read_text(folder / "a"), "new");
    EXPECT_EQ(entries(folder.path()), 1u);
}

TEST(AtomicFile, LeavesNothingWithoutCommit) {
    TemporaryFolder folder;
    { AtomicFile(folder / "a").write("half"); }
    EXPECT_EQ(entries(folder.path()), 0u);
}

TEST(AtomicFile, KeepsEveryByteOfLargeAndSmallWrites) {
    TemporaryFolder folder;
    std::string expected;
    AtomicFile file(folder / "a");
    for (size_t size : {1u, 1000u, 1u << 20, (1u << 20) + 1, 3u, 700000u, 700000u}) {
        const std::string chunk(size, static_cast<char>('a' + size % 26));
        file.write(chunk);
        expected += chunk;
    }
    file.commit();
    EXPECT_EQ(read_text(folder / "a"), expected);
}

/// Chunks just below, at and above the buffer's size, written to a buffer that is empty, partly filled and full.
TEST(AtomicFile, WritesAroundTheBuffersSizeStayInOrder) {
    constexpr size_t buffer = 1 << 20;
    TemporaryFolder folder;
    std::string expected;
    AtomicFile file(folder / "a");
    char letter = 'a';
    for (const size_t size : {size_t{1}, buffer + 1, size_t{7}, buffer, size_t{2}, buffer - 1, size_t{1}, buffer - 1,
                              size_t{1}, buffer + 5, buffer + 1, buffer, buffer + 1, size_t{0}, size_t{3}}) {
        const std::string chunk(size, letter++);
        file.write(chunk);
        expected += chunk;
    }
    file.write_over(2, "over"); // flushes the buffer first
    expected.replace(2, 4, "over");
    file.write("end");
    file.commit();
    EXPECT_TRUE(read_text(folder / "a") == expected + "end");
}

TEST(AtomicFile, NamesTheMissingFolder) {
    TemporaryFolder folder;
    EXPECT_TRUE(fails_with([&] { AtomicFile(folder / "none/a"); }, {"none/a", "there is no folder", "create it"}));
}

TEST(AtomicFile, NamesTheFileWhereAFolderIsNeeded) {
    TemporaryFolder folder;
    test::write_text(folder / "file", "x");
    EXPECT_TRUE(fails_with([&] { AtomicFile(folder / "file/a"); }, {"file/a", "is not a folder", "choose"}));
}

TEST(AtomicFile, RefusesTheNameOfAFolder) {
    TemporaryFolder folder;
    std::filesystem::create_directory(folder / "a");
    EXPECT_TRUE(fails_with([&] { AtomicFile(folder / "a"); }, {"a folder of that name"}));
    EXPECT_EQ(entries(folder.path()), 1u);
}

/// Runs `body` in a child process and returns whether it returned true there.
bool true_in_a_child(const std::function<bool()>& body) {
    const pid_t child = ::fork();
    if (child == 0) ::_exit(body() ? 0 : 1);
    int status = -1;
    ::waitpid(child, &status, 0);
    return status == 0;
}

// Root may write everywhere, so a child process drops root first.
TEST(AtomicFile, SaysThatAFolderIsNotWritable) {
    TemporaryFolder folder;
    std::filesystem::permissions(folder.path(), std::filesystem::perms(0555));
    EXPECT_TRUE(true_in_a_child([&] {
        if (::geteuid() == 0 && ::setuid(65534) != 0) return false;
        return static_cast<bool>(
            fails_with([&] { AtomicFile(folder / "a"); }, {"no permission to write", "choose another folder"}));
    }));
    std::filesystem::permissions(folder.path(), std::filesystem::perms(0755));
}

TEST(AtomicFile, SaysThatTheDiskIsFull) {
    const std::filesystem::path full = "/dev/full";
    if (!std::filesystem::exists(full)) GTEST_SKIP() << "there is no /dev/full";
    const int descriptor = ::open(full.c_str(), O_WRONLY);
    EXPECT_TRUE(
        fails_with([&] { write_at(descriptor, "abc", 3, 0, "store"); }, {"store", "disk is full", "free some"}));
    ::close(descriptor);
}

// In a child process, because the file size limit holds for the whole process.
TEST(AtomicFile, StopsAtTheSizeLimitWithoutATrace) {
    TemporaryFolder folder;
    test::write_text(folder / "a", "old");
    EXPECT_TRUE(true_in_a_child([&] {
        ::signal(SIGXFSZ, SIG_IGN);
        const rlimit limit{1 << 20, 1 << 20};
        ::setrlimit(RLIMIT_FSIZE, &limit);
        return static_cast<bool>(
            fails_with([&] { write_file(folder / "a", std::string(3 << 20, 'x')); }, {"size limit", "ulimit -f"}));
    }));
    EXPECT_EQ(read_text(folder / "a"), "old");
    EXPECT_EQ(entries(folder.path()), 1u);
}

} // namespace
} // namespace scene

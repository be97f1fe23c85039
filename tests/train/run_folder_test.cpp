#include "train/run_folder.h"

#include <gtest/gtest.h>

#include "tests/support/expect_error.h"
#include "tests/support/temporary_folder.h"
#include "tests/train/small_store.h"

namespace scene::test {
namespace {

TEST(RunFolderFiles, AStoreIdentityThatIsNoObjectIsDamage) {
    const TemporaryFolder folder;
    const FeatureStore store = small_store(folder / "a.store", {.clips = 6});
    const Split split = {"simulation", 1, {0}, {}, {1}};
    const RunFolder run{folder / "run"};
    std::filesystem::create_directory(run.folder);
    open_run_folder(run, {}, store, split);
    EXPECT_NO_THROW(open_run_folder(run, {}, store, split));
    for (const char* text : {"[]", "5", "null", "{"}) {
        write_text(run.store(), text);
        EXPECT_TRUE(fails_with([&] { open_run_folder(run, {}, store, split); }, {"store.json", "corrupted"})) << text;
    }
}

TEST(RunFolderFiles, AConfusionMatrixThatIsNotSquareIsDamage) {
    const TemporaryFolder folder;
    const RunFolder run{folder.path()};
    RunResult result;
    result.checkpoint = run.best_model(1);
    result.test = Confusion(2, {5, 1, 2, 7});
    save_result(run, result, {"a", "b"});
    EXPECT_EQ(load_result(run)->test, result.test);
    const std::string text = read_text(run.result());
    const auto row = [](const char* numbers) { return std::string("[\n      ") + numbers + "\n    ]"; };
    const std::string first = row("5,\n      1"), second = row("2,\n      7");
    ASSERT_NE(text.find(first), std::string::npos) << text;
    for (const std::string& bad : {std::string("[5, 1, 2]"), std::string("5"), std::string("[5.5, 1]"),
                                   std::string("[-5, 1]"), std::string("{\"a\": 5, \"b\": 1}")}) {
        std::string damaged = text;
        damaged.replace(damaged.find(first), first.size(), bad);
        if (bad == "[5, 1, 2]")
            damaged.replace(damaged.find(second), second.size(), "[7]"); // four numbers all the same
        write_text(run.result(), damaged);
        EXPECT_TRUE(fails_with([&] { load_result(run); }, {"result.json", "corrupted"})) << bad;
    }
}

} // namespace
} // namespace scene::test

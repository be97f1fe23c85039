#include "train/config/step_config.h"

#include <algorithm>

#include <gtest/gtest.h>

#include "tests/support/temporary_folder.h"
#include "tests/train/small_store.h"

namespace scene::test {
namespace {

/// The shape of a store of four clips whose columns `change` has modified.
template <typename Change> StoreShape shape_with(Change&& change) {
    const TemporaryFolder folder;
    const FeatureStore plain = small_store(folder / "plain", {.clips = 4});
    StoreColumns columns = plain.columns();
    change(columns);
    write_feature_store(folder / "changed", columns, plain.logmel());
    return StoreShape(FeatureStore::open(folder / "changed"));
}

TEST(StepConfigOfAStore, OneKnownCityOrOneKnownTimeJoinsByItself) {
    const StoreShape none = shape_with([](StoreColumns& columns) { columns.cities = {"Oslo"}; });
    const StoreShape city = shape_with([](StoreColumns& columns) { columns.cities = {"Oslo"}, columns.city[3] = 0; });
    const StoreShape time = shape_with([](StoreColumns& columns) { columns.has_time[3] = 1; });
    const auto joins = [](const StoreShape& store, Multimodal multimodal) {
        ModelSettings settings;
        settings.multimodal = multimodal;
        return model_for(settings, store).multimodal;
    };
    for (const StoreShape* known : {&city, &time}) {
        EXPECT_TRUE(joins(*known, Multimodal::Auto));
        EXPECT_FALSE(joins(*known, Multimodal::Off));
    }
    EXPECT_FALSE(joins(none, Multimodal::Auto)) << "a name that no clip has";
    EXPECT_TRUE(joins(none, Multimodal::On));
}

TEST(StepConfigOfAStore, TablesAreAsLargeAsTheStores) {
    for (const int64_t classes : {2, 3, 8}) {
        for (const int64_t cities : {0, 1, 5}) {
            const StoreShape store = shape_with([&](StoreColumns& columns) {
                columns.classes.assign(static_cast<size_t>(classes), "scene");
                columns.cities.assign(static_cast<size_t>(cities), "place");
                columns.label.assign(4, 1);
            });
            const StepConfig step = step_config({}, store);
            EXPECT_EQ(step.model.classes, classes);
            EXPECT_EQ(step.model.cities, std::max<int64_t>(1, cities));
            EXPECT_EQ(step.model.frames, small_frames);
            EXPECT_EQ(step.model.bands, small_bands);
            EXPECT_EQ(step.rows, 4);
        }
    }
}

} // namespace
} // namespace scene::test

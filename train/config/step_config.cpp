#include "train/config/step_config.h"

#include <algorithm>

#include "data/store/feature_store.h"
#include "kernels/error.h"
#include "model/networks/network.h"
#include "train/config/augmentation.h"

namespace scene {

StoreShape::StoreShape(const FeatureStore& store)
    : name(store.path().string()), clips(store.clips()), classes(store.classes_count()),
      cities(static_cast<int64_t>(store.columns().cities.size())), spec(store.spec()) {
    const StoreColumns& columns = store.columns();
    places_or_times =
        std::any_of(columns.city.begin(), columns.city.end(), [](int32_t city) { return city >= 0; }) ||
        std::any_of(columns.has_time.begin(), columns.has_time.end(), [](uint8_t known) { return known != 0; });
}

ModelConfig model_for(const ModelSettings& settings, const StoreShape& store) {
    ModelConfig model;
    model.network = settings.network;
    model.width = settings.width;
    model.classes = store.classes;
    model.frames = store.spec.frames;
    model.bands = store.spec.bands;
    model.deltas = settings.deltas;
    model.multimodal =
        settings.multimodal == Multimodal::On || (settings.multimodal == Multimodal::Auto && store.places_or_times);
    model.cities = std::max<int64_t>(1, store.cities);
    model.conv_dropout = static_cast<float>(settings.conv_dropout);
    model.encoder_dropout = static_cast<float>(settings.encoder_dropout);
    const int64_t shorter = std::min(model.frames, model.bands), longer = std::max(model.frames, model.bands);
    const Network& network = *model.network;
    if (shorter < network.min_short_side || longer < network.min_long_side)
        fail("{}: {} frames x {} bands are too few for {}, which needs {} of one and {} of the other", store.name,
             model.frames, model.bands, network.title, network.min_long_side, network.min_short_side);
    if (model.deltas && model.frames < 9)
        fail("{}: model.deltas needs 9 frames or more, the store has {}", store.name, model.frames);
    return model;
}

StepConfig step_config(const RunConfig& config, const StoreShape& store) {
    StepConfig step;
    step.model = model_for(config.model, store);
    step.batch = config.training.batch;
    step.rows = store.clips;
    step.label_smoothing = static_cast<float>(config.training.label_smoothing);
    step.adam.weight_decay = static_cast<float>(config.training.weight_decay);
    step.decoupled_decay = static_cast<float>(config.training.decoupled_decay);
    step.augmentation = augmentation_for(config.augmentation, store.spec);
    return step;
}

} // namespace scene

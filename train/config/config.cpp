#include "train/config/config.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <optional>
#include <sstream>
#include <stdexcept>

// Some invalid files ("[,]") fail an assertion of toml++. Here it throws instead of ending the program.
[[noreturn]] static void assertion_failed(const char* expression) { throw std::logic_error(expression); }
#define TOML_ASSERT(expression) ((expression) ? static_cast<void>(0) : assertion_failed(#expression))
#include <toml++/toml.h>

#include "data/splits/splits.h"
#include "kernels/error.h"
#include "model/networks/network.h"
#include "train/config/nearest_name.h"

namespace scene {
namespace {

/// One key of the file: how to read it from TOML, how to write it, which values are allowed.
struct Setting {
    std::string key;                                         ///< "training.batch"
    std::string allowed;                                     ///< "a whole number from 1 to 65536"
    bool text = false;                                       ///< a string; its quotes are optional in an override
    std::function<bool(RunConfig&, const toml::node&)> read; ///< false: not allowed
    std::function<std::string(const RunConfig&)> write;
};

template <typename Field> Setting integer(std::string key, int64_t low, int64_t high, Field field) {
    return {std::move(key), fmt::format("a whole number from {} to {}", low, high), false,
            [=](RunConfig& config, const toml::node& node) {
                const auto* value = node.as_integer();
                if (!value || value->get() < low || value->get() > high) return false;
                using Number = std::remove_reference_t<decltype(field(config))>;
                field(config) = static_cast<Number>(value->get());
                return true;
            },
            [=](const RunConfig& config) { return fmt::format("{}", field(config)); }};
}

/// An interval of numbers, with its description for messages.
struct Interval {
    double low, high;
    bool with_low, with_high;

    bool holds(double x) const { return (x > low || (with_low && x == low)) && (x < high || (with_high && x == high)); }
    std::string text() const {
        if (std::isinf(high)) return with_low ? fmt::format("{} or more", low) : fmt::format("above {}", low);
        return fmt::format("{}{} and {}{}", with_low ? "from " : "above ", low, with_high ? "at most " : "below ",
                           high);
    }
};

template <typename Field> Setting number(std::string key, Interval interval, Field field) {
    return {std::move(key), "a number " + interval.text(), false,
            [=](RunConfig& config, const toml::node& node) {
                const std::optional<double> value = node.is_number() ? node.value<double>() : std::nullopt;
                if (!value || !std::isfinite(*value) || !interval.holds(*value)) return false;
                field(config) = *value;
                return true;
            },
            [=](const RunConfig& config) {
                const std::string text = fmt::format("{}", field(config));
                return text.find_first_of(".e") == std::string::npos ? text + ".0" : text;
            }};
}

template <typename Field> Setting flag(std::string key, Field field) {
    return {std::move(key), "true or false", false,
            [=](RunConfig& config, const toml::node& node) {
                const auto* value = node.as_boolean();
                if (value) field(config) = value->get();
                return value != nullptr;
            },
            [=](const RunConfig& config) { return field(config) ? "true" : "false"; }};
}

std::string quoted(const std::string& text) {
    std::string out = "\"";
    for (char c : text) {
        if (c == '"' || c == '\\') out += '\\';
        out += c;
    }
    return out + '"';
}

template <typename Field>
Setting text(std::string key, std::string allowed, std::function<bool(const std::string&)> valid, Field field) {
    return {std::move(key), std::move(allowed), true,
            [=](RunConfig& config, const toml::node& node) {
                const auto* value = node.as_string();
                if (!value || !valid(value->get())) return false;
                field(config) = value->get();
                return true;
            },
            [=](const RunConfig& config) { return quoted(field(config)); }};
}

template <typename Value> struct Choice {
    std::string name;
    Value value;
};

template <typename Value, size_t N> std::vector<Choice<Value>> choices_of(const std::array<Named<Value>, N>& table) {
    std::vector<Choice<Value>> out;
    for (const Named<Value>& one : table) out.push_back({std::string(one.name), one.value});
    return out;
}

std::vector<Choice<const Network*>> network_choices() {
    std::vector<Choice<const Network*>> out;
    for (const Network* network : networks()) out.push_back({std::string(network->name), network});
    return out;
}

template <typename Value, typename Field>
Setting choice(std::string key, std::vector<Choice<Value>> choices, Field field) {
    std::string allowed = "one of";
    for (const auto& one : choices) allowed += (&one == &choices.front() ? " " : ", ") + quoted(one.name);
    return {std::move(key), allowed, true,
            [=](RunConfig& config, const toml::node& node) {
                const auto* value = node.as_string();
                if (!value) return false;
                for (const auto& one : choices)
                    if (one.name == value->get()) return field(config) = one.value, true;
                return false;
            },
            [=](const RunConfig& config) {
                const auto found = std::find_if(choices.begin(), choices.end(),
                                                [&](const auto& one) { return one.value == field(config); });
                SCENE_CHECK(found != choices.end(), "a setting holds a value that is not among its choices");
                return quoted(found->name);
            }};
}

bool is_system_name(const std::string& name) {
    return !name.empty() && name.size() <= 64 && std::all_of(name.begin(), name.end(), [](unsigned char c) {
        return std::isalnum(c) || c == '.' || c == '_' || c == '-';
    });
}

bool is_printable(const std::string& text) {
    return !text.empty() && std::all_of(text.begin(), text.end(), [](unsigned char c) { return c >= 32 && c != 127; });
}

bool is_printable_or_empty(const std::string& text) { return text.empty() || is_printable(text); }

constexpr const char* preset_key = "augmentation.preset";

#define FIELD(path)                                                                                                    \
    [](auto& config) -> auto& { return config.path; }

/// augmentation.preset: sets the whole section.
Setting preset_setting() {
    const std::vector<AugmentationSettings>& presets = augmentation_presets();
    std::vector<Choice<std::string>> names;
    for (const AugmentationSettings& one : presets) names.push_back({one.preset, one.preset});
    Setting setting = choice<std::string>(preset_key, names, FIELD(augmentation.preset));
    setting.read = [&presets, read = setting.read](RunConfig& config, const toml::node& node) {
        RunConfig named;
        if (!read(named, node)) return false;
        config.augmentation = *std::find_if(presets.begin(), presets.end(), [&](const AugmentationSettings& one) {
            return one.preset == named.augmentation.preset;
        });
        return true;
    };
    return setting;
}

const std::vector<Setting>& settings() {
    constexpr double infinite = std::numeric_limits<double>::infinity();
    constexpr int64_t any = std::numeric_limits<int64_t>::max();
    constexpr Interval share{0, 1, false, false}, from_0_below_1{0, 1, true, false}, from_0_to_1{0, 1, true, true};
    static const std::vector<Setting> all = {
        text("system", R"("1" to "4", or a name of letters, digits, '.', '_' and '-')", is_system_name, FIELD(system)),
        choice<const Network*>("model.architecture", network_choices(), FIELD(model.network)),
        number("model.width", {0, 16, false, true}, FIELD(model.width)),
        flag("model.deltas", FIELD(model.deltas)),
        choice<Multimodal>("model.multimodal",
                           {{"auto", Multimodal::Auto}, {"on", Multimodal::On}, {"off", Multimodal::Off}},
                           FIELD(model.multimodal)),
        number("model.conv_dropout", from_0_below_1, FIELD(model.conv_dropout)),
        number("model.encoder_dropout", from_0_below_1, FIELD(model.encoder_dropout)),
        integer("training.batch", 1, 65536, FIELD(training.batch)),
        integer("training.epochs", 1, 1000000, FIELD(training.epochs)),
        number("training.learning_rate", {0, 10, false, true}, FIELD(training.learning_rate)),
        number("training.decay", {0, 1, false, true}, FIELD(training.decay)),
        integer("training.decay_every", 1, 1000000, FIELD(training.decay_every)),
        integer("training.early_stop", 0, 1000000, FIELD(training.early_stop)),
        number("training.weight_decay", {0, infinite, true, false}, FIELD(training.weight_decay)),
        number("training.decoupled_decay", {0, infinite, true, false}, FIELD(training.decoupled_decay)),
        number("training.label_smoothing", from_0_below_1, FIELD(training.label_smoothing)),
        flag("training.hard_samples", FIELD(training.hard_samples)),
        choice<Confidence>("training.hard_confidence",
                           {{"max-softmax", Confidence::MaxSoftmax}, {"entropy", Confidence::Entropy}},
                           FIELD(training.hard_confidence)),
        number("training.hard_threshold", from_0_to_1, FIELD(training.hard_threshold)),
        text("training.teacher", R"("train" or the path of a checkpoint)", is_printable, FIELD(training.teacher)),
        text("training.init", "the path of a checkpoint, of a run folder or of PyTorch weights (.safetensors)",
             is_printable_or_empty, FIELD(training.init)),
        number("training.validation_share", share, FIELD(training.validation_share)),
        choice<Validation>("training.validation",
                           {{"auto", Validation::Auto},
                            {"clips", Validation::Clips},
                            {"sessions", Validation::Sessions},
                            {"cities", Validation::Cities}},
                           FIELD(training.validation)),
        integer("training.stages", 1, most_stages, FIELD(training.stages)),
        integer("training.seed", 0, any, FIELD(training.seed)),
        choice<ChooseBy>("training.choose_by", {{"labelled", ChooseBy::Labelled}, {"paper", ChooseBy::Paper}},
                         FIELD(training.choose_by)),
        number("pseudo.threshold", from_0_below_1, FIELD(pseudo.threshold)),
        integer("pseudo.class_cap", 0, any, FIELD(pseudo.class_cap)),
        choice<PseudoSettings::Labels>("pseudo.labels",
                                       {{"hard", PseudoSettings::Labels::Hard}, {"soft", PseudoSettings::Labels::Soft}},
                                       FIELD(pseudo.labels)),
        choice<PseudoSettings::Weights>(
            "pseudo.weights",
            {{"none", PseudoSettings::Weights::None}, {"confidence", PseudoSettings::Weights::Confidence}},
            FIELD(pseudo.weights)),
        preset_setting(),
        number("augmentation.mixup_alpha", {0, 100, true, true}, FIELD(augmentation.mixup_alpha)),
        number("augmentation.mixup_probability", from_0_to_1, FIELD(augmentation.mixup_probability)),
        number("augmentation.mixstyle_alpha", {0, 100, true, true}, FIELD(augmentation.mixstyle_alpha)),
        number("augmentation.mixstyle_probability", from_0_to_1, FIELD(augmentation.mixstyle_probability)),
        integer("augmentation.frequency_masks", 0, max_masks, FIELD(augmentation.frequency_masks)),
        number("augmentation.frequency_mask_share", from_0_to_1, FIELD(augmentation.frequency_mask_share)),
        integer("augmentation.time_masks", 0, max_masks, FIELD(augmentation.time_masks)),
        number("augmentation.time_mask_share", from_0_to_1, FIELD(augmentation.time_mask_share)),
        number("augmentation.roll_seconds", {0, 3600, true, true}, FIELD(augmentation.roll_seconds)),
        number("augmentation.gain_db", {0, 60, true, true}, FIELD(augmentation.gain_db)),
        text("split.name",
             "the name of a split: \"simulation\", \"experiment\", \"session\", \"city\", \"official\" or one such as "
             "\"fold:4\"",
             is_printable, FIELD(split.name)),
        integer("split.seed", 0, any, FIELD(split.seed)),
        number("split.labelled_share", {0, 1, false, true}, FIELD(split.labelled_share)),
        number("split.test_share", share, FIELD(split.test_share)),
        text("split.cities", "names of cities with commas between them", is_printable_or_empty, FIELD(split.cities)),
        text("split.train_list", "the path of a list of clips", is_printable_or_empty, FIELD(split.train_list)),
        text("split.test_list", "the path of a list of clips", is_printable_or_empty, FIELD(split.test_list)),
        choice<DeviceChoice>("runtime.device", choices_of(device_choices), FIELD(runtime.device)),
        choice<Precision>("runtime.precision", choices_of(precisions), FIELD(runtime.precision)),
        flag("runtime.deterministic", FIELD(runtime.deterministic)),
        choice<Fusions>("runtime.fusions", choices_of(fusion_choices), FIELD(runtime.fusions)),
        choice<Autotune>("runtime.autotune", choices_of(autotune_choices), FIELD(runtime.autotune)),
        integer("runtime.autotune_seconds", -1, 86400, FIELD(runtime.autotune_seconds)),
        integer("runtime.threads", 0, 4096, FIELD(runtime.threads)),
    };
    return all;
}

#undef FIELD

std::string trimmed(std::string text) {
    text.erase(0, std::min(text.find_first_not_of(' '), text.size()));
    text.erase(text.find_last_not_of(' ') + 1);
    return text;
}

const Setting& find_setting(const std::string& key, const std::string& place) {
    for (const Setting& setting : settings())
        if (setting.key == key) return setting;
    const auto last_part = [](const std::string& name) { return name.substr(name.rfind('.') + 1); };
    const Setting* nearest = nullptr;
    size_t distance = 4;
    for (const Setting& setting : settings()) {
        const size_t here =
            std::min(edit_distance(key, setting.key), edit_distance(last_part(key), last_part(setting.key)));
        if (here < distance) distance = here, nearest = &setting;
    }
    if (nearest) fail("{}: unknown key '{}'; did you mean '{}'?", place, key, nearest->key);
    std::string keys;
    for (const Setting& setting : settings()) keys += (keys.empty() ? "" : ", ") + setting.key;
    fail("{}: unknown key '{}'; the keys are {}", place, key, keys);
}

bool is_key(const std::string& key) {
    return std::any_of(settings().begin(), settings().end(), [&](const Setting& one) { return one.key == key; });
}

[[noreturn]] void fail_unknown_section(const std::string& name, const std::string& place) {
    std::vector<std::string> sections;
    for (const Setting& setting : settings()) {
        const std::string section = setting.key.substr(0, std::min(setting.key.find('.'), setting.key.size()));
        if (section != setting.key && (sections.empty() || sections.back() != section)) sections.push_back(section);
    }
    const std::string nearest = nearest_name(name, sections);
    if (!nearest.empty()) fail("{}: unknown section [{}]; did you mean [{}]?", place, name, nearest);
    fail("{}: unknown section [{}]; the sections are [{}]", place, name, fmt::join(sections, "], ["));
}

/// The value as the user wrote it.
std::string shown(const toml::node& node) {
    std::ostringstream stream;
    node.visit([&](const auto& value) { stream << value; });
    return one_line(stream.str());
}

void apply(RunConfig& config, const Setting& setting, const toml::node& node, const std::string& place) {
    if (!setting.read(config, node))
        fail("{}: {} = {} is not allowed; give {}", place, setting.key, shown(node), setting.allowed);
}

/// A value from the file or an override, before it is applied.
struct Assignment {
    const Setting* setting;
    std::string place;
    toml::table holder; ///< owns the node under "value"

    const toml::node& node() const { return *holder.get("value"); }
};

Assignment assignment(const Setting& setting, std::string place, const toml::node& node) {
    Assignment out{&setting, std::move(place), {}};
    node.visit([&](const auto& value) { out.holder.insert("value", value); });
    return out;
}

std::vector<Assignment> read_file(const std::filesystem::path& file) {
    if (!std::filesystem::is_regular_file(file))
        fail("{}: there is no such configuration file; configs/ has examples", file.string());
    toml::table table;
    try {
        table = toml::parse_file(file.string());
    } catch (const toml::parse_error& error) {
        fail("{}:{}: not TOML: {}", file.string(), error.source().begin.line,
             one_line(std::string(error.description())));
    } catch (const std::logic_error&) { fail("{}: not TOML; compare it with those in configs/", file.string()); }
    std::vector<Assignment> out;
    const auto collect = [&](auto&& self, const toml::table& section, const std::string& prefix) -> void {
        for (const auto& [name, node] : section) {
            const std::string key = prefix + one_line(std::string(name.str()));
            const std::string place = fmt::format("{}:{}", file.string(), node.source().begin.line);
            const bool is_section = std::any_of(settings().begin(), settings().end(), [&](const Setting& setting) {
                return setting.key.starts_with(key + ".");
            });
            if (node.is_table() && is_section)
                self(self, *node.as_table(), key + ".");
            else if (is_section)
                fail("{}: {} = {} is not allowed; it is a section: [{}]", place, key, shown(node), key);
            else if (node.is_table() && !is_key(key))
                fail_unknown_section(key, place);
            else
                out.push_back(assignment(find_setting(key, place), place, node));
        }
    };
    collect(collect, table, "");
    return out;
}

/// "value = TEXT" parsed as a table; empty if that is not TOML.
toml::table parsed_value(const std::string& text) {
    try {
        return toml::parse("value = " + text);
    } catch (const toml::parse_error&) { return {}; } catch (const std::logic_error&) {
        return {};
    }
}

Assignment read_override(const std::string& given) {
    const std::string text = one_line(given), place = "--set " + text;
    const size_t equals = text.find('=');
    if (equals == std::string::npos || equals == 0)
        fail("{}: write it as section.key=value, such as training.epochs=3", place);
    const std::string value = trimmed(text.substr(equals + 1));
    const std::string key = trimmed(text.substr(0, equals));
    const Setting& setting = find_setting(key, place);
    const bool bare = value.empty() || (value.front() != '"' && value.front() != '\'');
    const toml::table table = parsed_value(setting.text && bare ? quoted(value) : value);
    if (table.size() == 1) return assignment(setting, place, *table.get("value"));
    fail("{}: {} = {} is not allowed; give {}", place, setting.key, value, setting.allowed);
}

std::optional<int> paper_system(const std::string& name) {
    if (name.size() != 1 || name[0] < '1' || name[0] > '4') return std::nullopt;
    return name[0] - '0';
}

} // namespace

RunConfig as_system(RunConfig config, int number) {
    SCENE_CHECK(number >= 1 && number <= 4, "the paper has Systems #1 to #4");
    const bool smoothed = config.training.label_smoothing > 0;
    config.system = std::to_string(number);
    static const Network* const of_system[] = {&se_trans, &fcnn, &fcnn, &fcnn}; // paper, Table I
    const Network* network = of_system[number - 1];
    if (network != config.model.network) config.training.init.clear(); // weights of another network do not fit
    config.model.network = network;
    config.training.hard_samples = number >= 3;
    config.training.label_smoothing = number < 4 ? 0 : smoothed ? config.training.label_smoothing : 0.1;
    return config;
}

RunConfig as_table_system(const RunConfig& base, int number) {
    RunConfig config = as_system(base, number);
    const std::optional<int> own = paper_system(base.system);
    if (!own) return config;
    const RunConfig paper = system_config(*own);
    if (base.model.network != paper.model.network) {
        config.model.network = base.model.network;
        config.training.init = base.training.init;
    }
    if (base.training.hard_samples != paper.training.hard_samples)
        config.training.hard_samples = base.training.hard_samples;
    if ((base.training.label_smoothing > 0) != (paper.training.label_smoothing > 0))
        config.training.label_smoothing = base.training.label_smoothing;
    return config;
}

std::string system_title(const RunConfig& config) {
    const std::optional<int> number = paper_system(config.system);
    if (!number) return config.system;
    const RunConfig paper = system_config(*number);
    std::string changed;
    for (const Setting& setting : settings()) {
        if (setting.key != "model.architecture" && setting.key != "training.hard_samples" &&
            setting.key != "training.label_smoothing")
            continue;
        if (setting.write(config) == setting.write(paper)) continue;
        std::string value = setting.write(config);
        std::erase(value, '"');
        changed +=
            fmt::format("{}{}={}", changed.empty() ? "" : ", ", setting.key.substr(setting.key.find('.') + 1), value);
    }
    return changed.empty() ? config.system : fmt::format("{} variant ({})", config.system, changed);
}

SplitOptions split_options(const SplitSettings& settings) {
    SplitOptions options{settings.name, settings.seed, settings.labelled_share, settings.test_share};
    for (size_t begin = 0; begin < settings.cities.size();) {
        const size_t end = std::min(settings.cities.find(',', begin), settings.cities.size());
        std::string city = trimmed(settings.cities.substr(begin, end - begin));
        if (!city.empty()) options.cities.push_back(std::move(city));
        begin = end + 1;
    }
    options.train_list = settings.train_list;
    options.test_list = settings.test_list;
    return options;
}

RunConfig system_config(int number) { return as_system({}, number); }

RunConfig load_config(const std::filesystem::path& file, const std::vector<std::string>& overrides) {
    std::vector<Assignment> assignments;
    if (!file.empty()) assignments = read_file(file);
    const auto given = static_cast<std::ptrdiff_t>(assignments.size());
    for (const std::string& text : overrides) assignments.push_back(read_override(text));
    const auto is_preset = [](const Assignment& one) { return one.setting->key == preset_key; };
    std::stable_partition(assignments.begin(), assignments.begin() + given, is_preset);
    std::stable_partition(assignments.begin() + given, assignments.end(), is_preset);

    RunConfig named;
    for (const Assignment& one : assignments)
        if (one.setting->key == "system") apply(named, *one.setting, one.node(), one.place);
    RunConfig config = system_config(paper_system(named.system).value_or(4));
    for (const Assignment& one : assignments) apply(config, *one.setting, one.node(), one.place);
    return config;
}

std::string to_toml(const RunConfig& config) {
    std::string out, section;
    for (const Setting& setting : settings()) {
        const size_t dot = setting.key.find('.');
        const std::string here = dot == std::string::npos ? "" : setting.key.substr(0, dot);
        if (here != section) out += fmt::format("\n[{}]\n", here), section = here;
        out += fmt::format("{} = {}\n", dot == std::string::npos ? setting.key : setting.key.substr(dot + 1),
                           setting.write(config));
    }
    return out;
}

void check_config(const RunConfig& config) {
    for (const Setting& setting : settings()) {
        const std::string written = setting.write(config);
        const toml::table table = parsed_value(written);
        RunConfig read_back;
        if (table.size() == 1 && setting.read(read_back, *table.get("value"))) continue;
        fail("{} = {} is not allowed; give {}", setting.key, written, setting.allowed);
    }
}

std::vector<std::string> differences(const RunConfig& before, const RunConfig& now) {
    std::vector<std::string> out;
    for (const Setting& setting : settings()) {
        if (setting.key == "runtime.device" || setting.key == "runtime.threads" ||
            setting.key == "runtime.autotune_seconds")
            continue;
        const std::string old_text = setting.write(before), new_text = setting.write(now);
        if (old_text != new_text) out.push_back(fmt::format("{} = {} (was {})", setting.key, new_text, old_text));
    }
    return out;
}

std::vector<std::string> config_keys() {
    std::vector<std::string> keys;
    for (const Setting& setting : settings()) keys.push_back(setting.key);
    return keys;
}

std::string toml_library_version() { return fmt::format("{}.{}.{}", TOML_LIB_MAJOR, TOML_LIB_MINOR, TOML_LIB_PATCH); }

} // namespace scene

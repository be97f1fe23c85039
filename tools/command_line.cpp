#include "tools/command_line.h"

#include <CLI/CLI.hpp>
#include <fmt/format.h>

namespace scene {

OptionHandle& OptionHandle::required() {
    option_->required();
    return *this;
}

OptionHandle& OptionHandle::choices(const std::vector<std::string>& values) {
    option_->check(CLI::IsMember(values));
    return *this;
}

OptionHandle& OptionHandle::range(double low, double high) {
    option_->check(CLI::Range(low, high, fmt::format("{} to {}", low, high)));
    return *this;
}

OptionHandle& OptionHandle::group(const std::string& name) {
    option_->group(name);
    return *this;
}

OptionHandle Arguments::add(const std::string& names, std::string& target, const std::string& help) {
    return OptionHandle(app_->add_option(names, target, help));
}
OptionHandle Arguments::add(const std::string& names, int64_t& target, const std::string& help) {
    return OptionHandle(app_->add_option(names, target, help));
}
OptionHandle Arguments::add(const std::string& names, double& target, const std::string& help) {
    return OptionHandle(app_->add_option(names, target, help));
}
OptionHandle Arguments::add(const std::string& names, std::optional<std::string>& target, const std::string& help) {
    return OptionHandle(app_->add_option(names, target, help));
}
OptionHandle Arguments::add(const std::string& names, std::optional<int64_t>& target, const std::string& help) {
    return OptionHandle(app_->add_option(names, target, help));
}
OptionHandle Arguments::add(const std::string& names, std::optional<uint64_t>& target, const std::string& help) {
    return OptionHandle(app_->add_option(names, target, help));
}
OptionHandle Arguments::add(const std::string& names, std::optional<double>& target, const std::string& help) {
    return OptionHandle(app_->add_option(names, target, help));
}
OptionHandle Arguments::add_flag(const std::string& names, bool& target, const std::string& help) {
    return OptionHandle(app_->add_flag(names, target, help));
}
OptionHandle Arguments::add_list(const std::string& names, std::vector<std::string>& target, const std::string& help) {
    CLI::Option* option = app_->add_option(names, target, help);
    if (names.starts_with('-')) option->expected(1)->take_all();
    return OptionHandle(option);
}

struct CommandLine::State {
    CLI::App app;
    std::vector<std::pair<CLI::App*, std::function<int()>>> commands;
};

CommandLine::CommandLine(const std::string& description, const std::string& footer, const std::string& version)
    : state_(std::make_unique<State>()) {
    CLI::App& app = state_->app;
    app.description(description);
    app.name("scene");
    app.footer(footer);
    app.set_version_flag("--version", version);
    app.require_subcommand(1);
    app.get_formatter()->column_width(36);
}

CommandLine::~CommandLine() = default;

Arguments CommandLine::add_command(const std::string& name, const std::string& description, const std::string& footer,
                                   std::function<int()> run) {
    CLI::App* app = state_->app.add_subcommand(name, description);
    app->footer(footer);
    state_->commands.emplace_back(app, std::move(run));
    return Arguments(app);
}

std::function<int()> CommandLine::parse(int argc, char** argv) {
    std::string name = "scene";
    try {
        state_->app.parse(argc, argv);
    } catch (const CLI::Success& wanted) {
        std::ostringstream answer;
        state_->app.exit(wanted, answer, answer);
        fmt::print("{}", answer.str()); // which throws where std::cout would only remember
        return {};
    } catch (const CLI::ParseError& error) {
        for (const auto& [app, run] : state_->commands)
            if (app->parsed()) name += " " + app->get_name();
        throw UsageError(fmt::format("{}; see '{} --help'", error.what(), name));
    }
    for (const auto& [app, run] : state_->commands)
        if (app->parsed()) return run;
    return {};
}

} // namespace scene

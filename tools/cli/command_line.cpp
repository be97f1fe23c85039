#include "tools/cli/command_line.h"

#include <algorithm>
#include <deque>
#include <filesystem>
#include <sstream>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "train/config/nearest_name.h"

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

namespace {

struct Subcommand {
    CLI::App* app;
    std::function<int()> run;
    std::vector<Arguments::Hint> hints;
};

/// Refuses an existing file whose name begins with '-': the parser would read its letters as short options.
void refuse_files_like_options(int argc, char** argv) {
    for (int i = 1; i < argc && std::string_view(argv[i]) != "--"; ++i) {
        const std::string word = argv[i];
        std::error_code ignored;
        if (word.size() > 1 && word[0] == '-' && std::filesystem::exists(word, ignored))
            throw UsageError(fmt::format("{}: a file whose name begins with '-' is written ./{}", word, word));
    }
}

/// ": did you mean ...?" for an option that the subcommand does not have.
std::string option_hint(const std::string& word, const Subcommand& command) {
    const std::string given = word.substr(0, word.find('='));
    std::vector<std::string> names, meant;
    for (const CLI::Option* option : command.app->get_options())
        for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
    meant = names;
    for (const Arguments::Hint& hint : command.hints) names.push_back(hint.name), meant.push_back(hint.meant);
    const std::string nearest = nearest_name(given, names);
    const auto place = std::find(names.begin(), names.end(), nearest) - names.begin();
    if (!nearest.empty()) return fmt::format("; did you mean '{}'?", meant[static_cast<size_t>(place)]);
    const bool like_a_file = word.find_first_of("./") != std::string::npos;
    return like_a_file ? fmt::format("; a file whose name begins with '-' is written ./{}", word) : "";
}

} // namespace

struct CommandLine::State {
    CLI::App app;
    std::deque<Subcommand> commands;

    const Subcommand* parsed() const {
        for (const Subcommand& command : commands)
            if (command.app->parsed()) return &command;
        return nullptr;
    }

    /// The error message. An unknown word comes first, with a hint: it may be why required arguments are missing.
    std::string mistake(const CLI::ParseError& error) const {
        const Subcommand* command = parsed();
        const std::vector<std::string> before = app.remaining(), after = command ? command->app->remaining() : before;
        for (const std::string& word : after)
            if (command && word.size() > 1 && word[0] == '-')
                return fmt::format("unknown option '{}'{}", word, option_hint(word, *command));
        if (before.empty()) return error.what();
        if (command) return fmt::format("unknown '{}' before the command; options come after it", before.front());
        std::vector<std::string> names{"--help", "--version"};
        for (const Subcommand& known : commands) names.push_back(known.app->get_name());
        const std::string nearest = nearest_name(before.front(), names);
        return fmt::format("unknown {} '{}'{}", before.front()[0] == '-' ? "option" : "command", before.front(),
                           nearest.empty() ? "" : fmt::format("; did you mean '{}'?", nearest));
    }
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
    state_->commands.push_back({app, std::move(run), {}});
    return {app, &state_->commands.back().hints};
}

std::function<int()> CommandLine::parse(int argc, char** argv) {
    refuse_files_like_options(argc, argv);
    try {
        state_->app.parse(argc, argv);
    } catch (const CLI::Success& wanted) {
        std::ostringstream answer;
        state_->app.exit(wanted, answer, answer);
        fmt::print("{}", answer.str()); // throws if it cannot write; std::cout would only set a flag
        return {};
    } catch (const CLI::ParseError& error) {
        const Subcommand* command = state_->parsed();
        throw UsageError(fmt::format("{}; see 'scene {}--help'", state_->mistake(error),
                                     command ? command->app->get_name() + " " : ""));
    }
    const Subcommand* command = state_->parsed();
    return command ? command->run : nullptr;
}

} // namespace scene

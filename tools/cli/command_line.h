#pragma once

// The command line: a thin wrapper around CLI11, whose header would cost seconds in every file that includes it.

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace CLI {
class App;
class Option;
} // namespace CLI

namespace scene {

/// One option of a subcommand, just added.
class OptionHandle {
public:
    explicit OptionHandle(CLI::Option* option) : option_(option) {}
    OptionHandle& required();
    /// Any other value is a usage error that lists these.
    OptionHandle& choices(const std::vector<std::string>& values);
    OptionHandle& range(double low, double high);
    /// The heading under which --help lists it.
    OptionHandle& group(const std::string& name);

private:
    CLI::Option* option_;
};

/// The arguments of one subcommand. `names` is "--batch,-b" for an option and "store" for a positional argument. The
/// target of an argument that is not given keeps its value.
class Arguments {
public:
    /// What to suggest for an unknown option: {"--epochs", "--set training.epochs=..."}.
    struct Hint {
        std::string name, meant;
    };

    Arguments(CLI::App* app, std::vector<Hint>* hints) : app_(app), hints_(hints) {}

    OptionHandle add(const std::string& names, std::string& target, const std::string& help);
    OptionHandle add(const std::string& names, int64_t& target, const std::string& help);
    OptionHandle add(const std::string& names, double& target, const std::string& help);
    OptionHandle add(const std::string& names, std::optional<std::string>& target, const std::string& help);
    OptionHandle add(const std::string& names, std::optional<int64_t>& target, const std::string& help);
    OptionHandle add(const std::string& names, std::optional<uint64_t>& target, const std::string& help);
    OptionHandle add(const std::string& names, std::optional<double>& target, const std::string& help);
    OptionHandle add_flag(const std::string& names, bool& target, const std::string& help);
    /// One value per mention of the option; a positional takes all that are left.
    OptionHandle add_list(const std::string& names, std::vector<std::string>& target, const std::string& help);
    /// Suggests `hint.meant` when an unknown option is, or resembles, `hint.name`.
    void add_hint(Hint hint) { hints_->push_back(std::move(hint)); }

private:
    CLI::App* app_;
    std::vector<Hint>* hints_;
};

class CommandLine {
public:
    CommandLine(const std::string& description, const std::string& footer, const std::string& version);
    ~CommandLine();
    CommandLine(const CommandLine&) = delete;
    CommandLine& operator=(const CommandLine&) = delete;

    /// Adds a subcommand. `run` is called when all arguments are in their targets; it returns the exit status.
    Arguments add_command(const std::string& name, const std::string& description, const std::string& footer,
                          std::function<int()> run);

    /// The `run` of the given subcommand; empty after --help and --version, which parse() answers on stdout. Throws
    /// UsageError.
    std::function<int()> parse(int argc, char** argv);

private:
    struct State;
    std::unique_ptr<State> state_;
};

/// The arguments make no sense; the exit status is 2. what() is one line. Those of CommandLine::parse() end by naming
/// the --help to read, except for a file name that begins with '-'.
class UsageError : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

} // namespace scene

#pragma once

// The command line: a thin face over CLI11, whose header costs seconds in every file that includes it.

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

/// The arguments of one subcommand. `names` is "--batch,-b" for an option and "store" for a positional argument. What
/// the user does not give leaves the target as it was.
class Arguments {
public:
    /// What a word that is no option probably stands for: "epochs", "--set training.epochs=...".
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
    /// For those who try an option of this name, or nearly.
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

    /// A subcommand; `run` does its work once the arguments are in their targets and returns the exit status.
    Arguments add_command(const std::string& name, const std::string& description, const std::string& footer,
                          std::function<int()> run);

    /// The work that the arguments ask for; nothing after --help and --version, which have been answered on stdout.
    /// Throws UsageError.
    std::function<int()> parse(int argc, char** argv);

private:
    struct State;
    std::unique_ptr<State> state_;
};

/// The arguments make no sense: exit 2. One line that ends by naming the right --help.
class UsageError : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

} // namespace scene

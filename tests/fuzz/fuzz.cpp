#include "tests/fuzz/fuzz.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <random>

#include <fcntl.h>
#include <sanitizer/common_interface_defs.h>
#include <unistd.h>

#include "kernels/error.h"

// A stack and the input with every end of the program; no allocation by a length that an input claims.
extern "C" const char* __asan_default_options() {
    return "handle_abort=1:max_allocation_size_mb=100:quarantine_size_mb=32";
}
extern "C" const char* __ubsan_default_options() { return "abort_on_error=1:print_stacktrace=1"; }

namespace scene::test {
namespace {

/// Damages inputs at random: changes, inserts, removes, repeats and exchanges bytes, words and pieces of other inputs.
class Mutator {
public:
    Mutator(const Fuzz& fuzz, uint64_t seed) : corpus_(fuzz.corpus), words_(fuzz.words), random_(seed) {}

    std::string next() {
        std::string text = any(corpus_);
        for (uint64_t more = std::min(below(5), below(5)) + 1; more > 0; --more) edit(text);
        return text;
    }

private:
    uint64_t below(uint64_t n) { return random_() % n; }
    const std::string& any(const std::vector<std::string>& from) { return from[below(from.size())]; }

    void edit(std::string& text) {
        const size_t at = below(text.size() + 1), length = below(text.size() - at + 1);
        switch (below(8)) {
        case 0:
            if (at < text.size()) text[at] = static_cast<char>(random_());
            break;
        case 1:
            if (at < text.size()) text[at] = static_cast<char>(text[at] ^ (1 << below(8)));
            break;
        case 2: text.insert(at, 1, static_cast<char>(random_())); break;
        case 3: text.erase(at, below(4) == 0 ? length : length % 4); break;
        case 4: text.insert(at, any(words_)); break;
        case 5:
            if (text.size() < 4000) text.insert(at, text.substr(at, length));
            break;
        case 6: text = text.substr(0, at) + any(corpus_).substr(0, length); break;
        case 7: { // another word or number in place of one: what is around it stays whole
            static constexpr const char* inside = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_.+-";
            const size_t begin = text.find_last_not_of(inside, at) + 1;
            text.replace(begin, std::min(text.find_first_not_of(inside, begin), text.size()) - begin, any(words_));
            break;
        }
        }
    }

    const std::vector<std::string>&corpus_, &words_;
    std::mt19937_64 random_;
};

uint64_t number = 0; ///< of the input at hand, for the end of the program
const std::string* current = nullptr;
std::string refusal; ///< of the last input that was refused by an error

void show_input() {
    if (!current) return;
    std::fprintf(stderr, "input %llu, %zu bytes: \"", static_cast<unsigned long long>(number), current->size());
    for (const char c : *current)
        if (c >= 32 && c < 127 && c != '\\' && c != '"')
            std::fputc(c, stderr);
        else
            std::fprintf(stderr, "\\x%02x", static_cast<unsigned char>(c));
    std::fputs("\"\n", stderr);
}

double cpu_seconds() {
    timespec time{};
    ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

/// A folder in memory, where there is one, that goes away with the program.
class Folder {
public:
    Folder() {
        for (const char* parent : {"/dev/shm", "/tmp", "."}) {
            path_ = std::string(parent) + "/scene-fuzz-XXXXXX";
            if (::mkdtemp(path_.data())) return;
        }
        require(false, "a folder for input files");
    }
    ~Folder() {
        for (const std::string& file : files_) ::unlink(file.c_str());
        ::rmdir(path_.c_str());
    }
    Folder(const Folder&) = delete;
    Folder& operator=(const Folder&) = delete;

    std::string file(const std::string& name) {
        std::string path = path_ + "/" + name;
        for (const std::string& known : files_)
            if (known == path) return path;
        files_.push_back(path);
        return path;
    }

private:
    std::string path_;
    std::vector<std::string> files_;
};

bool run(const Fuzz& fuzz, const std::string& input) {
    current = &input;
    const double start = cpu_seconds();
    bool accepted = false;
    try {
        accepted = fuzz.accepts(input);
    } catch (const Error& error) {
        refusal = error.what();
        require(refusal.find('\n') == std::string::npos, "an error is one line");
    }
    require(cpu_seconds() - start < 1, "an input takes less than a second");
    current = nullptr;
    return accepted;
}

uint64_t argument(int argc, char** argv, int index, uint64_t otherwise) {
    return argc > index ? std::strtoull(argv[index], nullptr, 10) : otherwise;
}

} // namespace

void require(bool holds, const char* message) {
    if (holds) return;
    std::fprintf(stderr, "this does not hold: %s\n", message);
    std::abort();
}

std::string write_input(const std::string& name, const std::string& content) {
    static Folder folder;
    std::string path = folder.file(name);
    const int descriptor = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    require(descriptor >= 0 && ::write(descriptor, content.data(), content.size()) == ssize_t(content.size()),
            "an input file can be written");
    ::close(descriptor);
    return path;
}

int fuzz_main(int argc, char** argv, const Fuzz& fuzz) {
    __sanitizer_set_death_callback(show_input);
    const char* told = std::getenv("FUZZ_INPUTS");
    const uint64_t inputs = argument(argc, argv, 1, told ? std::strtoull(told, nullptr, 10) : fuzz.inputs);
    const uint64_t seed = argument(argc, argv, 2, 1);
    for (const std::string& text : fuzz.corpus)
        if (!run(fuzz, text)) {
            std::fprintf(stderr, "an undamaged input was refused: %s\n", refusal.c_str());
            return 1;
        }
    Mutator mutator(fuzz, seed);
    uint64_t accepted = 0;
    for (number = 1; number <= inputs; ++number) accepted += run(fuzz, mutator.next()) ? 1 : 0;
    std::printf("%llu inputs (seed %llu): %llu accepted, %llu refused, %.1f s\n",
                static_cast<unsigned long long>(inputs), static_cast<unsigned long long>(seed),
                static_cast<unsigned long long>(accepted), static_cast<unsigned long long>(inputs - accepted),
                cpu_seconds());
    return accepted > 0 && accepted < inputs ? 0 : 1;
}

} // namespace scene::test

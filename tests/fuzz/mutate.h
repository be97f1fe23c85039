#pragma once

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <string>
#include <vector>

namespace scene::test {

/// Damages inputs at random: changes, inserts, removes, repeats and exchanges bytes and pieces of other inputs. The
/// same seed gives the same inputs.
class Mutator {
public:
    Mutator(std::vector<std::string> corpus, std::vector<std::string> words, uint64_t seed)
        : corpus_(std::move(corpus)), words_(std::move(words)), random_(seed) {}

    std::string next() {
        std::string text = any(corpus_);
        for (uint64_t edits = below(6); edits > 0; --edits) edit(text);
        return text;
    }

private:
    uint64_t below(uint64_t n) { return random_() % n; }
    const std::string& any(const std::vector<std::string>& from) { return from[below(from.size())]; }

    void edit(std::string& text) {
        const size_t at = below(text.size() + 1), length = below(text.size() - at + 1);
        switch (below(7)) {
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
        }
    }

    std::vector<std::string> corpus_, words_;
    std::mt19937_64 random_;
};

/// main of a fuzz program: [iterations] [seed]. `accepts` runs one input and tells whether the parser took it; anything
/// but a scene::Error that escapes it ends the program. Both outcomes must occur, or the inputs test nothing.
template <typename Accepts> int fuzz_main(int argc, char** argv, const std::vector<std::string>& corpus,
                                          const std::vector<std::string>& words, Accepts&& accepts) {
    const uint64_t iterations = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 200000;
    const uint64_t seed = argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 1;
    for (const std::string& text : corpus)
        if (!accepts(text)) {
            std::fprintf(stderr, "an undamaged input was refused\n");
            return 1;
        }
    Mutator mutator(corpus, words, seed);
    uint64_t accepted = 0;
    for (uint64_t i = 0; i < iterations; ++i) accepted += accepts(mutator.next()) ? 1 : 0;
    std::printf("%llu inputs (seed %llu): %llu accepted, %llu refused\n", static_cast<unsigned long long>(iterations),
                static_cast<unsigned long long>(seed), static_cast<unsigned long long>(accepted),
                static_cast<unsigned long long>(iterations - accepted));
    return accepted > 0 && accepted < iterations ? 0 : 1;
}

} // namespace scene::test

// Damaged journals of an interrupted `scene prepare`.

#include "data/store/prepare_journal.h"

#include <cstdio>

#include "kernels/files/crc32c.h"
#include "tests/fuzz/fuzz.h"

namespace {

using scene::ChunkRecord;
using scene::PrepareJournal;
using scene::test::require;

constexpr int64_t clips = 10, chunk_clips = 4;
const std::string fingerprint = "settings";

std::string line(const std::string& text) {
    char digits[10];
    std::snprintf(digits, sizeof digits, "%08x ", scene::crc32c(text.data(), text.size()));
    return digits + text + "\n";
}

/// Gives every line a right checksum.
std::string with_checksums(const std::string& text) {
    std::string out;
    for (size_t at = 0, end; (end = text.find('\n', at)) != std::string::npos; at = end + 1)
        out += line(text.substr(std::min(at + 9, end), end - std::min(at + 9, end)));
    return out;
}

bool same(const ChunkRecord& a, const ChunkRecord& b) {
    return a.chunk == b.chunk && a.bad == b.bad && a.silent == b.silent;
}

/// The records are of the chunks 0, 1, ... and of clips in them; opening the journal again, with one more, gives the
/// same. What was damaged is gone from the file.
bool accepts_any(const std::string& input) {
    const std::string file =
        scene::test::write_input("fuzz.journal", input.size() % 4 == 0 ? input : with_checksums(input));
    std::vector<ChunkRecord> records;
    {
        PrepareJournal journal(file, fingerprint, clips, chunk_clips);
        records = journal.records();
        for (size_t i = 0; i < records.size(); ++i) {
            const auto first = static_cast<int64_t>(i) * chunk_clips, end = std::min(first + chunk_clips, clips);
            require(records[i].chunk == static_cast<int64_t>(i) && first < clips, "the chunks in their order");
            for (const auto& [clip, reason] : records[i].bad)
                require(clip >= first && clip < end, "clips of the chunk");
            for (const int64_t clip : records[i].silent) require(clip >= first && clip < end, "clips of the chunk");
        }
        require(records.empty() || !journal.started_anew(), "records are of this run");
        const auto next = static_cast<int64_t>(records.size());
        if (next * chunk_clips < clips) journal.append({next, {{next * chunk_clips, "a \"reason\"\n"}}, {}});
    }
    PrepareJournal again(file, fingerprint, clips, chunk_clips);
    require(again.records().size() == records.size() + (records.size() < 3 ? 1 : 0), "one more chunk");
    require(!again.started_anew(), "the journal is of this run");
    for (size_t i = 0; i < records.size(); ++i) require(same(records[i], again.records()[i]), "the same is read again");
    return !records.empty();
}

/// Nothing in a journal is an error.
bool accepts(const std::string& input) {
    return scene::test::again([&] { return accepts_any(input); });
}

} // namespace

int main(int argc, char** argv) {
    const std::string head = line(fingerprint), first = line(R"({"bad":[],"chunk":0,"silent":[0,3]})"),
                      second = line(R"({"bad":[[4,"cut short"],[7,"\u00e9"]],"chunk":1,"silent":[]})"),
                      third = line(R"({"bad":[],"chunk":2,"silent":[8]})");
    return scene::test::fuzz_main(
        argc, argv,
        {{head + first + second + third, head + first + second, head + first, head + first + "1234567"},
         {"0",
          "1",
          "2",
          "3",
          "4",
          "9",
          "10",
          "-1",
          "1.0",
          "1e300",
          "true",
          "null",
          "9223372036854775808",
          "\"chunk\"",
          "[",
          "]",
          "{",
          "}",
          "[]",
          "{}",
          "[[0,\"x\"]]",
          "[[0]]",
          "{\"a\":0}",
          "\"",
          "\\u0000",
          "\n",
          "\xFF",
          first,
          second,
          third,
          head},
         accepts,
         8000});
}

#include "data/audio/audio_decoder.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <optional>
#include <string_view>
#include <system_error>

#include <sndfile.h>

#include "data/audio/audio_container.h"
#include "data/file_bytes.h"
#include "data/spare_memory.h"
#include "kernels/error.h"

namespace scene {
namespace {

namespace fs = std::filesystem;

constexpr int lowest_rate = 1000, highest_rate = 768000, most_channels = 256;
constexpr int64_t unknown_length = -1;

/// The virtual file that libsndfile reads: a file as its AudioView shows it.
class ViewedFile {
public:
    explicit ViewedFile(const fs::path& file) : bytes_(file), view_(view_audio(bytes_)) {
        length_ = static_cast<int64_t>(view_.head.size() + (view_.end - view_.begin));
    }

    const FileBytes& bytes() const { return bytes_; }
    const AudioView& view() const { return view_; }
    /// Whether the decoder has asked for the last byte.
    bool read_to_its_end() const { return read_to_its_end_; }

    int64_t length() const { return length_; }
    int64_t tell() const { return at_; }
    int64_t seek(int64_t offset, int whence) {
        const int64_t from = whence == SEEK_SET ? 0 : whence == SEEK_CUR ? at_ : length_;
        if (from + offset < 0) return -1;
        return at_ = from + offset;
    }
    int64_t read(char* out, int64_t count) {
        const auto head = static_cast<int64_t>(view_.head.size());
        int64_t done = 0;
        if (at_ < head) {
            done = std::min(count, head - at_);
            std::memcpy(out, view_.head.data() + at_, static_cast<size_t>(done));
        }
        const int64_t rest = std::clamp<int64_t>(length_ - at_ - done, 0, count - done);
        if (rest > 0) {
            const uint64_t at = view_.begin + static_cast<uint64_t>(at_ + done - head);
            const auto got = static_cast<int64_t>(bytes_.read(at, out + done, static_cast<uint64_t>(rest)));
            patch(at, out + done, static_cast<uint64_t>(got));
            done += got;
        }
        at_ += done;
        if (at_ >= length_) read_to_its_end_ = true;
        return done;
    }

private:
    void patch(uint64_t from, char* out, uint64_t count) const {
        for (const BytePatch& patch : view_.patches)
            for (uint64_t i = 0; i < patch.bytes.size(); ++i)
                if (patch.at + i >= from && patch.at + i < from + count) out[patch.at + i - from] = patch.bytes[i];
    }

    FileBytes bytes_;
    AudioView view_;
    int64_t length_ = 0, at_ = 0;
    bool read_to_its_end_ = false;
};

SF_VIRTUAL_IO callbacks() {
    return {[](void* file) -> sf_count_t { return static_cast<ViewedFile*>(file)->length(); },
            [](sf_count_t offset, int whence, void* file) -> sf_count_t {
                return static_cast<ViewedFile*>(file)->seek(offset, whence);
            },
            [](void* out, sf_count_t count, void* file) -> sf_count_t {
                return static_cast<ViewedFile*>(file)->read(static_cast<char*>(out), count);
            },
            nullptr, [](void* file) -> sf_count_t { return static_cast<ViewedFile*>(file)->tell(); }};
}

/// The name of a format that libsndfile cannot decode, from the file's bytes; empty: unknown.
std::string foreign_format(const FileBytes& file) {
    struct Mark {
        uint64_t at;
        std::string_view bytes, name;
    };
    static constexpr Mark marks[] = {{4, "ftyp", "MPEG-4 (M4A, AAC, MP4)"},
                                     {0, "\x30\x26\xb2\x75", "Windows Media (WMA)"},
                                     {0, "#!AMR", "AMR"},
                                     {0, "\x1a\x45\xdf\xa3", "Matroska or WebM"},
                                     {0, "ADIF", "AAC"},
                                     {0, "MAC ", "Monkey's Audio"},
                                     {0, "wvpk", "WavPack"},
                                     {0, "TTA1", "True Audio"},
                                     {0, "DSD ", "DSD"},
                                     {0, "FRM8", "DSD"},
                                     {0, ".RMF", "RealAudio"},
                                     {0, ".ra\xfd", "RealAudio"},
                                     {28, "Speex   ", "Ogg with Speex"},
                                     {28,
                                      "\x7f"
                                      "FLAC",
                                      "Ogg with FLAC"},
                                     {0, "OggS", "Ogg with a codec unknown here"},
                                     {0, "MPCK", "Musepack"},
                                     {0, "MP+", "Musepack"},
                                     {0, "FLV", "Flash video"},
                                     {8, "AVI ", "AVI video"},
                                     {8, "WAVE", "WAV with a codec unknown here"},
                                     {8, "AIFC", "AIFF-C with a codec unknown here"}};
    for (const Mark& mark : marks)
        if (file.text(mark.at, mark.bytes.size()) == mark.bytes) return std::string(mark.name);
    const uint64_t sync = file.number(0, 2, true);
    return (sync & 0xfff6) == 0xfff0 ? "AAC" : "";
}

[[noreturn]] void fail_undecodable(const fs::path& file, const FileBytes& bytes) {
    const std::string format = foreign_format(bytes);
    if (format.empty() || bytes.size() < 64)
        fail("{}: is not audio that can be decoded; give a complete WAV, FLAC, OGG, MP3 or AIFF file", file.string());
    fs::path wav = file;
    wav.replace_extension(file.extension() == ".wav" ? ".pcm.wav" : ".wav");
    fail("{}: is {}, which is not read here; convert it: ffmpeg -i {} {}", file.string(), format,
         shell_word(file.string()), shell_word(wav.string()));
}

void require_file(const fs::path& file) {
    std::error_code error;
    const fs::file_status status = fs::status(file, error);
    if (status.type() == fs::file_type::not_found)
        fail("{}: no such file; check the path and the audio folder", file.string());
    if (error) fail("{}: cannot be read ({}); check its permissions", file.string(), error.message());
    if (fs::is_directory(status)) fail("{}: is a folder, not an audio file; name a file in it", file.string());
    if (!fs::is_regular_file(status)) fail("{}: is not a regular file; name a WAV, FLAC or OGG file", file.string());
}

} // namespace

struct AudioDecoder::State {
    fs::path file;
    ViewedFile source;
    SNDFILE* sound = nullptr;
    AudioInfo info;
    int64_t promised = unknown_length; ///< frames
    int64_t certain = 0;               ///< frames that the file has unless it is damaged
    int64_t decoded = 0;
    bool ends_early = false;
    std::vector<float> interleaved, mono;

    explicit State(const fs::path& file) : file(file), source(file) {}
    ~State() {
        if (sound) sf_close(sound);
    }
    State(const State&) = delete;
    State& operator=(const State&) = delete;

    void open() {
        const AudioView& view = source.view();
        require_spare_memory();
        SF_INFO header{};
        SF_VIRTUAL_IO io = callbacks();
        sound = sf_open_virtual(&io, SFM_READ, &header, &source);
        if (!sound && view.ends_early && !view.streamed)
            fail("{}: is cut short: nothing of it decodes; fetch or export it again", file.string());
        if (!sound) fail_undecodable(file, source.bytes());
        if (header.samplerate < lowest_rate || header.samplerate > highest_rate)
            fail("{}: has a sample rate of {} Hz, outside {} to {} Hz; export it again", file.string(),
                 header.samplerate, lowest_rate, highest_rate);
        if (header.channels < 1 || header.channels > most_channels)
            fail("{}: has {} channels, more than {}; export it again", file.string(), header.channels, most_channels);
        const bool counted = view.counts_samples && header.frames >= 0 && header.frames != SF_COUNT_MAX;
        ends_early = view.ends_early;
        info = {header.samplerate, header.channels, counted && !ends_early ? header.frames : unknown_length};
        promised = info.frames;
        if (counted && view.knows_its_end) certain = header.frames;
        if (counted && ends_early && view.promised_share > 1)
            promised = static_cast<int64_t>(static_cast<double>(header.frames) * view.promised_share);
        constexpr size_t block_samples = 1 << 15;
        const auto channels = static_cast<size_t>(info.channels);
        mono.resize(block_samples / channels);
        interleaved.resize(mono.size() * channels);
    }

    /// Called at the end of the file: an Error unless the file may end here (see AudioDecoder).
    void require_whole(int64_t needed) {
        const bool damaged = sf_error(sound) != SF_ERR_NO_ERROR;
        const bool fewer = promised != unknown_length && decoded < promised;
        const bool middle = source.view().counts_samples && !source.view().ends_early && !source.read_to_its_end();
        if (decoded < certain || ((damaged || fewer) && middle))
            fail("{}: is damaged after sample {} ({}); fetch or export it again", file.string(), decoded,
                 damaged ? sf_strerror(sound) : "a broken frame");
        ends_early |= fewer;
        if (ends_early && !source.view().streamed) {
            const int64_t wanted = promised == unknown_length ? needed : std::min(needed, promised);
            if (decoded < wanted / 2 || (promised == unknown_length && needed == all_frames))
                fail("{}: is cut short: {}, {} samples decode; fetch or export it again", file.string(),
                     promised == unknown_length ? "its last page is not whole"
                                                : fmt::format("its header promises {} samples", promised),
                     decoded);
        }
        if (decoded == 0) fail("{}: holds no samples; remove it or export it again", file.string());
    }

    /// Writes the mean of the channels to `mono`. Error: a sample is NaN, infinite or beyond `largest_sample`.
    void mix(int64_t frames) {
        const auto channels = static_cast<size_t>(info.channels);
        const auto is_audio = [](float x) { return std::abs(x) <= largest_sample; }; // false for NaN
        const size_t samples = static_cast<size_t>(frames) * channels;
        for (size_t i = 0; i < samples; ++i)
            if (!is_audio(interleaved[i]))
                fail("{}: sample {} is {}: no audio; export it again without such values", file.string(),
                     static_cast<size_t>(decoded) + i / channels, interleaved[i]);
        for (size_t frame = 0; frame < static_cast<size_t>(frames); ++frame) {
            float sum = 0;
            for (size_t channel = 0; channel < channels; ++channel) sum += interleaved[frame * channels + channel];
            mono[frame] = sum / static_cast<float>(channels);
        }
    }
};

AudioDecoder::AudioDecoder(const fs::path& file) {
    require_file(file);
    state_ = std::make_unique<State>(file);
    if (state_->source.bytes().size() == 0) fail("{}: is empty (0 bytes); fetch or export it again", file.string());
    state_->open();
}

AudioDecoder::~AudioDecoder() = default;

const AudioInfo& AudioDecoder::info() const { return state_->info; }

bool AudioDecoder::ends_early() const { return state_->ends_early; }

std::span<const float> AudioDecoder::next(int64_t needed) {
    State& s = *state_;
    const int64_t got = sf_readf_float(s.sound, s.interleaved.data(), static_cast<sf_count_t>(s.mono.size()));
    if (got <= 0) {
        s.require_whole(needed);
        return {};
    }
    s.mix(got);
    s.decoded += got;
    return std::span(s.mono).first(static_cast<size_t>(got));
}

std::string shell_word(const std::string& text) {
    static constexpr std::string_view plain =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./+,:@%=-";
    const std::string word = text.starts_with('-') ? "./" + text : text;
    if (word.find_first_not_of(plain) == std::string::npos) return word;
    std::string out = "'";
    for (char c : word) out += c == '\'' ? "'\\''" : std::string(1, c);
    return out + "'";
}

} // namespace scene

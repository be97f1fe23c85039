#include "data/formats/text_encoding.h"

#include <cstdint>

#include "kernels/error.h"

namespace scene {
namespace {

/// Bytes of the UTF-8 character at `i`, 0 if there is none (also for the NUL of binary files).
size_t utf8_length(std::string_view text, size_t i) {
    const auto byte = [&](size_t k) { return i + k < text.size() ? static_cast<unsigned char>(text[i + k]) : 0u; };
    const auto continues = [&](size_t k) { return (byte(k) & 0xC0u) == 0x80u; };
    const unsigned lead = byte(0);
    if (lead == 0) return 0;
    if (lead < 0x80) return 1;
    if (lead >= 0xC2 && lead < 0xE0) return continues(1) ? 2 : 0;
    if ((lead & 0xF0u) == 0xE0u) {
        const bool overlong = lead == 0xE0 && byte(1) < 0xA0, surrogate = lead == 0xED && byte(1) >= 0xA0;
        return continues(1) && continues(2) && !overlong && !surrogate ? 3 : 0;
    }
    if (lead >= 0xF0 && lead <= 0xF4) {
        const bool overlong = lead == 0xF0 && byte(1) < 0x90, beyond = lead == 0xF4 && byte(1) >= 0x90;
        return continues(1) && continues(2) && continues(3) && !overlong && !beyond ? 4 : 0;
    }
    return 0;
}

/// A surrogate without its partner comes out as three bytes that require_utf8 refuses.
void append_utf8(std::string& out, uint32_t character) {
    const auto put = [&](uint32_t byte) { out += static_cast<char>(byte); };
    const auto put_rest = [&](int bits) {
        for (; bits >= 0; bits -= 6) put(0x80u | (character >> bits & 0x3Fu));
    };
    if (character < 0x80) {
        put(character);
    } else if (character < 0x800) {
        put(0xC0u | character >> 6);
        put_rest(0);
    } else if (character < 0x10000) {
        put(0xE0u | character >> 12);
        put_rest(6);
    } else {
        put(0xF0u | character >> 18);
        put_rest(12);
    }
}

std::string from_utf16(std::string_view bytes, bool big_endian) {
    const auto unit = [&](size_t i) {
        const auto first = static_cast<unsigned char>(bytes[i]), second = static_cast<unsigned char>(bytes[i + 1]);
        return static_cast<uint32_t>(big_endian ? first << 8 | second : second << 8 | first);
    };
    std::string out;
    out.reserve(bytes.size() / 2);
    for (size_t i = 0; i + 1 < bytes.size(); i += 2) {
        const uint32_t lead = unit(i);
        const uint32_t next = i + 3 < bytes.size() ? unit(i + 2) : 0;
        if (lead >= 0xD800 && lead < 0xDC00 && next >= 0xDC00 && next < 0xE000) {
            append_utf8(out, 0x10000 + ((lead - 0xD800) << 10) + (next - 0xDC00));
            i += 2;
        } else {
            append_utf8(out, lead);
        }
    }
    return out;
}

} // namespace

std::string to_utf8(std::string_view bytes) {
    if (bytes.starts_with("\xEF\xBB\xBF")) return std::string(bytes.substr(3));
    if (bytes.starts_with("\xFF\xFE")) return from_utf16(bytes.substr(2), false);
    if (bytes.starts_with("\xFE\xFF")) return from_utf16(bytes.substr(2), true);
    if (bytes.size() >= 2 && bytes[0] != 0 && bytes[1] == 0) return from_utf16(bytes, false);
    if (bytes.size() >= 2 && bytes[0] == 0 && bytes[1] != 0) return from_utf16(bytes, true);
    return std::string(bytes);
}

void require_utf8(std::string_view text, const std::string& name) {
    size_t line = 1;
    for (size_t i = 0; i < text.size();) {
        const size_t length = utf8_length(text, i);
        if (length == 0) fail("{}:{}: not UTF-8 text; save the file as CSV in UTF-8", name, line);
        if (text[i] == '\n') ++line;
        i += length;
    }
}

} // namespace scene

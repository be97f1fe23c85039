// Damaged safetensors files.

#include "kernels/files/safetensors.h"

#include "kernels/files/crc32c.h"
#include "tests/fuzz/fuzz.h"

namespace {

using scene::test::require;

std::string with_length(const std::string& header, const std::string& data) {
    std::string out;
    for (int i = 0; i < 8; ++i) out.push_back(static_cast<char>(header.size() >> (8 * i)));
    return out + header + data;
}

/// As our writer makes it.
std::string complete_file() {
    std::string head =
        scene::safetensors_header({{"format", "x"}}, {{"a", "F32", {2, 2}}, {"b", "I32", {3}}, {"c", "U8", {}}});
    const std::string data(16 + 12 + 1, '\x3F');
    scene::set_safetensors_checksum(head,
                                    scene::crc32c(data.data(), data.size(), scene::crc32c(head.data(), head.size())));
    return head + data;
}

/// Every byte of every tensor lies inside the file.
bool accepts(const std::string& input) {
    // Half of the inputs get a right header length, so that damage behind it is reached.
    std::string file = input;
    const size_t brace = file.rfind('}');
    if (file.size() % 2 == 0 && file.size() > 8 && brace != std::string::npos && brace > 8)
        file = with_length(file.substr(8, brace - 7), file.substr(brace + 1));
    const scene::SafetensorsContent content =
        scene::parse_safetensors(std::as_bytes(std::span(file.data(), file.size())), "file");
    size_t sum = 0, total = 0;
    for (const scene::SafetensorsEntry& entry : content.entries) {
        for (std::byte byte : entry.bytes) sum += static_cast<size_t>(byte);
        total += entry.bytes.size();
        int64_t elements = 1;
        for (int64_t axis : entry.shape) elements *= axis;
        require(elements == entry.elements(), "as many elements as the shape says");
    }
    require(total <= file.size() && sum <= 255 * total, "tensors of bytes of the file");
    return true;
}

} // namespace

int main(int argc, char** argv) {
    return scene::test::fuzz_main(
        argc, argv,
        {{complete_file(), with_length(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})", "12345678"),
          with_length(R"({"__metadata__":{"k":"v"},"a":{"dtype":"U8","shape":[1,3],"data_offsets":[0,3]},)"
                      R"("b":{"dtype":"BOOL","shape":[0],"data_offsets":[3,3]}})",
                      "abc"),
          with_length("{}", "")},
         {"\"data_offsets\":", "[0,0]", "18446744073709551615", "-1", "4294967296", "1e308", "\"__metadata__\":{}",
          "\"crc32c\":\"00000000\"", "[[[[[[[[", "{\"a\":", "\\u0000", "\"dtype\":\"F64\"", "null", "\xFF", "}", "\n"},
         accepts,
         15000});
}

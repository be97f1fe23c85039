#include "kernels/files/crc32c.h"

#include <string>

#include <gtest/gtest.h>

namespace scene {
namespace {

TEST(Crc32c, KnownValues) {
    EXPECT_EQ(crc32c("123456789", 9), 0xE3069283u);                   // the check value of the CRC catalogue
    EXPECT_EQ(crc32c(std::string(32, '\0').data(), 32), 0x8A9136AAu); // RFC 3720, B.4
    EXPECT_EQ(crc32c(std::string(32, '\xFF').data(), 32), 0x62A8AB43u);
    EXPECT_EQ(crc32c("", 0), 0u);
}

TEST(Crc32c, ContinuesWhereverTheBytesAreCut) {
    const std::string text = "continues wherever the bytes are cut";
    for (size_t cut = 0; cut <= text.size(); ++cut)
        EXPECT_EQ(crc32c(text.data() + cut, text.size() - cut, crc32c(text.data(), cut)),
                  crc32c(text.data(), text.size()));
}

} // namespace
} // namespace scene

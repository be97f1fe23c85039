#include "kernels/error.h"

namespace scene {

std::string one_line(std::string text) {
    for (char& c : text)
        if (static_cast<unsigned char>(c) < 32 || c == 127) c = ' ';
    return text;
}

void contract_violation(const char* statement, const std::string& message, const char* file, int line) {
    throw std::logic_error(std::string(file) + ":" + std::to_string(line) + ": " + message + " (" + statement +
                           " is false)");
}

} // namespace scene

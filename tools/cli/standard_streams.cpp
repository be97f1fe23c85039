#include "tools/cli/standard_streams.h"

#include <cerrno>
#include <cstdio>
#include <system_error>

#include <fcntl.h>
#include <unistd.h>

namespace scene {

void open_standard_streams() {
    for (const int stream : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
        if (fcntl(stream, F_GETFD) >= 0 || errno != EBADF) continue;
        // open() takes the lowest free descriptor, which is this stream's. Stdout is opened for reading only, so that
        // writes fail as on a closed stream.
        if (open("/dev/null", stream == STDERR_FILENO ? O_WRONLY : O_RDONLY) < 0) return;
    }
}

void say(std::string_view text) {
    std::fwrite(text.data(), 1, text.size(), stderr);
    std::fflush(stderr);
}

void flush_standard_output() {
    if (std::fflush(stdout) != 0) throw std::system_error(errno, std::generic_category());
    if (std::ferror(stdout)) throw std::system_error(EIO, std::generic_category());
}

} // namespace scene

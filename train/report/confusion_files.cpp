#include "train/report/confusion_files.h"

#include <algorithm>

#include "kernels/error.h"
#include "kernels/files/atomic_file.h"

namespace scene {
namespace {

constexpr int cell = 44, header = 60, margin = 12, letter = 8; ///< pixels; a letter of the class names is this wide

} // namespace

std::string escaped_markup(const std::string& text) {
    std::string out;
    for (char c : text) {
        switch (c) {
        case '&': out += "&amp;"; break;
        case '<': out += "&lt;"; break;
        case '>': out += "&gt;"; break;
        case '"': out += "&quot;"; break;
        default: out += c;
        }
    }
    return out;
}

std::string confusion_svg(const Confusion& confusion, std::span<const std::string> class_names,
                          const std::string& title) {
    const auto classes = static_cast<int>(confusion.classes());
    SCENE_CHECK(static_cast<int>(class_names.size()) == classes, "one name per class");
    size_t longest = 12;
    for (const std::string& name : class_names) longest = std::max(longest, name.size() + 4);
    const int left = margin + letter * static_cast<int>(longest);
    const int width = std::max(left + classes * cell + 2 * cell, letter * static_cast<int>(title.size())) + margin;
    const int height = header + classes * cell + 2 * margin;
    std::string svg = fmt::format(
        R"(<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {} {}" width="{}" height="{}" font-family="sans-serif" font-size="13">)"
        "\n<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n"
        R"(<text x="{}" y="20" font-weight="bold">{}</text>)"
        "\n",
        width, height, width, height, margin, escaped_markup(title));
    svg += fmt::format(R"(<text x="{}" y="{}">true \ predicted</text>)", margin, header - 8);
    for (int predicted = 0; predicted < classes; ++predicted)
        svg += fmt::format(R"(<text x="{}" y="{}" text-anchor="middle">{}</text>)", left + predicted * cell + cell / 2,
                           header - 8, predicted);
    svg += fmt::format(R"(<text x="{}" y="{}">recall</text>)", left + classes * cell + margin, header - 8) + "\n";
    for (int truth = 0; truth < classes; ++truth) {
        const int y = header + truth * cell, middle = y + cell / 2 + 5;
        const int64_t clips = confusion.clips(truth);
        svg += fmt::format(R"(<text x="{}" y="{}">{} {}</text>)", margin, middle, truth,
                           escaped_markup(class_names[static_cast<size_t>(truth)]));
        for (int predicted = 0; predicted < classes; ++predicted) {
            const int64_t count = confusion.count(truth, predicted);
            const double share = clips == 0 ? 0 : static_cast<double>(count) / static_cast<double>(clips);
            const char* colour = truth == predicted ? "32,120,180" : "200,80,40";
            svg += fmt::format(R"svg(<rect x="{}" y="{}" width="{}" height="{}" fill="rgb({})")svg"
                               R"svg( fill-opacity="{:.3f}" stroke="#dde3ea"/>)svg",
                               left + predicted * cell, y, cell, cell, colour, 0.9 * share);
            svg += fmt::format(R"(<text x="{}" y="{}" text-anchor="middle" fill="{}">{}</text>)",
                               left + predicted * cell + cell / 2, middle, share > 0.6 ? "#fff" : "#1c2430", count);
        }
        svg += fmt::format(R"(<text x="{}" y="{}">{}</text>)", left + classes * cell + margin, middle,
                           clips == 0 ? "-" : fmt::format("{:.3f}", confusion.recall(truth))) +
               "\n";
    }
    return svg + "</svg>\n";
}

void write_confusion(const std::filesystem::path& folder, const Confusion& confusion,
                     std::span<const std::string> class_names, const std::string& title) {
    write_file(folder / "confusion.txt", title + "\n\n" + confusion_table(confusion, class_names));
    write_file(folder / "confusion.csv", confusion_csv(confusion, class_names));
    write_file(folder / "confusion.svg", confusion_svg(confusion, class_names, title));
}

} // namespace scene

#include "tools/commands/audit_report.h"

#include <algorithm>
#include <cmath>

#include <fmt/core.h>

#include "kernels/files/json.h"
#include "tools/cli/text_table.h"
#include "train/evaluation/statistic.h"

namespace scene {
namespace {

using Json = nlohmann::ordered_json;

/// `value(audit)` of every seed.
template <typename Value> std::vector<double> over_seeds(const AuditReport& report, Value&& value) {
    std::vector<double> values;
    for (const Audit& one : report.audits) values.push_back(value(one));
    return values;
}

std::string counts_table(const std::string& kind, const std::string& nameless, const std::vector<ClipCounts>& counts,
                         bool with_classes) {
    std::vector<std::string> header = {kind, "clips", "labelled", "train", "train unlabelled", "test", "left out"};
    if (with_classes) header.insert(header.begin() + 1, "classes");
    TextTable table(header);
    for (const ClipCounts& one : counts) {
        std::vector<std::string> row = {one.name.empty() ? nameless : one.name};
        if (with_classes) row.push_back(std::to_string(one.classes));
        for (int64_t number :
             {one.clips, one.labelled, one.train_labelled, one.train_unlabelled, one.test, one.left_out()})
            row.push_back(std::to_string(number));
        table.add(row);
    }
    return table.text() + "\n";
}

bool any_known(const std::vector<ClipCounts>& counts) {
    return std::any_of(counts.begin(), counts.end(), [](const ClipCounts& one) { return !one.name.empty(); });
}

std::string sessions_text(const Audit& audit) {
    if (audit.session_count == 0) return "No sessions are known.\n";
    std::vector<int64_t> sizes;
    for (const ClipCounts& one : audit.sessions)
        if (!one.name.empty()) sizes.push_back(one.clips);
    std::sort(sizes.begin(), sizes.end());
    return fmt::format(
        "{} sessions of {} to {} clips (median {}); {} have labelled clips, and in {} of these all labels "
        "agree.\n",
        audit.session_count, sizes.front(), sizes.back(), sizes[sizes.size() / 2], audit.labelled_sessions,
        audit.pure_sessions);
}

std::string key_text(const std::string& key) {
    std::string out = key;
    for (size_t at; (at = out.find('_')) != std::string::npos;) out.replace(at, 1, " + ");
    return out;
}

std::string leaks_text(const AuditReport& report) {
    TextTable leaks({"share of the test clips whose ...", "trains with labels", "trains at all"});
    const auto add = [&](const std::string& name, LeakedShare Audit::*leak) {
        leaks.add({name, statistic_text(over_seeds(report, [&](const Audit& one) { return (one.*leak).labelled; })),
                   statistic_text(over_seeds(report, [&](const Audit& one) { return (one.*leak).any; }))});
    };
    add("session", &Audit::session_leak);
    add("city", &Audit::city_leak);
    TextTable scores({"label looked up by, no audio", "balanced accuracy", "else the majority", "test clips covered"});
    for (size_t k = 0; k < report.audits[0].metadata_only.size(); ++k) {
        const auto of_key = [&](double MetadataScore::*value) {
            return statistic_text(over_seeds(report, [&](const Audit& one) { return one.metadata_only[k].*value; }));
        };
        scores.add({key_text(report.audits[0].metadata_only[k].key), of_key(&MetadataScore::balanced_accuracy),
                    of_key(&MetadataScore::with_majority), of_key(&MetadataScore::coverage)});
    }
    return leaks.text() + "\n" + scores.text();
}

struct RemarkList {
    const char* name; ///< the member in the JSON
    const char* text;
    std::vector<ClipRemark> AudioAudit::*list;
    bool needs_files;
};

constexpr RemarkList remark_lists[] = {
    {"missing", "missing", &AudioAudit::missing, true},
    {"unreadable", "unreadable", &AudioAudit::unreadable, true},
    {"not_numbers", "NaN or infinite: prepare again", &AudioAudit::not_numbers, false},
    {"silent", "silent", &AudioAudit::silent, false},
    {"short", "shorter than the features need", &AudioAudit::shorter, true},
    {"long", "longer than the features need", &AudioAudit::longer, true},
    {"rate_mismatched", "at another sample rate", &AudioAudit::other_rate, true},
};

std::string audio_text(const AuditReport& report) {
    constexpr size_t shown = 3;
    if (!report.audio) return "Audio: not checked.\n";
    const AudioAudit& audio = *report.audio;
    std::string out = fmt::format("Audio: {} clips checked{}.\n", audio.checked,
                                  audio.from_files ? "" : " by their features; lengths and rates are not in a store");
    for (const RemarkList& one : remark_lists) {
        const std::vector<ClipRemark>& remarks = audio.*one.list;
        if (one.needs_files && !audio.from_files) continue;
        if (one.list == &AudioAudit::not_numbers && audio.from_files) continue; // such files are unreadable
        out += fmt::format("  {:<31} {}", one.text, remarks.size());
        for (size_t i = 0; i < std::min(shown, remarks.size()); ++i)
            out += fmt::format("{}{} ({})", i ? ", " : ": ", report.names[static_cast<size_t>(remarks[i].clip)],
                               remarks[i].text);
        out += remarks.size() > shown ? ", ...\n" : "\n";
    }
    int64_t duplicate_clips = 0;
    for (const auto& group : audio.duplicates) duplicate_clips += static_cast<int64_t>(group.size());
    out += fmt::format("  {:<31} {} in {} groups", "duplicates", duplicate_clips, audio.duplicates.size());
    if (!audio.duplicates.empty())
        out += fmt::format(": {} = {}{}", report.names[static_cast<size_t>(audio.duplicates[0][0])],
                           report.names[static_cast<size_t>(audio.duplicates[0][1])],
                           audio.duplicates.size() > 1 ? ", ..." : "");
    return out + fmt::format("; {} test clips have one that trains\n", duplicates_in_training(audio, report.splits[0]));
}

Json counts_json(const ClipCounts& one) {
    return {{"clips", one.clips},
            {"labelled", one.labelled},
            {"classes", one.classes},
            {"train_labelled", one.train_labelled},
            {"train_unlabelled", one.train_unlabelled},
            {"test", one.test},
            {"left_out", one.left_out()}};
}

/// An object from name to counts; clips of no name are under `nameless`.
Json counts_json(const std::vector<ClipCounts>& counts, const std::string& nameless) {
    Json out = Json::object();
    for (const ClipCounts& one : counts) out[one.name.empty() ? nameless : one.name] = counts_json(one);
    return out;
}

Json audio_json(const AuditReport& report) {
    if (!report.audio) return Json();
    const AudioAudit& audio = *report.audio;
    Json out = {{"checked", audio.checked}, {"from", audio.from_files ? "files" : "store"}};
    for (const RemarkList& one : remark_lists) {
        Json list = Json::array();
        for (const ClipRemark& remark : audio.*one.list)
            list.push_back(Json{{"clip", report.names[static_cast<size_t>(remark.clip)]}, {"reason", remark.text}});
        out[one.name] = one.needs_files && !audio.from_files ? Json() : list;
    }
    Json groups = Json::array();
    for (const auto& group : audio.duplicates) {
        Json list = Json::array();
        for (int32_t clip : group) list.push_back(report.names[static_cast<size_t>(clip)]);
        groups.push_back(list);
    }
    out["duplicates"] = groups;
    out["duplicates_in_training"] = duplicates_in_training(audio, report.splits[0]);
    return out;
}

Json leaks_json(const AuditReport& report, LeakedShare Audit::*leak) {
    const auto mean = [&](double LeakedShare::*share) {
        return statistic(over_seeds(report, [&](const Audit& one) { return one.*leak.*share; })).mean;
    };
    return {{"labelled", mean(&LeakedShare::labelled)}, {"any", mean(&LeakedShare::any)}};
}

Json metadata_json(const AuditReport& report) {
    Json out = Json::object();
    for (size_t k = 0; k < report.audits[0].metadata_only.size(); ++k) {
        const auto of_key = [&](double MetadataScore::*value) {
            return statistic(over_seeds(report, [&](const Audit& one) { return one.metadata_only[k].*value; }));
        };
        const Statistic score = of_key(&MetadataScore::balanced_accuracy);
        const Statistic with_majority = of_key(&MetadataScore::with_majority);
        out[report.audits[0].metadata_only[k].key] = {{"balanced_accuracy", score.mean},
                                                      {"deviation", score.deviation},
                                                      {"with_majority", with_majority.mean},
                                                      {"with_majority_deviation", with_majority.deviation},
                                                      {"coverage", of_key(&MetadataScore::coverage).mean}};
    }
    return out;
}

} // namespace

std::string audit_text(const AuditReport& report) {
    const Audit& first = report.audits[0];
    const Split& split = report.splits[0];
    std::string out = fmt::format("{}: {} clips, {} labelled\n{}\n", report.source, first.total.clips,
                                  first.total.labelled, sessions_text(first));
    out += fmt::format("Split {}, seed {}: {} labelled and {} unlabelled clips train, {} test, {} are left out.\n\n",
                       split.name, split.seed, first.total.train_labelled, first.total.train_unlabelled,
                       first.total.test, first.total.left_out());
    out += counts_table("class", "(unlabelled)", first.classes, false);
    if (any_known(first.cities)) out += counts_table("city", "(unknown)", first.cities, true);
    if (any_known(first.devices)) out += counts_table("device", "(unknown)", first.devices, true);
    if (split.test.empty())
        out += "Nothing tests, so nothing leaks.\n\n";
    else {
        if (report.seeds.size() > 1)
            out += fmt::format("Mean ± standard deviation over the seeds {} to {}:\n\n", report.seeds.front(),
                               report.seeds.back());
        out += leaks_text(report) + "\n";
    }
    return out + audio_text(report);
}

std::string audit_json(const AuditReport& report) {
    const Audit& first = report.audits[0];
    const auto leaked = over_seeds(report, [](const Audit& one) { return one.session_leak.labelled; });
    return json_text(
        Json{{"source", report.source},
             {"sessions", first.session_count},
             {"labelled_sessions", first.labelled_sessions},
             {"pure_sessions", first.pure_sessions},
             {"split", {{"name", report.splits[0].name}, {"seeds", report.seeds}}},
             {"leaked_share", statistic(leaked).mean},
             {"leaked",
              {{"session", leaks_json(report, &Audit::session_leak)}, {"city", leaks_json(report, &Audit::city_leak)}}},
             {"metadata_only", metadata_json(report)},
             {"counts",
              {{"total", counts_json(first.total)},
               {"classes", counts_json(first.classes, "(unlabelled)")},
               {"cities", counts_json(first.cities, "(unknown)")},
               {"devices", counts_json(first.devices, "(unknown)")},
               {"sessions", counts_json(first.sessions, "(unknown)")}}},
             {"audio", audio_json(report)}});
}

} // namespace scene

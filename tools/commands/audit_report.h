#pragma once

// What `scene audit` prints.

#include <optional>
#include <string>
#include <vector>

#include "data/audit/audio_audit.h"
#include "data/audit/audit.h"

namespace scene {

struct AuditReport {
    std::string source;
    std::vector<std::string> names; ///< [clips]
    std::vector<uint64_t> seeds;    ///< of the splits
    std::vector<Split> splits;      ///< [seeds]; counts and duplicates are those of the first
    std::vector<Audit> audits;      ///< [seeds]
    std::optional<AudioAudit> audio;
};

/// Tables for a terminal.
std::string audit_text(const AuditReport& report);
/// One object: source, sessions, labelled_sessions, pure_sessions, split, leaked_share, leaked, metadata_only, counts,
/// audio. docs/audit.md explains the members.
std::string audit_json(const AuditReport& report);

} // namespace scene

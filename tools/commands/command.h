#pragma once

#include "tools/cli/command_line.h"

namespace scene {

// Each adds one subcommand, in tools/commands/<name>.cpp.
void add_synth_command(CommandLine& line);
void add_prepare_command(CommandLine& line);
void add_audit_command(CommandLine& line);
void add_train_command(CommandLine& line);
void add_table1_command(CommandLine& line);
void add_evaluate_command(CommandLine& line);
void add_predict_command(CommandLine& line);
void add_plan_command(CommandLine& line);
void add_bench_command(CommandLine& line);
void add_info_command(CommandLine& line);

} // namespace scene

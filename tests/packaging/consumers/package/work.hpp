#pragma once

// Starts a process that exits with `code`; returns its exit code.
int exit_code_of_a_process(int code);

// The sanitizers' settings of every test program, compiled in, so that they hold however a program
// is started: by ctest, by hand, or again by the library itself.

namespace {

// Children crash on purpose, and the tests expect the signal itself as the cause of death.
#define LEAVE_SIGNALS_ALONE \
  "handle_segv=0:handle_sigbus=0:handle_abort=0:handle_sigill=0:handle_sigfpe=0"

}  // namespace

extern "C" {

#if defined(__SANITIZE_ADDRESS__)
const char* __asan_default_options();
const char* __asan_default_options() { return LEAVE_SIGNALS_ALONE ":detect_leaks=1"; }
const char* __ubsan_default_options();
const char* __ubsan_default_options() { return "print_stacktrace=1"; }
#endif

#if defined(__SANITIZE_THREAD__)
const char* __tsan_default_options();
const char* __tsan_default_options() {
  // die_after_fork: a process with threads that forks is what some tests are about.
  return LEAVE_SIGNALS_ALONE ":die_after_fork=0:second_deadlock_stack=1";
}
const char* __tsan_default_suppressions();
const char* __tsan_default_suppressions() {
  // None so far. Each entry to come says here why it is no defect of ours.
  return "";
}
#endif

}  // extern "C"

#include "process/helpers/scenario.hpp"

namespace procession::process_test {
namespace {

void start_inner(StartMethod method, std::string mailbox, int depth) {
  post(mailbox, current_process().name());
  if (depth == 0) return;
  for (int i = 0; i < 2; ++i) {
    Process inner({.start_method = method}, start_inner, method, mailbox, depth - 1);
    inner.start();
    inner.join();
  }
}

const Scenario default_names("default_names", [](const Arguments& arguments) {
  const StartMethod method = arguments.method(0);
  Mailbox mailbox;
  Process first({.start_method = method}, start_inner, method, mailbox.path(), 2);
  Process second({.start_method = method}, start_inner, method, mailbox.path(), 1);
  require(first.name() == "Process-1", "the first is Process-1: " + first.name());
  require(second.name() == "Process-2", "the second is Process-2: " + second.name());
  require(run(first) == 0 && run(second) == 0, "both end well");
  for (const char* name :
       {"Process-1", "Process-1:1", "Process-1:1:1", "Process-1:1:2", "Process-1:2",
        "Process-1:2:1", "Process-1:2:2", "Process-2", "Process-2:1", "Process-2:2"}) {
    const std::string seen = mailbox.receive();
    require(seen == name, seen + " should be " + name);
  }
});

}  // namespace
}  // namespace procession::process_test

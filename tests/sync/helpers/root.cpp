// sync_helper ROW METHOD GO NEWS: the root of a family, which holds a lock of that row until it is
// killed, and a child that waits for the lock once it has read a byte from GO. To NEWS the child
// writes its pid, and then what it got.
#include <fcntl.h>
#include <unistd.h>

#include <cstdio>
#include <string>

#include "procession/process.hpp"
#include "sync/conformance.hpp"

namespace procession::sync_test {
namespace {

StartMethod method_of(const std::string& name) {
  if (name == "Fork") return StartMethod::Fork;
  return name == "Spawn" ? StartMethod::Spawn : StartMethod::ForkServer;
}

template <class Handle>
void wait_for_it(Handle handle, std::string go, std::string news) {
  const int from = ::open(go.c_str(), O_RDONLY | O_CLOEXEC);
  const int to = ::open(news.c_str(), O_WRONLY | O_CLOEXEC);
  const pid_t self = ::getpid();
  char byte = 0;
  if (::write(to, &self, sizeof self) != sizeof self || ::read(from, &byte, 1) != 1) ::_exit(1);
  const News got = news_of_waiting(handle);
  if (::write(to, &got, sizeof got) != sizeof got) ::_exit(1);
}

template <class Row>
void run(const std::string& method, const std::string& go, const std::string& news) {
  const auto handle = Row::make(Name{"ledger"});
  Row::block(handle);
  Process child({.name = "waiter", .start_method = method_of(method)},
                wait_for_it<typename Row::Handle>, handle, go, news);
  child.start();
  child.join();  // it is killed meanwhile
}

template <class... Row>
bool run_named(const std::string& name, char** arguments, std::tuple<Row...>*) {
  return ((name == Row::name() && (run<Row>(arguments[0], arguments[1], arguments[2]), true)) ||
          ...);
}

}  // namespace
}  // namespace procession::sync_test

int main(int argc, char** argv) {
  using namespace procession::sync_test;
  if (argc == 5 && run_named(argv[1], argv + 2, static_cast<Rows*>(nullptr))) return 0;
  std::fprintf(stderr, "sync_helper: no such row\n");
  return 2;
}

// Listeners and clients: addresses, keys, clients that misbehave, the socket in the file system.
#include "procession/listener.hpp"

#include <gmock/gmock.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <functional>
#include <future>
#include <string>
#include <thread>
#include <vector>

#include "channel/frame.hpp"
#include "channel/listener_folder.hpp"
#include "channel/socket_address.hpp"
#include "procession/errors.hpp"
#include "procession/process.hpp"
#include "procession/queue.hpp"
#include "support/fixture.hpp"

namespace procession {
namespace {

using namespace std::chrono_literals;
using test_support::Child;
using test_support::ChildStatus;
using test_support::start_child;

class ListenerTest : public ::testing::TestWithParam<bool> {
 protected:
  std::string here() const {
    return GetParam() ? "unix:" + folder_.file("socket") : "tcp:127.0.0.1:0";
  }
  ListenerFolder folder_;
};
INSTANTIATE_TEST_SUITE_P(Addresses, ListenerTest, ::testing::Bool(),
                         [](const auto& test) { return test.param ? "Unix" : "Tcp"; });

std::future<Connection> accepting(Listener& listener) {
  return std::async(std::launch::async, [&listener] { return listener.accept(); });
}

TEST_P(ListenerTest, BothSidesSendAndReceive) {
  for (const std::optional<std::string>& key :
       {std::optional<std::string>(), std::optional<std::string>("a key")}) {
    Listener listener(here(), key);
    auto accepted = accepting(listener);
    const Connection client = Client(listener.address(), key);
    const Connection server = accepted.get();
    client.send(std::string("to the server"));
    EXPECT_EQ(server.recv<std::string>(), "to the server");
    std::thread sender([server] { server.send(std::vector<int>(1'000'000, 3)); });
    EXPECT_EQ(client.recv<std::vector<int>>().size(), 1'000'000u);
    sender.join();
    client.close();
    EXPECT_THROW((void)server.recv<int>(), ConnectionClosed);
  }
}

TEST_P(ListenerTest, AnotherKeyIsRefusedOnBothSidesAndTheNextClientIsServed) {
  Listener listener(here(), "right");
  auto accepted = accepting(listener);
  EXPECT_THROW((void)Client(listener.address(), "wrong"), AuthenticationError);
  EXPECT_THROW((void)accepted.get(), AuthenticationError);
  accepted = accepting(listener);
  const Connection client = Client(listener.address(), "right");
  const Connection server = accepted.get();
  server.send(1);
  EXPECT_EQ(client.recv<int>(), 1);
}

TEST_P(ListenerTest, NothingOfTheKeyIsInTheError) {
  Listener listener(here(), "s3cret-of-the-listener");
  auto accepted = accepting(listener);
  for (const auto& call : std::vector<std::function<void()>>{
           [&] { (void)Client(listener.address(), "s3cret-of-the-client"); },
           [&] { (void)accepted.get(); }}) {
    try {
      call();
      ADD_FAILURE() << "nothing was thrown";
    } catch (const AuthenticationError& error) {
      EXPECT_THAT(error.what(), ::testing::Not(::testing::HasSubstr("s3cret")));
    }
  }
}

TEST_P(ListenerTest, ASilentClientDoesNotHoldUpOthers) {
  Listener listener(here(), "key");
  const auto address = detail::parse_address(listener.address());
  std::vector<detail::Descriptor> silent;
  for (int i = 0; i < 10; ++i) silent.push_back(detail::connect_to(address));
  auto accepted = accepting(listener);
  const Connection client = Client(listener.address(), "key");
  const Connection server = accepted.get();
  server.send(1);
  EXPECT_EQ(client.recv<int>(), 1);
}

TEST_P(ListenerTest, ASilentClientIsDroppedAtTheLimit) {
  Listener listener(here(), "key");
  listener.set_handshake_limit(20ms);
  const auto silent = detail::connect_to(detail::parse_address(listener.address()));
  auto accepted = accepting(listener);
  // Its challenge comes, and then the end.
  const auto deadline = std::chrono::steady_clock::now() + 20s;
  EXPECT_EQ(detail::read_frame(silent.get(), 256, deadline).size(), 11u + 8u + 40u);
  std::byte one{};
  EXPECT_TRUE(detail::wait_for_descriptor(silent.get(), POLLIN, deadline));
  EXPECT_EQ(::recv(silent.get(), &one, 1, 0), 0);
  listener.set_handshake_limit(10s);
  const Connection client = Client(listener.address(), "key");
  (void)accepted.get();
}

TEST_P(ListenerTest, ClientsThatEndInTheMiddleAreForgotten) {
  Listener listener(here(), "key");
  const auto address = detail::parse_address(listener.address());
  const auto deadline = std::chrono::steady_clock::now() + 20s;
  auto accepted = accepting(listener);
  (void)detail::connect_to(address);
  {
    const auto half = detail::connect_to(address);
    EXPECT_EQ(::send(half.get(), "\0\0\0", 3, 0), 3);
    (void)detail::read_frame(half.get(), 256, deadline);
  }
  {
    const auto half = detail::connect_to(address);
    EXPECT_EQ(::send(half.get(),
                     "\0\0\0\x10"
                     "abc",
                     7, 0),
              7);
    (void)detail::read_frame(half.get(), 256, deadline);
  }
  const Connection client = Client(listener.address(), "key");
  EXPECT_FALSE(accepted.get().closed());
}

TEST_P(ListenerTest, WhatIsNoAnswerIsRefused) {
  const std::vector<std::string> wrong{std::string("\0\0\1\1", 4),
                                       std::string("\xff\xff\xff\xff", 4),
                                       std::string("\x7f\xff\xff\xff", 4),
                                       std::string("\0\0\0\0", 4),
                                       std::string("\0\0\0\x10", 4) + std::string(16, 'x'),
                                       std::string("\0\0\0\x28{sha256}", 12) + std::string(32, 'x'),
                                       std::string("\0\0\0\x0a{sha255}xx", 14),
                                       std::string("\0\0\0\x09#WELCOME#", 13)};
  for (const std::string& bytes : wrong) {
    Listener listener(here(), "key");
    const auto client = detail::connect_to(detail::parse_address(listener.address()));
    ASSERT_EQ(::send(client.get(), bytes.data(), bytes.size(), 0),
              static_cast<ssize_t>(bytes.size()));
    EXPECT_THROW((void)listener.accept(), AuthenticationError);
  }
}

TEST_P(ListenerTest, AnEmptyKeyIsAnError) {
  EXPECT_THROW(Listener(here(), ""), std::invalid_argument);
  EXPECT_THROW(Listener(here(), std::string()), std::invalid_argument);
  EXPECT_THROW((void)Client(here(), ""), std::invalid_argument);
  const Listener without(here(), {});
}

TEST_P(ListenerTest, CloseEndsAnAccept) {
  Listener listener(here());
  auto accepted = accepting(listener);
  listener.close();
  EXPECT_THROW((void)accepted.get(), StateError);
  EXPECT_THROW((void)listener.accept(), StateError);
  listener.close();
}

std::chrono::nanoseconds cpu_time() {
  timespec used{};
  ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
  return std::chrono::seconds(used.tv_sec) + std::chrono::nanoseconds(used.tv_nsec);
}

// Closing is the child's own affair: who accepts in the parent goes on, asleep.
TEST_P(ListenerTest, AForkedCopyThatIsClosedDisturbsNobody) {
  Listener listener(here());
  auto accepted = accepting(listener);
  EXPECT_EQ(test_support::run_child([&] { listener.close(); }), (ChildStatus{0, 0}));
  const auto before = cpu_time();
  EXPECT_EQ(accepted.wait_for(300ms), std::future_status::timeout);
  EXPECT_LT(cpu_time() - before, 100ms) << "accept() is busy";
  const Connection client = Client(listener.address());
  client.send(3);
  EXPECT_EQ(accepted.get().recv<int>(), 3);
}

// The child may accept itself; its own close() ends that, and no more.
TEST_P(ListenerTest, AForkedCopyCanAcceptAndBeClosed) {
  Listener listener(here());
  Child child = start_child([&] {
    auto accepted = accepting(listener);
    EXPECT_EQ(accepted.get().recv<int>(), 4);
    auto another = accepting(listener);
    listener.close();
    EXPECT_THROW((void)another.get(), StateError);
  });
  {
    const Connection client = Client(listener.address());
    client.send(4);
    EXPECT_EQ(child.wait(), (ChildStatus{0, 0}));
  }
  auto accepted = accepting(listener);
  const Connection client = Client(listener.address());
  client.send(5);
  EXPECT_EQ(accepted.get().recv<int>(), 5);
}

TEST_P(ListenerTest, HandlesDoNotGoToOtherPrograms) {
  Listener listener(here());
  auto accepted = accepting(listener);
  const Connection client = Client(listener.address());
  EXPECT_THROW(client.send(Queue<int>()), NotShippable);
  client.send(5);
  EXPECT_EQ(accepted.get().recv<int>(), 5);
}

// A message as send() makes it, but with bytes of the sender's choice for the value.
template <class T>
void send_forged(const Connection& connection, const T& payload) {
  struct {
    detail::MessageHead head;
    T payload;
  } message{{0x6d507631, 0, 0, sizeof message}, payload};
  message.head.type = detail::type_hash(detail::type_name<Queue<int>>());
  connection.send_bytes(std::as_bytes(std::span(&message, 1)));
}

// The bytes may name an object that exists.
TEST_P(ListenerTest, HandlesAndCodeDoNotComeFromOtherPrograms) {
  Listener listener(here());
  auto accepted = accepting(listener);
  const Connection client = Client(listener.address());
  const Connection server = accepted.get();
  const Queue<int> target;
  send_forged(client, target.handle_object());
  EXPECT_THROW((void)server.recv<Queue<int>>(), ProcessError);
  send_forged(client, std::uint64_t{0});
  EXPECT_THROW((void)server.recv<Queue<int>>(), ProcessError);
  client.send(+[](int i) { return i; });
  using Function = int (*)(int);
  EXPECT_THROW((void)server.recv<Function>(), ProcessError);
  client.send(std::make_error_code(std::errc::io_error));
  EXPECT_THROW((void)server.recv<std::error_code>(), ProcessError);
  client.send(std::string("values do"));
  EXPECT_EQ(server.recv<std::string>(), "values do");
  // Among the processes of a family they all travel.
  auto [mine, theirs] = Pipe();
  theirs.send(target);
  EXPECT_TRUE(mine.recv<Queue<int>>().empty());
  theirs.send(+[](int i) { return i + 1; });
  EXPECT_EQ(mine.recv<Function>()(1), 2);
}

TEST_P(ListenerTest, AnAcceptedConnectionTravels) {
  Listener listener(here());
  auto accepted = accepting(listener);
  const Connection client = Client(listener.address());
  Process process([end = accepted.get()] { end.send(end.recv<int>() + 1); });
  process.start();
  client.send(1);
  EXPECT_EQ(client.recv<int>(), 2);
  process.join();
}

TEST_P(ListenerTest, NobodyThereIsAnError) {
  std::string address;
  {
    const Listener listener(here());
    address = listener.address();
  }
  try {
    (void)Client(address);
    ADD_FAILURE() << "connected";
  } catch (const SystemError& error) {
    EXPECT_EQ(error.code(), GetParam() ? ENOENT : ECONNREFUSED);
  }
}

TEST(ListenerAddress, WhatIsNoneIsRefused) {
  for (const char* address :
       {"", "unix:", "tcp:", "tcp:host", "tcp::80", "tcp:host:", "tcp:host:x", "tcp:host:65536",
        "tcp:host:-1", "tcp:::1:80", "udp:host:80", "/path"}) {
    EXPECT_THROW((void)Listener(address), std::invalid_argument) << address;
    EXPECT_THROW((void)Client(address), std::invalid_argument) << address;
  }
  EXPECT_THROW((void)Listener("unix:/" + std::string(200, 'x')), std::invalid_argument);
}

TEST(ListenerAddress, ThePortThatWasChosenIsTold) {
  const Listener listener("tcp:127.0.0.1:0");
  EXPECT_THAT(listener.address(), ::testing::MatchesRegex("tcp:127\\.0\\.0\\.1:[1-9][0-9]*"));
}

TEST(ListenerFile, IsThisUsersAloneAndRemovedByClose) {
  const ListenerFolder folder;
  const std::string path = folder.file("socket");
  Listener listener("unix:" + path);
  struct stat status {};
  ASSERT_EQ(::lstat(path.c_str(), &status), 0);
  EXPECT_TRUE(S_ISSOCK(status.st_mode));
  EXPECT_EQ(status.st_mode & 0777, 0600u);
  EXPECT_EQ(folder.names(), 1u);
  listener.close();
  EXPECT_EQ(folder.names(), 0u);
}

TEST(ListenerFile, OfALivingListenerIsLeftAlone) {
  const ListenerFolder folder;
  const std::string address = "unix:" + folder.file("socket");
  Listener listener(address);
  try {
    const Listener other(address);
    ADD_FAILURE() << "two listen";
  } catch (const SystemError& error) {
    EXPECT_EQ(error.code(), EADDRINUSE);
  }
  EXPECT_EQ(folder.names(), 1u);
  const Connection client = Client(address);
}

TEST(ListenerFile, OfAKilledListenerIsReplaced) {
  const ListenerFolder folder;
  const std::string address = "unix:" + folder.file("socket");
  test_support::Pipe ready;
  auto child = start_child([&] {
    const Listener listener(address);
    ready.send('x');
    pause();
  });
  ASSERT_EQ(ready.receive<char>(), 'x');
  child.kill();
  child.wait();
  EXPECT_EQ(folder.names(), 1u);
  const Listener listener(address);
  EXPECT_EQ(folder.names(), 1u);
  const Connection client = Client(address);
}

TEST(ListenerFile, WhatIsNoSocketIsLeftAlone) {
  const ListenerFolder folder;
  const std::string path = folder.file("data");
  std::ofstream(path) << "precious";
  EXPECT_THROW((void)Listener("unix:" + path), SystemError);
  EXPECT_TRUE(std::filesystem::is_regular_file(path));
  EXPECT_EQ(folder.names(), 1u);
}

TEST(ListenerFile, IsRemovedAtTheExitOfItsProcess) {
  const ListenerFolder folder;
  const std::string address = "unix:" + folder.file("socket");
  Process process(
      {.start_method = StartMethod::Spawn},
      [](const std::string& where) {
        const Listener listener(where);
        std::exit(0);
      },
      address);
  process.start();
  process.join();
  EXPECT_EQ(process.exitcode(), 0);
  EXPECT_EQ(folder.names(), 0u);
}

TEST(ListenerFile, ACopyOfItsProcessRemovesNothing) {
  const ListenerFolder folder;
  const std::string address = "unix:" + folder.file("socket");
  Listener listener(address);
  auto child = start_child([&] { listener.close(); });
  EXPECT_EQ(child.wait(), test_support::ChildStatus({0, 0}));
  EXPECT_EQ(folder.names(), 1u);
  const Connection client = Client(address);
}

}  // namespace
}  // namespace procession

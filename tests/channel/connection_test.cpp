// What the table of connections says, within one process and with raw bytes on the wire.
#include "procession/connection.hpp"

#include <gmock/gmock.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstring>
#include <fstream>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <tuple>
#include <vector>

#include "procession/errors.hpp"
#include "procession/lock.hpp"
#include "procession/queue.hpp"
#include "procession/value.hpp"
#include "support/fixture.hpp"

namespace procession {
namespace {

using namespace std::chrono_literals;
using test_support::Child;
using test_support::ChildStatus;
using test_support::start_child;

constexpr ChildStatus success{0, 0};

std::vector<std::byte> bytes_of(const std::string& text) {
  const auto bytes = std::as_bytes(std::span(text));
  return {bytes.begin(), bytes.end()};
}

std::string text_of(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// What the kernel has for this end now, read past the library.
std::string raw_read(const Connection& end, std::size_t most) {
  std::string got(most, '\0');
  const ssize_t count = ::recv(end.fileno(), got.data(), most, 0);
  got.resize(count < 0 ? 0 : static_cast<std::size_t>(count));
  return got;
}

void raw_write(const Connection& end, const std::string& bytes) {
  ASSERT_EQ(::send(end.fileno(), bytes.data(), bytes.size(), MSG_NOSIGNAL),
            static_cast<ssize_t>(bytes.size()));
}

struct Tree {
  std::string name;
  std::vector<Tree> children;
  bool operator==(const Tree&) const = default;
};

TEST(ConnectionTest, ValuesOfEveryKindGoBothWays) {
  const auto [one, two] = Pipe();
  for (const auto& [from, to] : {std::pair{one, two}, std::pair{two, one}}) {
    from.send(42);
    from.send("a literal");
    from.send(std::string(100'000, 'x'));
    from.send(Tree{"root", {{"leaf", {}}, {"other", {}}}});
    from.send(std::map<std::string, std::vector<double>>{{"pi", {3.14, 3.1415}}});
    from.send(std::make_unique<int>(7));
    from.send(std::optional<int>());
    EXPECT_EQ(to.recv<int>(), 42);
    EXPECT_EQ(to.recv<std::string>(), "a literal");
    EXPECT_EQ(to.recv<std::string>().size(), 100'000u);
    EXPECT_EQ(to.recv<Tree>(), (Tree{"root", {{"leaf", {}}, {"other", {}}}}));
    EXPECT_EQ((to.recv<std::map<std::string, std::vector<double>>>().at("pi").size()), 2u);
    EXPECT_EQ(*to.recv<std::unique_ptr<int>>(), 7);
    EXPECT_EQ(to.recv<std::optional<int>>(), std::nullopt);
  }
}

TEST(ConnectionTest, BytesOfEveryLengthArriveWhole) {
  const auto [one, two] = Pipe();
  for (const std::size_t length : {0u, 1u, 4u, 15'996u, 15'997u, 3'000'000u}) {
    std::vector<std::byte> sent(length);
    for (std::size_t i = 0; i < length; ++i) sent[i] = static_cast<std::byte>(i * 7);
    std::thread sender([&, to = one] { to.send_bytes(sent); });
    EXPECT_EQ(two.recv_bytes(), sent);
    sender.join();
  }
}

TEST(ConnectionTest, TheWireIsPythons) {
  const auto [one, two] = Pipe();
  one.send_bytes(bytes_of("abc"));
  EXPECT_EQ(raw_read(two, 100), std::string("\0\0\0\3abc", 7));
  one.send_bytes({});
  EXPECT_EQ(raw_read(two, 100), std::string("\0\0\0\0", 4));
  raw_write(one, std::string("\0\0\1\1", 4) + std::string(257, 'y'));
  EXPECT_EQ(text_of(two.recv_bytes()), std::string(257, 'y'));
}

TEST(ConnectionTest, LongHeadersAreUnderstood) {
  const auto [one, two] = Pipe();
  raw_write(one, std::string("\xff\xff\xff\xff\0\0\0\0\0\0\0\5hello", 17));
  EXPECT_EQ(text_of(two.recv_bytes()), "hello");
}

TEST(ConnectionTest, HostileLengthsAreRefusedBeforeAnythingIsAllocated) {
  const std::vector<std::pair<std::string, bool>> headers{
      {std::string("\x7f\xff\xff\xff", 4), true},
      {std::string("\xff\xff\xff\xff\0\0\0\0\x80\0\0\0", 12), true},
      {std::string("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", 12), true},
      {std::string("\x80\0\0\0", 4), false},
      {std::string("\xff\xff\xff\xfe", 4), false}};
  for (const auto& [header, too_long] : headers) {
    const auto [one, two] = Pipe();
    raw_write(one, header);
    if (too_long) {
      EXPECT_THROW((void)two.recv_bytes(), BufferTooShort);
    } else {
      EXPECT_THROW((void)two.recv_bytes(), ConnectionClosed);
    }
    EXPECT_FALSE(two.readable());
    EXPECT_TRUE(two.writable());
    EXPECT_THROW((void)two.recv_bytes(), ConnectionClosed);
    two.send_bytes(bytes_of("still"));
    EXPECT_EQ(text_of(one.recv_bytes()), "still");
    EXPECT_THROW(one.send_bytes(bytes_of("x")), ConnectionClosed);
  }
}

TEST(ConnectionTest, ALengthWithinTheLimitCostsOnlyWhatComes) {
  const auto [one, two] = Pipe();
  two.set_limit(std::size_t{1} << 40);
  EXPECT_EQ(one.limit(), Connection::default_limit);
  raw_write(one, std::string("\xff\xff\xff\xff\0\0\0\x20\0\0\0\0", 12) + std::string(1000, 'z'));
  one.close();
  EXPECT_THROW((void)two.recv_bytes(), ConnectionClosed);  // 128 GiB were announced
}

TEST(ConnectionTest, AMessageAboveMaxEndsReceivingAsInPython) {
  const auto [one, two] = Pipe();
  one.send_bytes(bytes_of("12345"));
  one.send_bytes(bytes_of("123456"));
  EXPECT_EQ(text_of(two.recv_bytes(5)), "12345");
  EXPECT_THROW((void)two.recv_bytes(5), BufferTooShort);
  EXPECT_FALSE(two.readable());
  EXPECT_TRUE(two.poll());
  EXPECT_THROW((void)two.recv_bytes(), ConnectionClosed);
  two.send_bytes(bytes_of("x"));
  EXPECT_EQ(text_of(one.recv_bytes()), "x");
}

TEST(ConnectionTest, AMessageAboveTheRoomIsLostAndTheConnectionGoesOn) {
  const auto [one, two] = Pipe();
  one.send_bytes(bytes_of("123456"));
  one.send_bytes(bytes_of("next"));
  std::array<std::byte, 5> room{};
  EXPECT_THROW((void)two.recv_bytes_into(room), BufferTooShort);
  EXPECT_EQ(two.recv_bytes_into(room), 4u);
  EXPECT_EQ(text_of(std::span(room).first(4)), "next");
  EXPECT_TRUE(two.readable());
}

TEST(ConnectionTest, OneWayPipesRefuseTheOther) {
  const auto [receiver, sender] = Pipe(false);
  EXPECT_TRUE(receiver.readable());
  EXPECT_FALSE(receiver.writable());
  EXPECT_FALSE(sender.readable());
  EXPECT_TRUE(sender.writable());
  EXPECT_THROW(receiver.send(1), StateError);
  EXPECT_THROW(receiver.send_bytes({}), StateError);
  EXPECT_THROW((void)sender.recv<int>(), StateError);
  EXPECT_THROW((void)sender.poll(), StateError);
  sender.send(5);
  EXPECT_EQ(receiver.recv<int>(), 5);
  receiver.close();
  EXPECT_THROW(sender.send(6), ConnectionClosed);
}

TEST(ConnectionTest, APeerThatIsGoneIsToldInBothDirections) {
  auto [one, two] = Pipe();
  one.send(1);
  one.close();
  EXPECT_TRUE(two.poll());
  EXPECT_EQ(two.recv<int>(), 1);
  EXPECT_TRUE(two.poll(0s));
  EXPECT_THROW((void)two.recv<int>(), ConnectionClosed);
  EXPECT_THROW((void)two.recv_bytes(), ConnectionClosed);
  EXPECT_THROW(two.send(2), ConnectionClosed);
  EXPECT_THROW(two.send_bytes(bytes_of(std::string(1'000'000, 'x'))), ConnectionClosed);
}

TEST(ConnectionTest, ASenderThatWaitsForRoomIsToldThatThePeerIsGone) {
  auto [one, two] = Pipe();
  std::thread sender([to = one] {
    EXPECT_THROW(to.send_bytes(std::vector<std::byte>(8'000'000)), ConnectionClosed);
  });
  EXPECT_TRUE(two.poll(20s));
  two.close();
  sender.join();
}

TEST(ConnectionTest, TheLastCopyClosesTheDescriptor) {
  auto pair = std::make_unique<std::pair<Connection, Connection>>(Pipe());
  const Connection two = pair->second;
  Connection copy = pair->first;
  pair.reset();
  copy.send(3);
  EXPECT_EQ(two.recv<int>(), 3);
  copy = two;
  EXPECT_THROW((void)two.recv<int>(), ConnectionClosed);
}

TEST(ConnectionTest, ClosingClosesAllCopiesHere) {
  const auto [one, two] = Pipe();
  const Connection copy = one;
  EXPECT_FALSE(copy.closed());
  one.close();
  one.close();
  EXPECT_TRUE(copy.closed());
  EXPECT_FALSE(copy.readable());
  EXPECT_FALSE(copy.writable());
  EXPECT_THROW(copy.send(1), StateError);
  EXPECT_THROW(copy.send_bytes({}), StateError);
  EXPECT_THROW((void)copy.recv<int>(), StateError);
  EXPECT_THROW((void)copy.recv_bytes(), StateError);
  EXPECT_THROW((void)copy.poll(), StateError);
  EXPECT_THROW((void)copy.fileno(), StateError);
}

TEST(ConnectionTest, AMovedFromConnectionSaysSo) {
  auto [one, two] = Pipe();
  const Connection other = std::move(one);
  EXPECT_THROW(one.send(1), StateError);
  EXPECT_THROW((void)one.closed(), StateError);
  EXPECT_THROW(one.close(), StateError);
  other.send(1);
  EXPECT_EQ(two.recv<int>(), 1);
}

TEST(ConnectionTest, AnEmptyOneCanBeAssignedTo) {
  std::vector<Connection> ends(2);
  EXPECT_THROW(ends[0].send(1), StateError);
  std::tie(ends[0], ends[1]) = Pipe();
  ends[0].send(1);
  EXPECT_EQ(ends[1].recv<int>(), 1);
  ends.push_back(ends[0]);
  ends.erase(ends.begin());
  ends.back().send(2);
  EXPECT_EQ(ends.front().recv<int>(), 2);
}

TEST(ConnectionTest, PollWaitsAsLongAsItSays) {
  const auto [one, two] = Pipe();
  EXPECT_FALSE(two.poll());
  EXPECT_FALSE(two.poll(-1s));
  const auto before = std::chrono::steady_clock::now();
  EXPECT_FALSE(two.poll(20ms));
  EXPECT_GE(std::chrono::steady_clock::now() - before, 20ms);
  std::thread sender([to = one] { to.send(1); });
  EXPECT_TRUE(two.poll(20s));
  sender.join();
  pollfd readable{two.fileno(), POLLIN, 0};
  EXPECT_EQ(::poll(&readable, 1, 0), 1);
}

TEST(ConnectionTest, AnotherTypeIsRefusedAndTheNextMessageIsThere) {
  const auto [one, two] = Pipe();
  one.send(1);
  one.send_bytes(bytes_of("raw"));
  one.send(2);
  EXPECT_THROW((void)two.recv<std::string>(), ProcessError);
  EXPECT_THROW((void)two.recv<int>(), ProcessError);
  EXPECT_EQ(two.recv<int>(), 2);
}

TEST(ConnectionTest, HandlesTravelWithoutTheirSender) {
  const auto [one, two] = Pipe();
  {
    const Queue<int> queue;
    queue.put(11);
    one.send(queue);
    one.send(std::vector{Lock(), Lock()});
  }
  EXPECT_EQ(two.recv<Queue<int>>().get(), 11);
  for (const Lock& lock : two.recv<std::vector<Lock>>()) EXPECT_TRUE(lock.try_acquire());
}

// Until the process sleeps.
void await_sleep(pid_t pid) {
  const std::string path = "/proc/" + std::to_string(pid) + "/stat";
  for (char state = '?'; state != 'S'; std::this_thread::yield()) {
    std::ifstream file(path);
    std::string line;
    std::getline(file, line);
    const std::size_t at = line.rfind(") ");
    state = at == std::string::npos ? '?' : line[at + 2];
  }
}

// Several wait for room at one end, each with a handle to send. Whoever is first then, what the
// message of each names is there when it comes.
TEST(ConnectionTest, HandlesOfSendersThatWaitForRoomDoNotOvertakeEachOther) {
  constexpr int senders = 4;
  for (int round = 0; round < 10; ++round) {
    const auto [one, two] = Pipe();
    const std::string frame("\0\0\0\1x", 5);
    int fillers = 0;
    while (::send(one.fileno(), frame.data(), frame.size(), MSG_DONTWAIT) > 0) ++fillers;
    std::vector<Child> children;
    for (int sender = 0; sender < senders; ++sender) {
      children.push_back(start_child([&, sender] { one.send(Value<int>(sender)); }));
    }
    for (const Child& child : children) await_sleep(child.pid());
    for (int i = 0; i < fillers; ++i) ASSERT_EQ(two.recv_bytes().size(), 1u);
    std::set<int> seen;
    for (int i = 0; i < senders; ++i) {
      try {
        seen.insert(two.recv<Value<int>>().load());
      } catch (const ProcessError& error) {
        ADD_FAILURE() << "round " << round << ": " << error.what();
      }
    }
    EXPECT_EQ(seen.size(), static_cast<std::size_t>(senders));
    for (Child& child : children) EXPECT_EQ(child.wait(), success);
  }
}

TEST(ConnectionTest, ThreadsSendWholeMessages) {
  constexpr int senders = 3, messages = 40;
  const auto [one, two] = Pipe();
  std::vector<std::thread> threads;
  for (int sender = 0; sender < senders; ++sender) {
    threads.emplace_back([&, sender, to = one] {
      for (int i = 0; i < messages; ++i) {
        to.send(std::vector<int>(i % 2 == 0 ? 10 : 100'000, sender * messages + i));
      }
    });
  }
  std::set<int> seen;
  std::mutex mutex;
  std::vector<std::thread> receivers;
  for (int receiver = 0; receiver < 2; ++receiver) {
    receivers.emplace_back([&, from = two] {
      for (int i = 0; i < senders * messages / 2; ++i) {
        const auto got = from.recv<std::vector<int>>();
        EXPECT_THAT(got, ::testing::Each(got.front()));
        std::lock_guard guard(mutex);
        seen.insert(got.front());
      }
    });
  }
  for (auto& thread : threads) thread.join();
  for (auto& thread : receivers) thread.join();
  EXPECT_EQ(seen.size(), static_cast<std::size_t>(senders * messages));
}

TEST(ConnectionTest, SignalsDoNotInterruptAReceive) {
  struct sigaction action {
  }, before{};
  action.sa_handler = [](int) {};
  sigaction(SIGUSR1, &action, &before);
  const auto [one, two] = Pipe();
  std::atomic<bool> got{false};
  std::thread receiver([&, from = two] {
    EXPECT_EQ(from.recv<std::vector<int>>().size(), 50'000u);
    got = true;
  });
  for (int i = 0; i < 200; ++i) pthread_kill(receiver.native_handle(), SIGUSR1);
  one.send(std::vector<int>(50'000));
  receiver.join();
  EXPECT_TRUE(got);
  sigaction(SIGUSR1, &before, nullptr);
}

TEST(ConnectionTest, AForkedCopyHasTheConnection) {
  auto [one, two] = Pipe();
  auto child = start_child([&one = one, &two = two] {
    one.close();
    two.send(two.recv<int>() + 1);
  });
  two.close();
  one.send(1);
  EXPECT_EQ(one.recv<int>(), 2);
  EXPECT_THROW((void)one.recv<int>(), ConnectionClosed);
  EXPECT_EQ(child.wait(), success);
}

TEST(ConnectionTest, NothingIsReadOnAfterASenderWasKilledInsideAMessage) {
  auto [one, two] = Pipe();
  auto child = start_child([&one = one, &two = two] {
    two.close();
    one.send_bytes(std::vector<std::byte>(4'000'000));
  });
  ASSERT_TRUE(two.poll(20s));
  child.kill();
  EXPECT_EQ(child.wait().signal, SIGKILL);
  // This process still has the end, and is told when it tries to send there.
  EXPECT_THROW(one.send_bytes(bytes_of("next")), ConnectionClosed);
  EXPECT_FALSE(one.writable());
  EXPECT_TRUE(one.readable());
  EXPECT_THROW((void)two.recv_bytes(), ConnectionClosed);
  two.send_bytes(bytes_of("the other way"));
  EXPECT_EQ(text_of(one.recv_bytes()), "the other way");
}

TEST(ConnectionTest, ATruncatedMessageOfTheLastSenderIsTheEnd) {
  auto [one, two] = Pipe();
  auto child = start_child([&one = one, &two = two] {
    two.close();
    one.send_bytes(std::vector<std::byte>(4'000'000));
  });
  one.close();
  ASSERT_TRUE(two.poll(20s));
  child.kill();
  EXPECT_EQ(child.wait().signal, SIGKILL);
  EXPECT_THROW((void)two.recv_bytes(), ConnectionClosed);
}

TEST(ConnectionTest, NothingIsReadOnAfterAReceiverWasKilledInsideAMessage) {
  auto [one, two] = Pipe();
  raw_write(one, std::string("\0\0\0\x9", 4) + "1234");
  test_support::Pipe inside;
  auto child = start_child([&two = two] { (void)two.recv_bytes(); });
  while (two.poll()) std::this_thread::yield();  // it has taken what is there
  child.kill();
  EXPECT_EQ(child.wait().signal, SIGKILL);
  raw_write(one, "5678" + std::string("\0\0\0\1x", 5));
  EXPECT_THROW((void)two.recv_bytes(), ConnectionClosed);
  EXPECT_FALSE(two.readable());
}

TEST(ConnectionTest, AReceiverKilledWhileNothingIsThereLosesNothing) {
  auto [one, two] = Pipe();
  test_support::Pipe ready;
  auto child = start_child([&ready, &two = two] {
    ready.send('x');
    (void)two.recv_bytes();
  });
  ASSERT_EQ(ready.receive<char>(), 'x');
  child.kill();
  EXPECT_EQ(child.wait().signal, SIGKILL);
  one.send_bytes(bytes_of("whole"));
  EXPECT_EQ(text_of(two.recv_bytes()), "whole");
}

}  // namespace
}  // namespace procession

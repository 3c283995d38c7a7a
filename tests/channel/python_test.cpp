// Listeners and clients against the multiprocessing.connection of the python3 on this machine.
#include <gmock/gmock.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include <algorithm>
#include <future>
#include <optional>
#include <ostream>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "channel/listener_folder.hpp"
#include "procession/errors.hpp"
#include "procession/listener.hpp"
#include "support/fixture.hpp"

namespace procession {
namespace {

using test_support::Child;
using test_support::ChildStatus;

// What every program begins with. `newer()` gives an older Python the challenge of 3.12 and later.
constexpr const char* prelude = R"(
import hmac, os, sys, threading
from multiprocessing import connection, AuthenticationError
address, key = sys.argv[1], sys.argv[2].encode() or None
if address.startswith('tcp:'):
    host, port = address[4:].rsplit(':', 1)
    address = (host, int(port))
else:
    address = address[5:]

def newer():
    def deliver(conn, authkey, digest_name='sha256'):
        text = b'{' + digest_name.encode() + b'}' + os.urandom(40)
        conn.send_bytes(b'#CHALLENGE#' + text)
        answer = conn.recv_bytes(256)
        name, _, mac = answer[1:].partition(b'}')
        good = answer[:1] == b'{' and name == digest_name.encode() and hmac.compare_digest(
            mac, hmac.new(authkey, text, digest_name).digest())
        conn.send_bytes(b'#WELCOME#' if good else b'#FAILURE#')
        if not good:
            raise AuthenticationError('wrong')
    def answer(conn, authkey):
        text = conn.recv_bytes(256)[len(b'#CHALLENGE#'):]
        name = text[1:text.index(b'}')]
        conn.send_bytes(b'{' + name + b'}' + hmac.new(authkey, text, name.decode()).digest())
        if conn.recv_bytes(256) != b'#WELCOME#':
            raise AuthenticationError('rejected')
    connection.deliver_challenge, connection.answer_challenge = deliver, answer

def echo(conn):
    while True:
        data = conn.recv_bytes()
        conn.send_bytes(data[::-1])
        if not data:
            break

def listen():
    listener = connection.Listener(address, authkey=key)
    bound = listener.address
    print(bound if isinstance(bound, str) else bound[1], flush=True)
    return listener
)";

bool have_python() { return ::system("python3 -c 'import multiprocessing' >/dev/null 2>&1") == 0; }

// A running python3, whose standard output is read here.
class Python {
 public:
  Python(const std::string& program, const std::string& address, const std::string& key)
      : child_(test_support::start_child([&] {
          const std::string whole = prelude + program;
          ::dup2(out_.write_end(), STDOUT_FILENO);
          ::execlp("python3", "python3", "-c", whole.c_str(), address.c_str(), key.c_str(),
                   static_cast<char*>(nullptr));
        })) {
    out_.close_write();
  }
  std::string line() {
    std::string text;
    for (auto letter = out_.receive<char>(); letter && *letter != '\n';
         letter = out_.receive<char>()) {
      text += *letter;
    }
    return text;
  }
  ChildStatus wait() { return child_.wait(); }
  void kill() const { child_.kill(); }

 private:
  test_support::Pipe out_;
  Child child_;
};

constexpr ChildStatus success{0, 0};

std::vector<std::byte> bytes_of(const std::string& text) {
  const auto bytes = std::as_bytes(std::span(text));
  return {bytes.begin(), bytes.end()};
}

void expect_echoes(const Connection& connection) {
  for (const std::size_t length : {1u, 2u, 100u, 16'383u, 16'385u, 500'000u}) {
    std::vector<std::byte> data(length);
    for (std::size_t i = 0; i < length; ++i) data[i] = static_cast<std::byte>(i * 31);
    connection.send_bytes(data);
    std::reverse(data.begin(), data.end());
    EXPECT_EQ(connection.recv_bytes(), data);
  }
  connection.send_bytes({});
  EXPECT_TRUE(connection.recv_bytes().empty());
  EXPECT_THROW((void)connection.recv_bytes(), ConnectionClosed);
}

struct Way {
  const char* name;
  bool local;
  const char* key;      // "": none
  const char* prepare;  // in Python

  friend void PrintTo(const Way& way, std::ostream* out) { *out << way.name; }
};

class PythonTest : public ::testing::TestWithParam<Way> {
 protected:
  void SetUp() override {
    if (!have_python()) GTEST_SKIP() << "there is no python3 here";
  }
  std::string here() const {
    return GetParam().local ? "unix:" + folder_.file("socket") : "tcp:127.0.0.1:0";
  }
  // Where a Python that listens at here() is.
  std::string there(Python& python) const {
    const std::string told = python.line();
    return GetParam().local ? "unix:" + told : "tcp:127.0.0.1:" + told;
  }
  static std::optional<std::string> key() {
    const std::string text = GetParam().key;
    return text.empty() ? std::nullopt : std::optional(text);
  }
  static std::string prepared(const std::string& program) { return GetParam().prepare + program; }
  ListenerFolder folder_;
};
INSTANTIATE_TEST_SUITE_P(Ways, PythonTest,
                         ::testing::Values(Way{"Unix", true, "a key", ""},
                                           Way{"Tcp", false, "a key", ""},
                                           Way{"UnixWithoutKey", true, "", ""},
                                           Way{"TcpWithoutKey", false, "", ""},
                                           Way{"UnixSha256", true, "a key", "newer()"},
                                           Way{"TcpSha256", false, "a key", "newer()"}),
                         [](const auto& test) { return test.param.name; });

TEST_P(PythonTest, ItsClientMeetsOurListener) {
  Listener listener(here(), key());
  Python python(prepared("\necho(connection.Client(address, authkey=key))\n"), listener.address(),
                GetParam().key);
  expect_echoes(listener.accept());
  EXPECT_EQ(python.wait(), success);
}

TEST_P(PythonTest, OurClientMeetsItsListener) {
  Python python(prepared("\necho(listen().accept())\n"), here(), GetParam().key);
  expect_echoes(Client(there(python), key()));
  EXPECT_EQ(python.wait(), success);
}

TEST_P(PythonTest, ItsClientWithAnotherKeyIsRefused) {
  if (!key()) return;
  Listener listener(here(), "another");
  Python python(prepared(R"(
try:
    connection.Client(address, authkey=key)
except AuthenticationError:
    sys.exit(7)
)"),
                listener.address(), GetParam().key);
  EXPECT_THROW((void)listener.accept(), AuthenticationError);
  EXPECT_EQ(python.wait().code, 7);
}

TEST_P(PythonTest, OurClientWithAnotherKeyIsRefused) {
  if (!key()) return;
  Python python(prepared(R"(
listener = listen()
try:
    listener.accept()
except AuthenticationError:
    sys.exit(7)
)"),
                here(), GetParam().key);
  EXPECT_THROW((void)Client(there(python), "another"), AuthenticationError);
  EXPECT_EQ(python.wait().code, 7);
}

TEST_P(PythonTest, ThatDiesInTheMiddleOfAMessageIsTheEnd) {
  Listener listener(here(), key());
  Python python(prepared(R"(
conn = connection.Client(address, authkey=key)
conn.send_bytes(b'whole')
os.write(conn.fileno(), b'\0\0\0\x09half')
os.kill(os.getpid(), 9)
)"),
                listener.address(), GetParam().key);
  const Connection connection = listener.accept();
  EXPECT_EQ(connection.recv_bytes(), bytes_of("whole"));
  EXPECT_THROW((void)connection.recv_bytes(), ConnectionClosed);
  EXPECT_EQ(python.wait().signal, SIGKILL);
}

TEST_P(PythonTest, LongHeadersGoBothWays) {
  Listener listener(here(), key());
  Python python(prepared(R"(
conn = connection.Client(address, authkey=key)
os.write(conn.fileno(), b'\xff\xff\xff\xff' + (5).to_bytes(8, 'big') + b'hello')
sys.exit(0 if conn.recv_bytes() == b'world' else 1)
)"),
                listener.address(), GetParam().key);
  const Connection connection = listener.accept();
  EXPECT_EQ(connection.recv_bytes(), bytes_of("hello"));
  // Python reads any header of eight bytes, too.
  const std::string raw("\xff\xff\xff\xff\0\0\0\0\0\0\0\5world", 17);
  EXPECT_EQ(::write(connection.fileno(), raw.data(), raw.size()), 17);
  EXPECT_EQ(python.wait(), success);
}

}  // namespace
}  // namespace procession

#include "pool_tasks.hpp"

#include <stdexcept>

namespace procession::faults {
namespace {

Wide wide_of(int item) {
  Wide wide;
  wide.words.fill(0x0101010101010101u * static_cast<std::uint64_t>(item + 1));
  return wide;
}

std::string text_of(int item) { return std::string(100, static_cast<char>('a' + item)); }

void begin(int item) { runs()->begun[item].fetch_add(1); }

}  // namespace

SharedBox<Runs>& runs() {
  static SharedBox<Runs> box;
  return box;
}

Wide run_flat(int item) {
  begin(item);
  return wide_of(item);
}

std::string run_boxed(int item) {
  begin(item);
  return text_of(item);
}

std::string run_throwing(int item) {
  begin(item);
  throw std::out_of_range("no item " + std::to_string(item));
}

bool is_whole(const Wide& result, int item) { return result.words == wide_of(item).words; }
bool is_whole(const std::string& result, int item) { return result == text_of(item); }

}  // namespace procession::faults

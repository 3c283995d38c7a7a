// What a stranger can send as a value: Connection::recv decodes it.
//
// The first byte of an input says as what the rest is decoded. Nothing may crash, read beyond the
// bytes, allocate what was only announced, or get as far as a handle or an address of code.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <variant>
#include <vector>

#include "procession/connection.hpp"
#include "procession/errors.hpp"
#include "procession/queue.hpp"

namespace procession::detail {

// The rest of the library. Decoding what a stranger sends must need none of it.
void* allocate(std::size_t, BlockKind) { std::abort(); }
void deallocate(void*) noexcept { std::abort(); }
std::size_t block_size(const void*) noexcept { std::abort(); }
void carry_handle(void*, Object*) { std::abort(); }
Object* object_at(const void*) noexcept { std::abort(); }
void retain(Object*) { std::abort(); }
void release(Object*) noexcept { std::abort(); }
void* read_code(Reader&) { std::abort(); }
std::string readable_type(const std::type_info& type) { return type.name(); }

}  // namespace procession::detail

namespace {

using namespace procession;
using namespace procession::detail;

struct Point {
  std::int32_t x, y;
};
struct Record {
  std::string name;
  std::vector<Point> points;
  std::map<std::string, std::vector<int>> tags;
  std::optional<std::variant<int, std::string>> choice;
};
class WithSerialize {
 public:
  template <class Archive>
  void serialize(Archive& archive) {
    archive(number_, texts_);
  }

 private:
  int number_ = 0;
  std::vector<std::string> texts_;
};
struct Tree {
  int value;
  std::unique_ptr<std::string> leaf;
  std::shared_ptr<std::string> shared, again;
};
// Whoever nests these decides how deep the decoding goes.
struct Deep {
  std::vector<Deep> several;
  std::unique_ptr<Deep> one;
  std::shared_ptr<Deep> shared;
  std::map<char, Deep> named;
};

template <class T>
void decode_as(const std::byte* data, std::size_t size) {
  Reader reader(data, size);
  reader.distrust();
  try {
    (void)decode<T>(reader);
  } catch (const ProcessError&) {
  }
}

// No bytes whatever are one of these.
template <class T>
void decode_never(const std::byte* data, std::size_t size) {
  Reader reader(data, size);
  reader.distrust();
  try {
    (void)decode<T>(reader);
    std::abort();
  } catch (const ProcessError&) {
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0 || size > 64 << 10) return 0;
  const std::unique_ptr<std::byte[]> copy(new std::byte[size - 1]);  // aligned as a message is
  if (size > 1) std::memcpy(copy.get(), data + 1, size - 1);
  const std::byte* bytes = copy.get();
  const std::size_t count = size - 1;
  if (data[0] == 255) {
    decode_as<Deep>(bytes, count);
    return 0;
  }
  switch (data[0] % 10) {
    case 0:
      decode_as<std::vector<std::vector<std::string>>>(bytes, count);
      break;
    case 1:
      decode_as<std::map<std::string, std::set<long>>>(bytes, count);
      break;
    case 2:
      decode_as<std::tuple<int, std::optional<double>, std::vector<bool>>>(bytes, count);
      break;
    case 3:
      decode_as<std::variant<int, std::string, std::vector<Point>>>(bytes, count);
      break;
    case 4:
      decode_as<Record>(bytes, count);
      break;
    case 5:
      decode_as<WithSerialize>(bytes, count);
      break;
    case 6:
      decode_as<Tree>(bytes, count);
      break;
    case 7:
      decode_never<Queue<int>>(bytes, count);
      break;
    case 8:
      decode_never<int (*)(int)>(bytes, count);
      break;
    default:
      decode_as<std::vector<Queue<int>>>(bytes, count);
  }
  return 0;
}

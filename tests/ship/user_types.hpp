// Types as users write them: plain aggregates, and every way of being serialized that cereal knows.
#pragma once

#include <cereal/cereal.hpp>
#include <cereal/types/base_class.hpp>
#include <cereal/types/polymorphic.hpp>

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace users {

struct Point {
  double x, y;
  bool operator==(const Point&) const = default;
};

struct Record {
  char code[4];
  std::string name;
  int id;
  std::vector<Point> points;
  std::optional<std::unique_ptr<int>> owned;
  std::string aliases[2][2];
  int grid[2][3];
};

struct Moved {
  std::unique_ptr<int> only;
  const std::string name;
};

struct Tree {
  int value;
  std::vector<Tree> children;
  std::map<std::string, Tree> named;
  bool operator==(const Tree&) const = default;
};

struct Defaults {
  std::string text = "default";
  int number = 7;
  std::vector<std::string> list = {"a", "b"};
};

struct Flags {
  unsigned read : 1, write : 1;
  unsigned long size : 60;
  bool operator==(const Flags&) const = default;
};

struct Base {
  int below = 0;
};
struct Extended : Base {
  int above = 0;
};

// Member serialize, private, with a private default constructor.
class Account {
 public:
  explicit Account(std::string owner) : owner_(std::move(owner)) {}
  const std::string& owner() const { return owner_; }
  std::vector<int> bookings;

 private:
  friend class cereal::access;
  Account() = default;
  template <class Archive>
  void serialize(Archive& archive) {
    archive(CEREAL_NVP(owner_), cereal::make_nvp("bookings", bookings));
  }
  std::string owner_;
};

// Member save and load.
class Cached {
 public:
  Cached() = default;
  explicit Cached(std::string text) : text_(std::move(text)), length_(text_.size()) {}
  std::size_t length() const { return length_; }
  template <class Archive>
  void save(Archive& archive) const {
    static_assert(Archive::is_saving::value && !Archive::is_loading::value);
    archive << text_;
  }
  template <class Archive>
  void load(Archive& archive) {
    archive >> text_;
    length_ = text_.size();
  }

 private:
  std::string text_;
  std::size_t length_ = 0;
};

// Free functions beside the type.
struct Free {
  explicit Free(int start = 0) : value(start) {}
  int value;
  mutable std::mutex mutex;  // not movable
};
template <class Archive>
void serialize(Archive& archive, Free& free) {
  archive& free.value;
}

class FreeSplit {
 public:
  std::string text;
  FreeSplit() = default;
  explicit FreeSplit(std::string start) : text(std::move(start)) {}
};
template <class Archive>
void save(Archive& archive, const FreeSplit& value) {
  archive(value.text);
}
template <class Archive>
void load(Archive& archive, FreeSplit& value) {
  archive(value.text);
}

struct Versioned {
  int value = 0;
  std::uint32_t seen = 0;
  template <class Archive>
  void serialize(Archive& archive, const std::uint32_t version) {
    archive(value);
    seen = version;
  }
};

class Minimal {
 public:
  Minimal() = default;
  explicit Minimal(int number) : text_(std::to_string(number)) {}
  const std::string& text() const { return text_; }
  template <class Archive>
  int save_minimal(const Archive&) const {
    return std::stoi(text_);
  }
  template <class Archive>
  void load_minimal(const Archive&, const int& number) {
    text_ = std::to_string(number);
  }

 private:
  std::string text_;
};

struct Outside {
  int value = 0;
};

struct Shape {
  virtual ~Shape() = default;
  virtual double area() const = 0;
  std::string label;
  template <class Archive>
  void serialize(Archive& archive) {
    archive(label);
  }
};
struct Square : Shape {
  double side = 0;
  double area() const override { return side * side; }
  template <class Archive>
  void serialize(Archive& archive) {
    archive(cereal::base_class<Shape>(this), side);
  }
};
struct Tagged : virtual Base {
  int tag = 0;
  template <class Archive>
  void serialize(Archive& archive) {
    archive(cereal::virtual_base_class<Base>(this), tag);
  }
};

// Serialized by hand with cereal's wrappers.
class Buffer {
 public:
  std::vector<float> data;
  template <class Archive>
  void save(Archive& archive) const {
    archive(cereal::make_size_tag(static_cast<cereal::size_type>(data.size())));
    archive(cereal::binary_data(data.data(), data.size() * sizeof(float)));
  }
  template <class Archive>
  void load(Archive& archive) {
    cereal::size_type size = 0;
    archive(cereal::make_size_tag(size));
    data.resize(size);
    archive(cereal::binary_data(data.data(), size * sizeof(float)));
  }
};

struct Throwing {
  int value = 0;
  template <class Archive>
  void serialize(Archive&) {
    throw std::domain_error("no");
  }
};

struct Silent {
  template <class Archive>
  void serialize(Archive&) {}
};

struct Inherits : FreeSplit {
  int more = 0;
  template <class Archive>
  void serialize(Archive& archive) {
    archive(text, more);
  }
};

}  // namespace users

namespace cereal {
template <class Archive>
void serialize(Archive& archive, users::Outside& outside) {
  archive(outside.value);
}
template <class Archive>
struct specialize<Archive, users::Inherits, specialization::member_serialize> : std::true_type {};
}  // namespace cereal
CEREAL_CLASS_VERSION(users::Versioned, 3)

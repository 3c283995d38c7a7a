// The archives that a user's serialize, save and load functions are called with, and which of
// cereal's styles a type uses. Nothing of cereal but its access class is included: the types of
// the standard library go through our own codec, so that users include no cereal header for them.
//
// Example, in the user's code:
//   template <class Archive> void serialize(Archive& archive) { archive(name_, scores_); }
#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <utility>

#include <cereal/access.hpp>

#include "procession/detail/stream.hpp"

namespace cereal {
// A base class in this namespace lets argument-dependent lookup find the free functions that
// users put here, as cereal's documentation allows.
struct ProcessionArchive {};

template <class Base>
struct base_class;
template <class Base>
struct virtual_base_class;
}  // namespace cereal

namespace procession::detail {

// One message or a part of it; lives as long as the call of the user's function.
class OutputArchive : public cereal::ProcessionArchive {
 public:
  using is_saving = std::true_type;
  using is_loading = std::false_type;

  explicit OutputArchive(Writer& writer) noexcept : writer_(writer) {}
  template <class... T>
  OutputArchive& operator()(const T&... values) {
    (process(values), ...);
    return *this;
  }
  template <class T>
  OutputArchive& operator&(const T& value) {
    process(value);
    return *this;
  }
  template <class T>
  OutputArchive& operator<<(const T& value) {
    process(value);
    return *this;
  }

 private:
  template <class T>
  void process(const T& value);
  template <class T>
  void process(const cereal::NameValuePair<T>& pair) {
    process(pair.value);
  }
  template <class T>
  void process(const cereal::DeferredData<T>& deferred) {
    process(deferred.value);
  }
  template <class T>
  void process(const cereal::SizeTag<T>& tag) {
    process(static_cast<std::uint64_t>(tag.size));
  }
  template <class T>
  void process(const cereal::BinaryData<T>& data) {
    writer_.write(data.data, static_cast<std::size_t>(data.size));
  }
  template <class Base>
  void process(const cereal::base_class<Base>& base);
  template <class Base>
  void process(const cereal::virtual_base_class<Base>& base);

  Writer& writer_;
};

class InputArchive : public cereal::ProcessionArchive {
 public:
  using is_saving = std::false_type;
  using is_loading = std::true_type;

  explicit InputArchive(Reader& reader) noexcept : reader_(reader) {}
  template <class... T>
  InputArchive& operator()(T&&... values) {
    (process(values), ...);
    return *this;
  }
  template <class T>
  InputArchive& operator&(T&& value) {
    process(value);
    return *this;
  }
  template <class T>
  InputArchive& operator>>(T&& value) {
    process(value);
    return *this;
  }

 private:
  template <class T>
  void process(T& value);
  template <class T>
  void process(cereal::NameValuePair<T>& pair) {
    process(pair.value);
  }
  template <class T>
  void process(cereal::DeferredData<T>& deferred) {
    process(deferred.value);
  }
  template <class T>
  void process(cereal::SizeTag<T>& tag) {
    std::uint64_t size = 0;
    process(size);
    tag.size = static_cast<std::remove_reference_t<decltype(tag.size)>>(size);
  }
  template <class T>
  void process(cereal::BinaryData<T>& data) {
    const auto size = static_cast<std::size_t>(data.size);
    const std::byte* bytes = reader_.take(size);
    if (size != 0) std::memcpy(data.data, bytes, size);
  }
  template <class Base>
  void process(cereal::base_class<Base>& base);
  template <class Base>
  void process(cereal::virtual_base_class<Base>& base);

  Reader& reader_;
};

// How a type is serialized. `ways` counts the styles that its functions allow; more than one is
// an error unless cereal::specialize chooses.
struct SerializeStyle {
  int ways = 0;
  cereal::specialization way{};
  bool versioned = false;
};

// The calls, with or without a version. In a namespace without a function of these names, so that
// only argument-dependent lookup finds one.
namespace styles {

using Out = OutputArchive&;
using In = InputArchive&;
using ConstOut = const OutputArchive&;
using ConstIn = const InputArchive&;

template <class T, class... Version>
concept MemberSerialize = requires(Out out, In in, T& value, Version... version) {
  cereal::access::member_serialize(out, value, version...);
  cereal::access::member_serialize(in, value, version...);
};
template <class T, class... Version>
concept MemberSplit = requires(Out out, In in, T& value, const T& saved, Version... version) {
  cereal::access::member_save(out, saved, version...);
  cereal::access::member_load(in, value, version...);
};
template <class T, class... Version>
concept MemberMinimal = requires(ConstOut out, ConstIn in, T& value, const T& saved,
                                 Version... version) {
  cereal::access::member_load_minimal(
      in, value, cereal::access::member_save_minimal(out, saved, version...), version...);
};
template <class T, class... Version>
concept FreeSerialize = requires(Out out, In in, T& value, Version... version) {
  serialize(out, value, version...);
  serialize(in, value, version...);
};
template <class T, class... Version>
concept FreeSplit = requires(Out out, In in, T& value, const T& saved, Version... version) {
  save(out, saved, version...);
  load(in, value, version...);
};
template <class T, class... Version>
concept FreeMinimal = requires(ConstOut out, ConstIn in, T& value, const T& saved,
                               Version... version) {
  load_minimal(in, value, save_minimal(out, saved, version...), version...);
};

template <class T, cereal::specialization Way>
inline constexpr bool chosen =
    !std::is_base_of_v<std::false_type, cereal::specialize<OutputArchive, T, Way>>;

template <class T, cereal::specialization Way>
consteval void consider(SerializeStyle& style, bool plain, bool versioned) {
  if (style.ways < 0 || (!plain && !versioned)) return;
  style.ways = chosen<T, Way> ? -1 : style.ways + int{plain} + int{versioned};
  style.way = Way;
  style.versioned = !plain;
}

template <class T>
consteval SerializeStyle find() {
  using V = std::uint32_t;
  using enum cereal::specialization;
  SerializeStyle style;
  consider<T, member_serialize>(style, MemberSerialize<T>, MemberSerialize<T, V>);
  consider<T, member_load_save>(style, MemberSplit<T>, MemberSplit<T, V>);
  consider<T, member_load_save_minimal>(style, MemberMinimal<T>, MemberMinimal<T, V>);
  consider<T, non_member_serialize>(style, FreeSerialize<T>, FreeSerialize<T, V>);
  consider<T, non_member_load_save>(style, FreeSplit<T>, FreeSplit<T, V>);
  consider<T, non_member_load_save_minimal>(style, FreeMinimal<T>, FreeMinimal<T, V>);
  if (style.ways < 0) style.ways = 1;
  return style;
}

}  // namespace styles

// REQUIRES: T is a complete class type.
template <class T>
inline constexpr SerializeStyle serialize_style = styles::find<T>();

}  // namespace procession::detail

// Functions, lambdas and function objects on their way to another process.
//
// Pointers travel as (module, offset). A captureless lambda needs no bytes: the other side makes
// its own. What is a value (an aggregate, a type with serialize(), mp::bind_front) travels as one.
// Everything else travels as its bytes, after every word has been compared with what is mapped
// here, so that a capture by reference or of a std::string throws NotShippable.
//
// A closure is copied out of the message by its copy constructor, so that the handles it captured
// count their new copies.
#pragma once

#include <cstddef>
#include <cstring>
#include <new>
#include <span>
#include <tuple>
#include <type_traits>
#include <utility>

#include "procession/bind_front.hpp"
#include "procession/detail/codec.hpp"
#include "procession/detail/codec_bytes.hpp"

namespace procession::detail {

enum class CallableWay { Nothing, Parts, Value, Bytes };

template <class F>
consteval CallableWay find_callable_way() {
  if constexpr (std::is_empty_v<F> && std::is_default_constructible_v<F>) {
    return CallableWay::Nothing;
  } else if constexpr (is_bind_front<F>) {
    return CallableWay::Parts;
  } else if constexpr (is_closure<F>) {
    return CallableWay::Bytes;
  } else {
    return shippable_value<F> ? CallableWay::Value : CallableWay::Bytes;
  }
}

// A copy in memory that was full of `filler`, for the padding that its constructor does not write.
template <class F>
class CopyOver {
 public:
  CopyOver(const F& closure, int filler)
      : copy_(*new (std::memset(bytes_, filler, sizeof bytes_)) F(closure)) {}
  ~CopyOver() { copy_.~F(); }
  CopyOver(const CopyOver&) = delete;
  CopyOver& operator=(const CopyOver&) = delete;
  [[nodiscard]] std::byte operator[](std::size_t i) const noexcept { return bytes_[i]; }

 private:
  alignas(F) std::byte bytes_[sizeof(F)];
  F& copy_;
};

// The closure's bytes, with zeros for as much of its padding as can be told: where the compiler
// does not tell, what two copies have left as it was.
template <class F>
void copy_closure(std::byte* room, const F& closure) {
  if constexpr (padding_can_be_cleared<F>) {
    F copy(closure);
#if !defined(__clang__)
    __builtin_clear_padding(&copy);  // as in clear_padding(), which must not take an F*
#endif
    std::memcpy(room, static_cast<const void*>(&copy), sizeof(F));
  } else {
    const CopyOver<F> zeros(closure, 0), ones(closure, 0xff);
    for (std::size_t i = 0; i < sizeof(F); ++i) {
      room[i] = zeros[i] == ones[i] ? zeros[i] : std::byte{0};
    }
  }
}

template <class F>
void encode_closure(Writer& writer, const F& closure) {
  writer.align(wire_alignment<F>);
  std::byte* room = writer.reserve(sizeof(F));
  copy_closure(room, closure);
  if constexpr (kind_by_alignment<F> != BytesKind::Plain) {
    scan_callable({room, sizeof(F)}, writer, type_name<F>());
  }
}

// REQUIRES: shippable_callable<F>. Throws NotShippable.
template <class F>
void encode_callable(Writer& writer, const F& callable) {
  assert_shippable_callable<F>();
  constexpr CallableWay way = find_callable_way<F>();
  if constexpr (!shippable_callable<F>) {
    return;  // the assertion has said why
  } else if constexpr (way == CallableWay::Parts) {
    encode_callable(writer, callable.function());
    encode_value(writer, callable.bound());
  } else if constexpr (way == CallableWay::Value) {
    encode_value(writer, callable);
  } else if constexpr (way == CallableWay::Bytes) {
    encode_closure(writer, callable);
  }
}

// Throws NotShippable when this process has not loaded the module of a function pointer.
template <class F>
F decode_callable(Reader& reader) {
  reader.require_trust("a callable");
  constexpr CallableWay way = find_callable_way<F>();
  if constexpr (way == CallableWay::Nothing) {
    return F();
  } else if constexpr (way == CallableWay::Parts) {
    auto function = decode_callable<typename F::Function>(reader);
    return F(std::move(function), decode_value<typename F::BoundTuple>(reader));
  } else if constexpr (way == CallableWay::Value) {
    return decode_value<F>(reader);
  } else {
    return copy_from_bytes<F>(reader);
  }
}

}  // namespace procession::detail

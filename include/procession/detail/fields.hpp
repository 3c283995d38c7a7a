// The fields of a plain aggregate: how many there are, and references to them.
//
// A field is counted by initialising the aggregate with probes that convert to anything. Brace
// elision makes a C array count once for each element, so that arrays are found by giving them
// braces of their own. Works for up to `most_fields` fields, and `most_flat_fields` when each
// element of an array counts.
#pragma once

#include <cstddef>
#include <tuple>
#include <type_traits>
#include <utility>

namespace procession::detail {

inline constexpr std::size_t most_fields = 32;
inline constexpr std::size_t most_flat_fields = 256;
inline constexpr std::size_t unknown_fields = static_cast<std::size_t>(-1);

// Converts to everything but Whole, so that Whole{probe} is not a copy.
template <class Whole>
struct AnyField {
  template <class U>
  requires(!std::is_same_v<std::remove_cvref_t<U>, Whole>) operator U() const noexcept {
    __builtin_unreachable();  // named in unevaluated operands only
  }
};

// Converts to the base classes of Whole only.
template <class Whole>
struct AnyBase {
  template <class U>
  requires(std::is_class_v<U> && !std::is_same_v<U, Whole> && std::is_base_of_v<U, Whole>)
  operator U() const noexcept {
    __builtin_unreachable();  // named in unevaluated operands only
  }
};

template <class Probe, std::size_t>
using Repeated = Probe;

template <class T, class Probe, std::size_t... I>
consteval bool braces_fit(std::index_sequence<I...>) {
  return requires { T{Repeated<Probe, I>{}...}; };
}

// T{p, p, ... {p, p, ...}, p, ...}: `before` probes, `inside` of them in braces, `after` more.
template <class T, std::size_t... Before, std::size_t... Inside, std::size_t... After>
consteval bool nested_braces_fit(std::index_sequence<Before...>, std::index_sequence<Inside...>,
                                 std::index_sequence<After...>) {
  using Probe = AnyField<T>;
  return requires {
    T{Repeated<Probe, Before>{}..., {Repeated<Probe, Inside>{}...}, Repeated<Probe, After>{}...};
  };
}

template <class T, std::size_t N>
consteval bool takes() {
  return braces_fit<T, AnyField<T>>(std::make_index_sequence<N>());
}

template <class T, std::size_t Before, std::size_t Inside, std::size_t After>
consteval bool takes_nested() {
  return nested_braces_fit<T>(std::make_index_sequence<Before>(),
                              std::make_index_sequence<Inside>(),
                              std::make_index_sequence<After>());
}

// The largest N in [Low, High] that fits, when Low does and everything below that N does.
template <class T, std::size_t Low, std::size_t High>
consteval std::size_t bisect_fields() {
  if constexpr (Low == High) {
    return Low;
  } else if constexpr (constexpr std::size_t middle = (Low + High + 1) / 2; takes<T, middle>()) {
    return bisect_fields<T, middle, High>();
  } else {
    return bisect_fields<T, Low, middle - 1>();
  }
}

// The largest N up to High that fits: where T{} does not, fewer probes than fields may not either.
template <class T, std::size_t High>
consteval std::size_t descend_fields() {
  if constexpr (High == 0) {
    return unknown_fields;
  } else if constexpr (takes<T, High>()) {
    return High;
  } else {
    return descend_fields<T, High - 1>();
  }
}

// Fields of the aggregate T, each element of a C array counted; unknown_fields if there are more
// than most_flat_fields, or if no number of probes fits (reference members).
template <class T>
consteval std::size_t count_flat_fields() {
  if constexpr (std::is_empty_v<T>) {
    return 0;
  } else if constexpr (takes<T, most_flat_fields + 1>()) {
    return unknown_fields;
  } else if constexpr (takes<T, 0>()) {
    return bisect_fields<T, 0, most_flat_fields>();
  } else {
    return descend_fields<T, most_fields>();
  }
}

// Initialisers that the field after `Before` flat ones takes: 1, or the elements of an array. All
// other fields are initialised too, for they may have to be. A field with braces of its own before
// all the rest is no array: an array would have taken some of the rest.
template <class T, std::size_t Before, std::size_t Flat, std::size_t Guess>
consteval std::size_t guess_field_width() {
  if constexpr (Guess <= 1) {
    return 1;
  } else if constexpr (takes_nested<T, Before, Guess, Flat - Before - Guess>()) {
    return takes_nested<T, Before, Guess, Flat - Before - 1>() ? 1 : Guess;
  } else {
    return guess_field_width<T, Before, Flat, Guess - 1>();
  }
}

template <class T, std::size_t Before, std::size_t Flat>
consteval std::size_t field_width() {
  if constexpr (Flat - Before <= 1 || takes_nested<T, Before, 1, Flat - Before - 1>() ||
                takes_nested<T, Before, 2, Flat - Before - 1>()) {
    return 1;
  } else {
    return guess_field_width<T, Before, Flat, Flat - Before>();
  }
}

template <class T, std::size_t Before, std::size_t Flat>
consteval std::size_t count_fields_after() {
  if constexpr (Before >= Flat) {
    return 0;
  } else {
    return 1 + count_fields_after<T, Before + field_width<T, Before, Flat>(), Flat>();
  }
}

template <class T>
inline constexpr bool has_bases = braces_fit<T, AnyBase<T>>(std::make_index_sequence<1>());

// A field that is a reference needs an initialiser and forbids assignment; probes alone take it
// for the type that it refers to. True for some harmless aggregates that combine both otherwise.
template <class T>
inline constexpr bool may_hold_reference = !std::is_move_assignable_v<T> && !takes<T, 0>();

// Fields of T as structured bindings see them; unknown_fields when they can not be taken apart.
template <class T>
consteval std::size_t count_fields() {
  if constexpr (!std::is_aggregate_v<T> || std::is_array_v<T> || std::is_union_v<T>) {
    return unknown_fields;
  } else if constexpr (constexpr std::size_t flat = count_flat_fields<T>();
                       flat == unknown_fields || has_bases<T> || may_hold_reference<T>) {
    return unknown_fields;
  } else {
    constexpr std::size_t fields = count_fields_after<T, 0, flat>();
    return fields <= most_fields ? fields : unknown_fields;
  }
}

template <class T>
inline constexpr std::size_t field_count = count_fields<T>();

// References to the fields. REQUIRES: field_count<T> != unknown_fields.
template <class T>
constexpr auto tie_fields(T& value) noexcept {
  constexpr std::size_t count = field_count<std::remove_const_t<T>>;
  if constexpr (count == 0) {
    return std::tuple<>();
  } else if constexpr (count == 1) {
    auto& [f0] = value;
    return std::tie(f0);
  } else if constexpr (count == 2) {
    auto& [f0, f1] = value;
    return std::tie(f0, f1);
  } else if constexpr (count == 3) {
    auto& [f0, f1, f2] = value;
    return std::tie(f0, f1, f2);
  } else if constexpr (count == 4) {
    auto& [f0, f1, f2, f3] = value;
    return std::tie(f0, f1, f2, f3);
  } else if constexpr (count == 5) {
    auto& [f0, f1, f2, f3, f4] = value;
    return std::tie(f0, f1, f2, f3, f4);
  } else if constexpr (count == 6) {
    auto& [f0, f1, f2, f3, f4, f5] = value;
    return std::tie(f0, f1, f2, f3, f4, f5);
  } else if constexpr (count == 7) {
    auto& [f0, f1, f2, f3, f4, f5, f6] = value;
    return std::tie(f0, f1, f2, f3, f4, f5, f6);
  } else if constexpr (count == 8) {
    auto& [f0, f1, f2, f3, f4, f5, f6, f7] = value;
    return std::tie(f0, f1, f2, f3, f4, f5, f6, f7);
  } else if constexpr (count == 9) {
    auto& [f0, f1, f2, f3, f4, f5, f6, f7, f8] = value;
    return std::tie(f0, f1, f2, f3, f4, f5, f6, f7, f8);
  } else if constexpr (count == 10) {
    auto& [f0, f1, f2, f3, f4, f5, f6, f7, f8, f9] = value;
    return std::tie(f0, f1, f2, f3, f4, f5, f6, f7, f8, f9);
  } else if constexpr (count == 11) {
    auto& [f0, f1, f2, f3, f4, f5, f6, f7, f8, f9, f10] = value;
    return std::tie(f0, f1, f2, f3, f4, f5, f6, f7, f8, f9, f10);
  } else if constexpr (count == 12) {
    auto& [f0, f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11] = value;
    return std::tie(f0, f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11);
  } else if constexpr (count == 13) {
    auto& [f0, f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12] = value;
    return std::tie(f0, f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12);
  } else if constexpr (count == 14) {
    auto& [f0, f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13] = value;
    return std::tie(f0, f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13);
  } else if constexpr (count == 15) {
    auto& [f0, f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14] = value;
    return std::tie(f0, f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14);
  } else if constexpr (count == 16) {
    auto& [f0, f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15] = value;
    return std::tie(f0, f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15);
  } else if constexpr (count == 17) {
    auto& [f0, f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15, f16] = value;
    return std::tie(f0, f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15, f16);
  } else if constexpr (count == 18) {
    auto& [f0, f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15, f16, f17] = value;
    return std::tie(f0, f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15, f16, f17);
  } else if constexpr (count == 19) {
    auto& [f0, f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15, f16, f17, f18] =
        value;
    return std::tie(f0, f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15, f16, f17,
                    f18);
  } else if constexpr (count == 20) {
    auto& [f0, f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15, f16, f17, f18,
           f19] = value;
    return std::tie(f0, f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15, f16, f17,
                    f18, f19);
  } else if constexpr (count == 21) {
    auto& [f0, f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15, f16, f17, f18, f19,
           f20] = value;
    return std::tie(f0, f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15, f16, f17,
                    f18, f19, f20);
  } else if constexpr (count == 22) {
    auto& [f0, f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15, f16, f17, f18, f19,
           f20, f21] = value;
    return std::tie(f0, f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15, f16, f17,
                    f18, f19, f20, f21);
  } else if constexpr (count == 23) {
    auto& [f0, f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15, f16, f17, f18, f19,
           f20, f21, f22] = value;
    return std::tie(f0, f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15, f16, f17,
                    f18, f19, f20, f21, f22);
  } else if constexpr (count == 24) {
    auto& [f0, f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15, f16, f17, f18, f19,
           f20, f21, f22, f23] = value;
    return std::tie(f0, f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15, f16, f17,
                    f18, f19, f20, f21, f22, f23);
  } else if constexpr (count == 25) {
    auto& [f0, f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15, f16, f17, f18, f19,
           f20, f21, f22, f23, f24] = value;
    return std::tie(f0, f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15, f16, f17,
                    f18, f19, f20, f21, f22, f23, f24);
  } else if constexpr (count == 26) {
    auto& [f0, f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15, f16, f17, f18, f19,
           f20, f21, f22, f23, f24, f25] = value;
    return std::tie(f0, f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15, f16, f17,
                    f18, f19, f20, f21, f22, f23, f24, f25);
  } else if constexpr (count == 27) {
    auto& [f0, f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15, f16, f17, f18, f19,
           f20, f21, f22, f23, f24, f25, f26] = value;
    return std::tie(f0, f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15, f16, f17,
                    f18, f19, f20, f21, f22, f23, f24, f25, f26);
  } else if constexpr (count == 28) {
    auto& [f0, f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15, f16, f17, f18, f19,
           f20, f21, f22, f23, f24, f25, f26, f27] = value;
    return std::tie(f0, f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15, f16, f17,
                    f18, f19, f20, f21, f22, f23, f24, f25, f26, f27);
  } else if constexpr (count == 29) {
    auto& [f0, f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15, f16, f17, f18, f19,
           f20, f21, f22, f23, f24, f25, f26, f27, f28] = value;
    return std::tie(f0, f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15, f16, f17,
                    f18, f19, f20, f21, f22, f23, f24, f25, f26, f27, f28);
  } else if constexpr (count == 30) {
    auto& [f0, f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15, f16, f17, f18, f19,
           f20, f21, f22, f23, f24, f25, f26, f27, f28, f29] = value;
    return std::tie(f0, f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15, f16, f17,
                    f18, f19, f20, f21, f22, f23, f24, f25, f26, f27, f28, f29);
  } else if constexpr (count == 31) {
    auto& [f0, f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15, f16, f17, f18, f19,
           f20, f21, f22, f23, f24, f25, f26, f27, f28, f29, f30] = value;
    return std::tie(f0, f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15, f16, f17,
                    f18, f19, f20, f21, f22, f23, f24, f25, f26, f27, f28, f29, f30);
  } else if constexpr (count == 32) {
    auto& [f0, f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15, f16, f17, f18, f19,
           f20, f21, f22, f23, f24, f25, f26, f27, f28, f29, f30, f31] = value;
    return std::tie(f0, f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15, f16, f17,
                    f18, f19, f20, f21, f22, f23, f24, f25, f26, f27, f28, f29, f30, f31);
  }
}

// The types of the fields, as a tuple of references.
template <class T>
using FieldTypes = decltype(tie_fields(std::declval<T&>()));

}  // namespace procession::detail

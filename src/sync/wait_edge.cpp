#include "sync/wait_edge.hpp"

#include <string.h>

#include <algorithm>
#include <chrono>
#include <iterator>
#include <optional>
#include <string>

#include "sync/cycle_search.hpp"
#include "sync/lock_core.hpp"
#include "sync/quiet_guard.hpp"
#include "sync/reader_table.hpp"

namespace procession::detail {
namespace {

std::int64_t now_ns() noexcept {
  return std::chrono::nanoseconds(TimePoint::clock::now().time_since_epoch()).count();
}

struct Edge {
  WaitNode waiter;
  std::uint64_t sequence;
  WaitTarget target;
  const Object* named;
  std::int64_t since;
};

// A word that was read where a dead waiter's lock has been may be anything.
bool is_alive(WaitNode node) noexcept {
  const Owner owner = Owner::from(node);
  return is_thread_slot(owner.slot) && !owner_is_dead(thread_slot(owner.slot), owner.generation);
}

// The edge of a living thread that waits.
std::optional<Edge> edge_of(WaitNode node) noexcept {
  if (!is_alive(node)) return std::nullopt;
  const WaitMark& mark = thread_slot(Owner::from(node).slot).waits;
  const std::uint64_t sequence = mark.sequence.load(std::memory_order_seq_cst);
  if (sequence % 2 == 0) return std::nullopt;
  const Edge edge{node, sequence, WaitTarget::from(mark.target.load(std::memory_order_acquire)),
                  static_cast<const Object*>(mark.named.load(std::memory_order_acquire)),
                  mark.since.load(std::memory_order_acquire)};
  if (mark.sequence.load(std::memory_order_acquire) != sequence) return std::nullopt;
  return edge;
}

// Invariant 5 tells shares from entries that will be taken back.
void append_readers(const Edge& edge, std::vector<WaitNode>& out) {
  std::vector<WaitNode> entered;
  static_cast<const ReaderTable*>(edge.target.at)->append_holders(entered);
  std::ranges::copy_if(entered, std::back_inserter(out), [&](WaitNode reader) {
    const auto next = edge_of(reader);
    return !next || next->named != edge.named;
  });
}

void append_holders(const Edge& edge, std::vector<WaitNode>& out) {
  if (edge.target.kind == WaitTarget::Kind::Readers) return append_readers(edge, out);
  const auto& core = *static_cast<const LockCore*>(edge.target.at);
  const std::uint64_t word = core.word.load(std::memory_order_seq_cst);
  if (word == 0 || (word & poisoned_bit) != 0) return;
  const WaitNode owner = word & owner_bits;
  // Who has just got what it waits for waits no more, though its edge is still there.
  if (owner != edge.waiter && is_alive(owner)) out.push_back(owner);
}

void append_holders_of(WaitNode node, std::vector<WaitNode>& out) {
  if (const auto edge = edge_of(node)) append_holders(*edge, out);
}

// The edges along `nodes`, each of which is held by the next; none if that is not so now.
std::optional<std::vector<Edge>> read_edges(const std::vector<WaitNode>& nodes) {
  std::vector<Edge> edges;
  std::vector<WaitNode> holders;
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    const auto edge = edge_of(nodes[i]);
    if (!edge) return std::nullopt;
    holders.clear();
    append_holders(*edge, holders);
    const WaitNode next = nodes[(i + 1) % nodes.size()];
    if (std::ranges::find(holders, next) == holders.end()) return std::nullopt;
    edges.push_back(*edge);
  }
  return edges;
}

// Invariant 2. Empty: there is no cycle. A cycle that stands is found however often one that
// comes and goes is looked at first: the latter has changed then, so others make progress.
std::vector<Edge> find_standing_cycle(WaitNode start) {
  for (;;) {
    const auto nodes = find_cycle(start, append_holders_of);
    if (nodes.empty()) return {};
    const auto first = read_edges(nodes);
    if (!first) continue;
    const auto second = read_edges(nodes);
    if (second && std::ranges::equal(*first, *second, {}, &Edge::sequence, &Edge::sequence)) {
      return *first;
    }
  }
}

std::vector<WaitEdge> describe(const std::vector<Edge>& edges) {
  const std::int64_t now = now_ns();
  std::vector<WaitEdge> cycle;
  for (std::size_t i = 0; i < edges.size(); ++i) {
    const auto& waiter = thread_slot(Owner::from(edges[i].waiter).slot);
    const auto& holder = thread_slot(Owner::from(edges[(i + 1) % edges.size()].waiter).slot);
    const char* name = edges[i].named->name;
    WaitEdge edge;
    edge.pid = waiter.pid.load(std::memory_order_relaxed);
    edge.process_name = waiter.process_name;
    edge.waits_for.assign(name, ::strnlen(name, sizeof edges[i].named->name));
    edge.held_by = holder.pid.load(std::memory_order_relaxed);
    edge.holder_name = holder.process_name;
    edge.waiting = std::chrono::nanoseconds(std::max<std::int64_t>(0, now - edges[i].since));
    cycle.push_back(std::move(edge));
  }
  return cycle;
}

// Nearly always nobody of those we wait for waits for anything.
bool some_holder_waits(WaitNode node) {
  std::vector<WaitNode> holders;
  append_holders_of(node, holders);
  return std::ranges::any_of(holders, [](WaitNode holder) { return edge_of(holder).has_value(); });
}

}  // namespace

void PublishedEdge::publish(WaitTarget target, const Object& named) noexcept {
  WaitMark& mark = me_.slot->waits;
  const std::uint64_t sequence = mark.sequence.load(std::memory_order_relaxed);
  if (sequence % 2 != 0) return;
  // Release: a reader that sees one of these sees the even number before them, too.
  mark.target.store(target.word(), std::memory_order_release);
  mark.named.store(&named, std::memory_order_release);
  mark.since.store(now_ns(), std::memory_order_release);
  mark.sequence.exchange(sequence + 1, std::memory_order_seq_cst);
  published_ = true;
}

void PublishedEdge::withdraw() noexcept {
  if (!published_) return;
  auto& sequence = me_.slot->waits.sequence;
  sequence.store(sequence.load(std::memory_order_relaxed) + 1, std::memory_order_seq_cst);
  published_ = false;
}

std::vector<WaitEdge> PublishedEdge::find_deadlock() {
  if (!published_ || !some_holder_waits(me_.owner) || find_standing_cycle(me_.owner).empty())
    return {};
  static const Object judge{};  // no error names it
  const QuietGuard guard(thread_table().verdict, judge);
  const auto edges = find_standing_cycle(me_.owner);
  if (edges.empty()) return {};
  auto cycle = describe(edges);
  withdraw();
  return cycle;
}

}  // namespace procession::detail

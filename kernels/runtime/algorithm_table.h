// Tables of algorithms: one row per version of a kernel, read by the dispatcher and by
// `assay describe --algorithms`.
#pragma once

#include <span>

#include "kernels/runtime/context.h"

namespace assay {

/// Whether a row of a table can, and should, compute a call.
struct Coverage {
  enum Fit : uint8_t { impossible, slower, chosen };
  Fit fit;
  const char* reason;  ///< why it is impossible or slower; empty if it is chosen

  static constexpr Coverage no(const char* reason) { return {impossible, reason}; }
  /// Possible, but `automatic` prefers a later row.
  static constexpr Coverage but_slower(const char* reason) { return {slower, reason}; }
  static constexpr Coverage yes() { return {chosen, ""}; }

  constexpr bool is_possible() const { return fit != impossible; }
};

/// Of a row whose tile instructions are emulated.
inline constexpr Coverage kEmulatedTiles =
    Coverage::but_slower("the tile instructions are emulated; name the algorithm to run them");

/// The row that runs; covers(row) is its Coverage of the call. Under `automatic`, or for an
/// algorithm that the table lacks, it is the first row that is chosen. For a named algorithm it is
/// the algorithm's first possible row, else the first possible row below all of its rows. The last
/// row of a table is possible for every call.
template <class Row, class Covers>
const Row& select_algorithm(std::span<const Row> table, Algorithm wanted, const Covers& covers) {
  const auto last = &table.back();
  const Row* below = nullptr;  // the row after the last one of the named algorithm
  for (const Row& row : table) {
    if (row.algo != wanted) continue;
    if (covers(row).is_possible()) return row;
    below = &row + 1;
  }
  for (const Row* row = below != nullptr ? below : table.data(); row < last; ++row) {
    const Coverage coverage = covers(*row);
    if (below != nullptr ? coverage.is_possible() : coverage.fit == Coverage::chosen) return *row;
  }
  return *last;
}

/// Whether a row of bf16 passes takes a call on bf16 tensors: under `automatic` if it is chosen,
/// under its own name if it is possible.
inline bool takes_bf16(const Context& ctx, Algorithm row, Coverage coverage) {
  return ctx.algorithm == Algorithm::automatic ? coverage.fit == Coverage::chosen
                                               : ctx.algorithm == row && coverage.is_possible();
}

/// Whether `algo` is automatic or names a row of the table.
template <class Row>
bool has_algorithm(std::span<const Row> table, Algorithm algo) {
  for (const Row& row : table)
    if (row.algo == algo) return true;
  return algo == Algorithm::automatic;
}

}  // namespace assay

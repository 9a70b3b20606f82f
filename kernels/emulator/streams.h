// Streams, events and graphs of the emulated device. Internal; api.h is the interface.
//
// A stream is a queue of operations. Operations of one stream run in order; those of different
// streams run in any order that the events between them allow, and config().streams chooses one. So
// a missing cudaStreamWaitEvent or cudaStreamSynchronize shows, for every seed sooner or later.
#pragma once

#include <chrono>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "kernels/emulator/api.h"
#include "kernels/emulator/shadow_global.h"

namespace assay::emulator {

/// A node of a recorded graph: an operation and the nodes that must run before it.
struct GraphNode {
  std::function<void()> run;
  std::vector<size_t> after;  // indices of earlier nodes
};
using GraphNodes = std::vector<GraphNode>;

/// A capture in progress. Streams join it by waiting for an event that was recorded in it.
struct Capture {
  GraphNodes nodes;
  cudaStream_t origin = nullptr;
  std::vector<cudaStream_t> streams;
  bool valid = true;
  bool relaxed = false;  // allows cudaMalloc
};

/// The n-th operation of a stream.
struct Point {
  uint32_t stream = 0, position = 0;
};

struct Operation {
  std::function<void()> run;
  uint32_t position = 0;
  std::vector<Point> after;      // operations of other streams
  std::vector<uint32_t> before;  // vector clock over streams, for the checker
};

}  // namespace assay::emulator

struct AssayEmulatedStream {
  uint32_t index = 0;
  bool blocking = true;  // takes part in the rules of the default stream
  bool destroyed = false;
  std::deque<assay::emulator::Operation> queue;
  uint32_t queued = 0, completed = 0;  // counts of operations
  std::vector<uint32_t> clock;         // happens before the next operation
  std::shared_ptr<assay::emulator::Capture> capture;
  std::vector<size_t> capture_tail;  // nodes that the next captured operation comes after
};

struct AssayEmulatedEvent {
  assay::emulator::Point point;  // position 0: never recorded
  std::vector<uint32_t> clock;
  std::shared_ptr<std::chrono::steady_clock::time_point> time;  // set when the event has happened
  std::weak_ptr<assay::emulator::Capture> capture;              // recorded in a capture
  std::vector<size_t> capture_tail;
};

struct AssayEmulatedGraph {
  std::shared_ptr<const assay::emulator::GraphNodes> nodes;
};
struct AssayEmulatedGraphExec {
  std::shared_ptr<const assay::emulator::GraphNodes> nodes;
};

namespace assay::emulator {

/// The device. Callers hold mutex(), except for instance(), mutex() and report().
class StreamEngine {
 public:
  static StreamEngine& instance();
  std::mutex& mutex() { return mutex_; }

  /// nullptr becomes the default stream; nullptr is returned for a destroyed or foreign one.
  cudaStream_t resolve(cudaStream_t stream);
  cudaStream_t create(bool blocking);
  /// Queues `run`, or adds it to the graph that the stream is capturing.
  cudaError_t enqueue(cudaStream_t stream, std::function<void()> run);
  void wait_event(cudaStream_t stream, cudaEvent_t event);
  void record_event(cudaStream_t stream, cudaEvent_t event);

  bool done(Point p) const;
  /// Runs operations of any stream until `p`, or everything, is done.
  cudaError_t run_until(Point p);
  cudaError_t run_all();
  cudaError_t wait_for_stream(cudaStream_t stream);
  cudaError_t wait_for_event(cudaEvent_t event);
  void reset();

  bool capturing() const { return captures_ > 0; }
  /// Whether a capture is in progress that is not relaxed.
  bool capturing_strictly() const;
  /// For calls that are not allowed during a capture: invalidates it.
  cudaError_t refuse_during_capture();
  cudaError_t begin_capture(cudaStream_t stream, bool relaxed);
  cudaError_t end_capture(cudaStream_t stream, std::shared_ptr<const GraphNodes>& nodes);
  cudaError_t launch_graph(std::shared_ptr<const GraphNodes> nodes, cudaStream_t stream);

  cudaError_t fail_with(std::string report);
  const std::string& report() const { return report_; }

 private:
  StreamEngine() { create(true); }
  bool run_one();
  void run_some();
  void run_graph(const GraphNodes& nodes);
  void begin_for_checker();
  uint64_t random();

  std::mutex mutex_;
  std::vector<std::unique_ptr<AssayEmulatedStream>> streams_;  // [0]: the default stream
  std::vector<uint32_t> host_clock_;                           // what the host has waited for
  const Operation* running_ = nullptr;
  uint32_t running_stream_ = 0;
  int captures_ = 0;
  uint64_t random_state_ = 0;
  std::string report_;
};

}  // namespace assay::emulator

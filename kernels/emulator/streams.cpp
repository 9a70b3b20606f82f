#include "kernels/emulator/streams.h"

#include <algorithm>

#include "kernels/emulator/check.h"
#include "kernels/emulator/config.h"
#include "kernels/emulator/machine.h"

namespace assay::emulator {
namespace {

void join(std::vector<uint32_t>& into, const std::vector<uint32_t>& from) {
  if (into.size() < from.size()) into.resize(from.size());
  for (size_t i = 0; i < from.size(); ++i) into[i] = std::max(into[i], from[i]);
}

Point tail(const AssayEmulatedStream& s) {
  return {s.index, s.queued};
}

}  // namespace

StreamEngine& StreamEngine::instance() {
  static auto* engine = new StreamEngine;  // leaked on purpose: tensors may outlive main()
  return *engine;
}

uint64_t StreamEngine::random() {  // xorshift64
  if (random_state_ == 0) random_state_ = config().seed * 0x9e3779b97f4a7c15u | 1;
  random_state_ ^= random_state_ << 13;
  random_state_ ^= random_state_ >> 7;
  random_state_ ^= random_state_ << 17;
  return random_state_ >> 11;
}

cudaError_t StreamEngine::fail_with(std::string report) {
  report_ = std::move(report);
  return cudaErrorLaunchFailure;
}

// ---- queues

cudaStream_t StreamEngine::resolve(cudaStream_t stream) {
  if (stream == nullptr) return streams_[0].get();
  for (const auto& s : streams_)
    if (s.get() == stream && !s->destroyed) return stream;
  return nullptr;
}

cudaStream_t StreamEngine::create(bool blocking) {
  streams_.push_back(std::make_unique<AssayEmulatedStream>());
  streams_.back()->index = static_cast<uint32_t>(streams_.size() - 1);
  streams_.back()->blocking = blocking;
  return streams_.back().get();
}

cudaError_t StreamEngine::enqueue(cudaStream_t stream, std::function<void()> run) {
  AssayEmulatedStream& s = *stream;
  if (s.capture) {
    s.capture->nodes.push_back({std::move(run), s.capture_tail});
    s.capture_tail = {s.capture->nodes.size() - 1};
    return cudaSuccess;
  }
  Operation op;
  op.run = std::move(run);
  // The rules of the legacy default stream.
  for (const auto& other : streams_) {
    const bool waits =
        s.index == 0 ? other->blocking && other->index != 0 : s.blocking && other->index == 0;
    if (!waits) continue;
    op.after.push_back(tail(*other));
    join(s.clock, other->clock);
  }
  join(s.clock, host_clock_);
  op.before = s.clock;
  op.position = ++s.queued;
  if (s.clock.size() <= s.index) s.clock.resize(s.index + 1);
  s.clock[s.index] = op.position;
  s.queue.push_back(std::move(op));
  try {
    run_some();
  } catch (const std::exception& e) {
    return fail_with(e.what());
  }
  return cudaSuccess;
}

bool StreamEngine::done(Point p) const {
  return p.position == 0 || streams_[p.stream]->completed >= p.position;
}

// Runs the first operation of one stream, chosen at random among those that can go on.
bool StreamEngine::run_one() {
  std::vector<AssayEmulatedStream*> able;
  for (const auto& s : streams_) {
    if (s->queue.empty()) continue;
    const auto& after = s->queue.front().after;
    if (std::all_of(after.begin(), after.end(), [&](Point p) { return done(p); }))
      able.push_back(s.get());
  }
  if (able.empty()) return false;
  AssayEmulatedStream& s = *able[able.size() == 1 ? 0 : random() % able.size()];
  const Operation op = std::move(s.queue.front());
  s.queue.pop_front();
  s.completed = op.position;
  running_ = &op;
  running_stream_ = s.index;
  try {
    begin_for_checker();
    op.run();
  } catch (...) {  // queued operations are dropped, as after a fault on a GPU
    for (const auto& other : streams_) {
      other->queue.clear();
      other->completed = other->queued;
    }
    running_ = nullptr;
    throw;
  }
  running_ = nullptr;
  return true;
}

// Runs some of the work while the host is still queueing more.
void StreamEngine::run_some() {
  constexpr size_t kMaxQueued = 1024;
  size_t queued = 0;
  for (const auto& s : streams_) queued += s->queue.size();
  size_t count = 0;
  if (config().streams == Streams::eager || queued > kMaxQueued) count = queued;
  if (config().streams == Streams::random) count = std::max<size_t>(count, random() % 3);
  while (count-- > 0 && run_one()) {
  }
}

cudaError_t StreamEngine::run_until(Point p) {
  try {
    while (!done(p)) run_one();
  } catch (const std::exception& e) {
    return fail_with(e.what());
  }
  return cudaSuccess;
}

cudaError_t StreamEngine::run_all() {
  for (const auto& s : streams_) {
    if (const cudaError_t error = run_until(tail(*s)); error != cudaSuccess) return error;
    join(host_clock_, s->clock);
  }
  return cudaSuccess;
}

cudaError_t StreamEngine::wait_for_stream(cudaStream_t stream) {
  const cudaError_t error = run_until(tail(*stream));
  join(host_clock_, stream->clock);
  return error;
}
cudaError_t StreamEngine::wait_for_event(cudaEvent_t event) {
  const cudaError_t error = run_until(event->point);
  join(host_clock_, event->clock);
  return error;
}

void StreamEngine::reset() {
  run_all();
  random_state_ = 0;
  report_.clear();
}

// ---- events

void StreamEngine::record_event(cudaStream_t stream, cudaEvent_t event) {
  if (stream->capture) {
    event->capture = stream->capture;
    event->capture_tail = stream->capture_tail;
    return;
  }
  event->capture.reset();
  event->time = std::make_shared<std::chrono::steady_clock::time_point>();
  enqueue(stream, [time = event->time] { *time = std::chrono::steady_clock::now(); });
  event->point = tail(*stream);
  event->clock = stream->clock;
}

void StreamEngine::wait_event(cudaStream_t stream, cudaEvent_t event) {
  if (const auto capture = event->capture.lock()) {  // the stream joins the capture
    if (!stream->capture) {
      stream->capture = capture;
      stream->capture_tail.clear();
      capture->streams.push_back(stream);
    }
    for (const size_t node : event->capture_tail)
      if (std::find(stream->capture_tail.begin(), stream->capture_tail.end(), node) ==
          stream->capture_tail.end())
        stream->capture_tail.push_back(node);
    return;
  }
  if (event->point.position == 0) return;  // never recorded: nothing to wait for
  join(stream->clock, event->clock);
  Operation op;
  op.run = [] {};
  op.after = {event->point};
  op.before = stream->clock;
  op.position = ++stream->queued;
  stream->queue.push_back(std::move(op));
}

// ---- graphs

cudaError_t StreamEngine::refuse_during_capture() {
  if (!capturing()) return cudaSuccess;
  for (const auto& s : streams_)
    if (s->capture) s->capture->valid = false;
  return cudaErrorStreamCaptureUnsupported;
}

bool StreamEngine::capturing_strictly() const {
  return std::any_of(streams_.begin(), streams_.end(),
                     [](const auto& s) { return s->capture && !s->capture->relaxed; });
}

cudaError_t StreamEngine::begin_capture(cudaStream_t stream, bool relaxed) {
  if (stream->capture || stream->index == 0) return cudaErrorStreamCaptureUnsupported;
  stream->capture = std::make_shared<Capture>();
  stream->capture->origin = stream;
  stream->capture->streams = {stream};
  stream->capture->relaxed = relaxed;
  stream->capture_tail.clear();
  ++captures_;
  return cudaSuccess;
}

cudaError_t StreamEngine::end_capture(cudaStream_t stream,
                                      std::shared_ptr<const GraphNodes>& nodes) {
  const std::shared_ptr<Capture> capture = stream->capture;
  if (!capture || capture->origin != stream) return cudaErrorStreamCaptureUnmatched;
  // All captured work must be joined to the origin stream: collect the ancestors of its last nodes.
  std::vector<bool> joined(capture->nodes.size());
  std::vector<size_t> todo = stream->capture_tail;
  while (!todo.empty()) {
    const size_t node = todo.back();
    todo.pop_back();
    if (joined[node]) continue;
    joined[node] = true;
    for (const size_t earlier : capture->nodes[node].after) todo.push_back(earlier);
  }
  for (const cudaStream_t s : capture->streams) {
    s->capture.reset();
    s->capture_tail.clear();
  }
  --captures_;
  if (!capture->valid) return cudaErrorStreamCaptureInvalidated;
  if (!std::all_of(joined.begin(), joined.end(), [](bool b) { return b; }))
    return cudaErrorStreamCaptureUnjoined;
  nodes = std::make_shared<const GraphNodes>(std::move(capture->nodes));
  return cudaSuccess;
}

cudaError_t StreamEngine::launch_graph(std::shared_ptr<const GraphNodes> nodes,
                                       cudaStream_t stream) {
  return enqueue(stream, [this, nodes] { run_graph(*nodes); });
}

// A replay runs the nodes in some order that the edges allow.
void StreamEngine::run_graph(const GraphNodes& nodes) {
  std::vector<size_t> waits_for(nodes.size()), able;
  for (size_t i = 0; i < nodes.size(); ++i) {
    waits_for[i] = nodes[i].after.size();
    if (waits_for[i] == 0) able.push_back(i);
  }
  while (!able.empty()) {
    const size_t pick = config().streams == Streams::eager ? 0 : random() % able.size();
    const size_t node = able[pick];
    able.erase(able.begin() + static_cast<ptrdiff_t>(pick));
    begin_for_checker();
    nodes[node].run();
    for (size_t i = node + 1; i < nodes.size(); ++i)
      for (const size_t earlier : nodes[i].after)
        if (earlier == node && --waits_for[i] == 0) able.push_back(i);
  }
}

// The nodes of a graph are one operation of the stream and are ordered as they were run.
void StreamEngine::begin_for_checker() {
  if (!instrumented() || !config().check) return;
  StreamOperation op{running_stream_, running_->position, running_->before};
  if (op.before.size() <= op.stream) op.before.resize(op.stream + 1);
  op.before[op.stream] = op.position;
  GlobalShadow::instance().begin_operation(op);
}

}  // namespace assay::emulator

// Queues of asynchronous operations in flight. Internal to the emulator.
//
// Each operation is done at once or at the wait for it (config().async). A late operation first
// fills its destination with NaN, so that a read before the wait gives NaN instead of, by luck, the
// right value.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "kernels/emulator/instructions.h"
#include "kernels/emulator/site.h"

namespace assay::emulator {

/// The cp.async of one thread: operations in order, cut into groups by commit.
class CopyQueue {
 public:
  void issue(void* shared, const void* global, int bytes, bool valid, Site site);
  void commit() { groups_.push_back(copies_.size()); }
  /// Completes all but the last `pending` groups.
  void wait(size_t pending);
  void clear() {
    copies_.clear();
    groups_.clear();
  }

 private:
  struct Copy {
    void* shared;
    const void* global;
    int bytes;
    bool valid, late;
    Site site;
    void run() const;
  };
  std::vector<Copy> copies_;
  std::vector<size_t> groups_;  // ends, as counts of copies
};

/// TMA loads in flight on a multiprocessor; each reports its bytes to an mbarrier.
class BulkQueue {
 public:
  struct Load {
    void* shared;
    TensorMap map;
    uint64_t* barrier;
    int at[5];  // the box's first element
    unsigned thread;
    Site site;
  };
  void issue(const Load& load);
  bool empty() const { return loads_.empty(); }
  void clear() { loads_.clear(); }
  Site first_site() const { return loads_.front().site; }
  /// Completes one load: the first, or a random one if config().async is random.
  void complete_one();

 private:
  std::vector<Load> loads_;
};

/// The wgmma of one warpgroup.
class WgmmaQueue {
 public:
  void issue(void* const* operands, Site site);
  void commit() { groups_.push_back(products_.size()); }
  void wait(size_t pending);
  bool empty() const { return products_.empty(); }
  Site first_site() const { return products_.front().site; }
  void clear() {
    products_.clear();
    groups_.clear();
  }

 private:
  struct Product {
    float* d[128];
    const uint32_t* a_registers[128];
    WgmmaOperand shape;  // what all threads have in common
    bool late = false;
    unsigned warpgroup;
    Site site;
    std::vector<float> saved;  // the accumulators while NaN stands in them
    std::vector<uint32_t> a_at_issue;
    size_t accumulators() const { return static_cast<size_t>(shape.n) / 2; }  // of a thread
    void run() const;
    template <int kK>
    void multiply() const;
    template <int kK>
    void load_a(float (&a)[64][kK]) const;
    void check_registers() const;
    void hide_accumulators();
    void restore_accumulators();
    void note_operands(int delta) const;
  };
  void hide_first_of_each_accumulator(size_t from);

  std::vector<Product> products_;
  std::vector<size_t> groups_;
};

}  // namespace assay::emulator

#include "kernels/runtime/error.h"
#include "models/evaluation/run_metrics.h"
#include "models/experiments/configure.h"
#include "models/run/csv.h"
#include "models/run/data.h"
#include "models/run/history.h"
#include "tests/fuzz/scratch.h"

namespace {

template <class F>
void read(const F& f) {
  try {
    f();
  } catch (const assay::CheckpointError&) {
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const assay::ScratchFolder scratch;
  const assay::RunFolder folder(scratch.path());
  for (const char* name :
       {"config.json", "metrics.json", "split.json", "history.csv", "scores.csv"})
    scratch.write(name, data, size);
  read([&] { assay::to_json(assay::load_config(folder.config())); });
  read([&] { assay::summary_of(assay::read_metrics(folder)); });
  read([&] { assay::check_split(folder); });
  read([&] { assay::History::read(folder.history()).seconds(); });
  read([&] { assay::read_csv(folder.scores()).numbers("score"); });
  return 0;
}

#include "models/training/dcgan_training.h"

#include <fmt/core.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>

#include "data/image_io.h"
#include "models/evaluation/image_grid.h"
#include "models/run/csv.h"
#include "models/training/checkpoint.h"
#include "tensor/ops.h"

namespace assay {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int kGridImages = 32, kGridColumns = 8;

void write_gan_history(const RunFolder& folder, const std::vector<GanRecord>& records) {
  std::string text = csv_row({"epoch", "step", "loss_d", "loss_g", "d_real", "d_fake", "seconds"});
  for (const GanRecord& r : records)
    text += csv_row({std::to_string(r.epoch), std::to_string(r.step), csv_number(r.mean.loss_d),
                     csv_number(r.mean.loss_g), csv_number(r.mean.d_real),
                     csv_number(r.mean.d_fake), csv_number(r.seconds)});
  write_file(folder.history(), text);
}

/// The figures of GanFigures in the order of history.csv, and how a checkpoint calls their sums.
constexpr std::pair<const char*, double GanFigures::*> kFigures[] = {
    {"loss_d", &GanFigures::loss_d},
    {"loss_g", &GanFigures::loss_g},
    {"d_real", &GanFigures::d_real},
    {"d_fake", &GanFigures::d_fake}};

constexpr const char* kSummed = "summed";  // how a checkpoint calls the number of steps in them

/// One training from its start or its checkpoint to its end.
class Game {
 public:
  Game(Dcgan& gan, const ImageStore& store, const std::vector<size_t>& images,
       const RunConfig& config, const RunFolder& folder, const TrainingHooks& hooks)
      : gan_(gan),
        config_(config),
        folder_(folder),
        hooks_(hooks),
        players_(gan, config),
        batches_(store, images, config.batch, config.seed) {
    const auto n = static_cast<int64_t>(images.size());
    most_steps_ = config.epochs * ((n + config.batch - 1) / config.batch);
    if (config.steps > 0) most_steps_ = std::min(most_steps_, config.steps);
  }

  void play() {
    resume();
    epoch_start_ = Clock::now();
    while (players_.steps() < most_steps_) {
      if (hooks_.stop_requested()) interrupt();
      count(players_.step([&](int64_t i) { return batches_.pictures(i); }));
      const bool last = players_.steps() == most_steps_;
      if (last || players_.steps() % config_.sample_every == 0) write_grid();
      if (last || players_.steps() % kGanEpochSteps == 0) end_epoch();
    }
  }

 private:
  void count(const std::vector<GanStep>& steps) {
    for (const auto& [step, now] : steps) {
      for (const auto& [name, figure] : kFigures) sums_.*figure += now.*figure;
      ++summed_;
      hooks_.progress({.step = step,
                       .most_steps = most_steps_,
                       .epoch = epoch_of(step),
                       .loss = now.loss_g,
                       .note = fmt::format("D(x) {:.2f}, D(G(z)) {:.2f}", now.d_real, now.d_fake)});
    }
  }

  /// From 1.
  static int epoch_of(int64_t step) {
    return static_cast<int>((step + kGanEpochSteps - 1) / kGanEpochSteps);
  }

  void write_grid() {
    count(players_.finish());  // no pictures of a game that blew up
    const std::string name = fmt::format("step_{:06}.png", players_.steps());
    const Tensor z = draw_latents(config_.seed, 0, kGridImages);
    write_png(folder_.figures() / name, image_grid(generate_images(gan_, z), kGridColumns));
  }

  void end_epoch() {
    count(players_.finish());
    GanRecord record{.epoch = epoch_of(players_.steps()), .step = players_.steps()};
    for (const auto& [name, figure] : kFigures)
      record.mean.*figure = sums_.*figure / static_cast<double>(summed_);
    const Clock::time_point now = Clock::now();
    record.seconds = std::chrono::duration<double>(now - epoch_start_).count();
    epoch_start_ = now;
    sums_ = {};
    summed_ = 0;
    history_.push_back(record);
    write_gan_history(folder_, history_);
    save();
  }

  void save() const {
    SafeTensors content{players_.save(), {{"model", config_.preset}}};
    check_finite(content.tensors);
    for (const auto& [name, figure] : kFigures) content.metadata[name] = csv_number(sums_.*figure);
    content.metadata[kSummed] = std::to_string(summed_);
    write_checked(folder_.checkpoint(), std::move(content));
  }

  void resume() {
    const std::string source = folder_.checkpoint().string();
    if (!std::filesystem::exists(source)) return;
    const SafeTensors content = read_checked(source);
    const auto entry = [&](const char* key) {
      const auto found = content.metadata.find(key);
      ASSAY_CHECK_AS(
          CheckpointError, found != content.metadata.end(),
          "{}: says no '{}', so it is no checkpoint of a DCGAN; train again with --force", source,
          key);
      return found->second;
    };
    ASSAY_CHECK_AS(CheckpointError, entry("model") == config_.preset, "{}: is of {}, not of {}",
                   source, entry("model"), config_.preset);
    entry("checksum");  // was compared where it is there
    players_.load(content.tensors, source);
    for (const auto& [name, figure] : kFigures)
      sums_.*figure = std::strtod(entry(name).c_str(), nullptr);
    summed_ = std::strtoll(entry(kSummed).c_str(), nullptr, 10);
    history_ = read_gan_history(folder_);
    // A crash may have fallen between the line of history and its checkpoint.
    std::erase_if(history_, [&](const GanRecord& r) { return r.step > players_.steps(); });
    if (players_.steps() - summed_ > (history_.empty() ? 0 : history_.back().step))
      hooks_.say("history.csv has lost lines: their losses and seconds are missing from now on");
    hooks_.say(fmt::format("going on after step {}", players_.steps()));
  }

  [[noreturn]] void interrupt() {
    count(players_.finish());
    save();
    throw Interrupted(
        fmt::format("interrupted after step {}; the checkpoint is written, go on with --resume",
                    players_.steps()));
  }

  Dcgan& gan_;
  const RunConfig& config_;
  const RunFolder& folder_;
  const TrainingHooks& hooks_;
  GanPlayers players_;
  EndlessBatches batches_;
  int64_t most_steps_ = 0;
  GanFigures sums_;     ///< over the steps since the last line of history,
  int64_t summed_ = 0;  ///< which are so many
  std::vector<GanRecord> history_;
  Clock::time_point epoch_start_;
};

}  // namespace

std::vector<GanRecord> read_gan_history(const RunFolder& folder) {
  std::vector<std::string> names = {"epoch", "step", "seconds"};
  const size_t first_figure = names.size();
  for (const auto& [name, figure] : kFigures) names.push_back(name);
  const std::vector<std::vector<double>> columns = folder.read_history_columns(names);
  std::vector<GanRecord> records(columns[0].size());
  for (size_t i = 0; i < records.size(); ++i) {
    records[i] = {
        static_cast<int>(columns[0][i]), static_cast<int64_t>(columns[1][i]), {}, columns[2][i]};
    size_t column = first_figure;
    for (const auto& [name, figure] : kFigures) records[i].mean.*figure = columns[column++][i];
  }
  return records;
}

EndlessBatches::EndlessBatches(const ImageStore& store, std::vector<size_t> images, int batch,
                               uint64_t seed)
    : store_(store), images_(std::move(images)), batch_(batch), seed_(seed) {
  ASSAY_CHECK(!images_.empty(), "dcgan: no pictures to train on");
  cpu_.get().memory = &pinned_;
}

std::vector<size_t> EndlessBatches::members(int64_t number) {
  std::vector<size_t> chosen;
  const auto n = static_cast<int64_t>(images_.size());
  for (int64_t place = number * batch_; place < (number + 1) * batch_; ++place) {
    if (place / n != pass_) {
      pass_ = place / n;
      order_ = epoch_order(images_, seed_, pass_);
    }
    chosen.push_back(order_[place % n]);
  }
  return chosen;
}

Tensor EndlessBatches::pictures(int64_t number) {
  Context& ctx = current_context();
  if (!ctx.device.is_cuda()) return affine(store_.batch(members(number)), 2, -1);
  // From pinned memory, so that the host does not wait for the steps before.
  Upload upload;
  {
    const ContextScope on_host(cpu_);
    upload.host = store_.batch(members(number));
  }
  const Tensor x = Tensor::empty(upload.host.shape());
  upload.copy = std::make_unique<AsyncCopy>(ctx, x.mutable_data<float>(), upload.host.data<float>(),
                                            upload.host.size() * sizeof(float));
  upload.copy->before_kernels();
  uploads_.push_back(std::move(upload));
  if (uploads_.size() > kUploads) uploads_.pop_front();
  return affine(x, 2, -1);
}

void train_dcgan(Dcgan& gan, const ImageStore& store, const std::vector<size_t>& images,
                 const RunConfig& config, const RunFolder& folder, const TrainingHooks& hooks) {
  Game(gan, store, images, config, folder, hooks).play();
}

}  // namespace assay

#include "models/experiments/gan_run.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>

#include "data/image_io.h"
#include "kernels/runtime/transfer.h"
#include "layers/init.h"
#include "layers/state.h"
#include "models/evaluation/calibration.h"
#include "models/evaluation/image_grid.h"
#include "models/evaluation/memorisation.h"
#include "models/experiments/configure.h"
#include "models/experiments/one_class_run.h"
#include "models/run/csv.h"
#include "models/training/checkpoint.h"

namespace assay {
namespace {

constexpr int64_t kCompared = 64;    // generated images that are compared with the training images
constexpr int64_t kLastSteps = 100;  // steps whose mean metrics describe the end of the training
constexpr int kShown = 32, kColumns = 8;  // images in a figure, and in its rows

std::unique_ptr<Dcgan> make_dcgan(const RunConfig& config) {
  return std::make_unique<Dcgan>(config.image_size, config.channels());
}

void save_model(const Dcgan& gan, const RunConfig& config, const RunFolder& folder) {
  write_checked(folder.model(), {save_state(gan),
                                 {{"version", "1"},
                                  {"model", config.model},
                                  {"preset", config.preset},
                                  {"image_size", std::to_string(config.image_size)},
                                  {"channels", std::to_string(config.channels())},
                                  {"seed", std::to_string(config.seed)}}});
}

/// Means over the last kLastSteps steps, rounded up to whole epochs.
GanMetrics end_of(const History& history) {
  const std::vector<double> step = history.column("step");
  // Earlier rows may be lost, but a row covers at most one epoch.
  std::vector<double> steps;  // per row, the last row first
  double total = 0;
  for (size_t i = step.size(); i-- > 0 && total < kLastSteps; total += steps.back())
    steps.push_back(std::min(step[i] - (i > 0 ? step[i - 1] : 0), double{kGanEpochSteps}));
  const auto mean = [&](const char* metric) {
    const std::vector<double> values = history.column(metric);
    double sum = 0;
    for (size_t i = 0; i < steps.size(); ++i) sum += values[values.size() - 1 - i] * steps[i];
    return sum / std::max(total, 1.0);
  };
  return {.loss_d = mean("loss_d"),
          .loss_g = mean("loss_g"),
          .d_real = mean("d_real"),
          .d_fake = mean("d_fake")};
}

/// Converts a value in [-1,1] to 8 bits.
uint8_t to_byte(float v) {
  return static_cast<uint8_t>(std::lround(std::clamp((v + 1) / 2, 0.0f, 1.0f) * 255));
}

std::vector<Image> images_at(const ImageStore& store, const std::vector<size_t>& positions) {
  std::vector<Image> images;
  for (const size_t i : positions) images.push_back(store.image(i));
  return images;
}

/// Generated, training and held-out images, each with its nearest training image.
struct Memorisation {
  std::vector<Image> generated, training;
  std::vector<Nearest> of_generated, of_training, of_held_out;
};

Memorisation look_for_copies(Dcgan& gan, const RunConfig& config, const ImageStore& good,
                             const Split& split) {
  Memorisation m;
  m.generated = generate_images(gan, draw_latents(config.seed, 0, kCompared));
  m.training = images_at(good, split.train);
  m.of_generated = nearest_of(m.generated, m.training);
  m.of_training = nearest_of_the_rest(m.training);
  m.of_held_out = nearest_of(images_at(good, split.validation), m.training);
  return m;
}

std::vector<double> distances(const std::vector<Nearest>& found) {
  std::vector<double> all;
  for (const Nearest& n : found) all.push_back(n.distance);
  return all;
}

GeneratorMetrics::Distances summary_of_distances(const std::vector<Nearest>& found) {
  const std::vector<double> all = distances(found);
  return {static_cast<int64_t>(all.size()), percentile(all, 0), percentile(all, 50),
          percentile(all, 100)};
}

void write_memorisation(const RunFolder& folder, const Memorisation& m, const ImageStore& good,
                        const Split& split) {
  std::string text = csv_row({"set", "image", "nearest_training_image", "distance"});
  const auto add = [&](const char* set, const std::vector<Nearest>& found, const auto& name) {
    for (size_t i = 0; i < found.size(); ++i)
      text += csv_row({set, name(i), good.sample(split.train[found[i].index]).path,
                       csv_number(found[i].distance)});
  };
  add("generated", m.of_generated, [](size_t i) { return std::to_string(i); });
  add("train", m.of_training, [&](size_t i) { return good.sample(split.train[i]).path; });
  add("validation", m.of_held_out, [&](size_t i) { return good.sample(split.validation[i]).path; });
  write_file(folder.memorisation(), text);
}

/// real.png: training images. nearest.png: generated images above their nearest training images.
void write_figures(const RunFolder& folder, const Memorisation& m) {
  const std::span training(m.training);
  write_png(folder.figures() / "real.png",
            image_grid(training.first(std::min<size_t>(kShown, training.size())), kColumns));
  std::vector<Image> pairs(m.generated.begin(), m.generated.begin() + kColumns);
  for (int i = 0; i < kColumns; ++i) pairs.push_back(m.training[m.of_generated[i].index]);
  write_png(folder.figures() / "nearest.png", image_grid(pairs, kColumns));
}

DcganOutcome outcome_of(const History& history, const Memorisation& m) {
  const std::vector<double> own = distances(m.of_training), generated = distances(m.of_generated);
  const double closest_pair = *std::min_element(own.begin(), own.end());
  DcganOutcome outcome{.last = end_of(history),
                       .spread_generated = mean_pair_distance(m.generated),
                       .spread_training = mean_pair_distance(m.training),
                       .generated = static_cast<int64_t>(m.generated.size()),
                       .generated_distance = percentile(generated, 50),
                       .held_out_distance = percentile(distances(m.of_held_out), 50)};
  for (const double distance : generated) {
    outcome.copies += distance < closest_pair;
    outcome.far += distance > outcome.near_bound();
  }
  return outcome;
}

GeneratorMetrics generator_metrics(const RunConfig& config, const Split& split,
                                   const TrainingResult& training, const Memorisation& m) {
  const DcganOutcome outcome = outcome_of(training.history, m);
  GeneratorMetrics metrics;
  static_cast<CommonMetrics&>(metrics) = metrics_of(config);
  metrics.steps = training.steps;
  metrics.k_steps = config.k_steps;
  metrics.batch = config.batch;
  metrics.loss_d = outcome.last.loss_d;
  metrics.loss_g = outcome.last.loss_g;
  metrics.d_real = outcome.last.d_real;
  metrics.d_fake = outcome.last.d_fake;
  metrics.spread_generated = outcome.spread_generated;
  metrics.spread_training = outcome.spread_training;
  metrics.generated = summary_of_distances(m.of_generated);
  metrics.training = summary_of_distances(m.of_training);
  metrics.held_out = summary_of_distances(m.of_held_out);
  metrics.copies = outcome.copies;
  metrics.far = outcome.far;
  metrics.has_collapsed = collapsed(outcome);
  metrics.discriminator_won = discriminator_won(outcome);
  metrics.blew_up = blew_up(outcome);
  metrics.diagnostics = diagnostics_of(outcome);
  metrics.seconds_train = training.history.seconds();
  metrics.epochs = training.epochs;
  metrics.train_images = static_cast<int64_t>(split.train.size());
  metrics.validation_images = static_cast<int64_t>(split.validation.size());
  return metrics;
}

GeneratorMetrics evaluate(Dcgan& gan, const RunConfig& config, const RunFolder& out,
                          const ImageStore& good, const Split& split,
                          const TrainingResult& training) {
  const Memorisation memorisation = look_for_copies(gan, config, good, split);
  write_memorisation(out, memorisation, good, split);
  write_figures(out, memorisation);
  GeneratorMetrics metrics = generator_metrics(config, split, training, memorisation);
  metrics.image_sizes = describe_sizes(good.file_sizes());
  write_metrics(out, metrics);
  return metrics;
}

}  // namespace

GeneratorMetrics train_dcgan_run(const RunConfig& config, const RunFolder& folder, Start start,
                                 const TrainingHooks& hooks) {
  const OneClassImages images = begin_one_class_run(config, folder, start, false);
  const Split& split = images.split;
  say_beginning(hooks,
                fmt::format("{}: {} training images and {} held out", config.object_class,
                            split.train.size(), split.validation.size()),
                images.remarks);
  const auto gan = make_dcgan(config);
  init_parameters(*gan, init_from_name(config.init), config.seed);
  const TrainingResult training =
      train_dcgan(*gan, images.good, split.train, config, folder, hooks);
  save_model(*gan, config, folder);
  return evaluate(*gan, config, folder, images.good, split, training);
}

GeneratorMetrics evaluate_dcgan_run(const RunConfig& config, const RunFolder& folder,
                                    const RunFolder& out) {
  const auto gan = load_dcgan(folder);
  check_split(folder);
  Dataset data = open_data(config);
  const Split split = choose_split(config, folder, Start::resume, data);
  const ImageStore good = read_images(config, data.train_good, false);
  return evaluate(*gan, config, out, good, split, read_result(config, folder, split.train.size()));
}

TrainingResult train_dcgan(Dcgan& gan, const ImageStore& store, const std::vector<size_t>& images,
                           const RunConfig& config, const RunFolder& folder,
                           const TrainingHooks& hooks) {
  BatchLoader batches(store, images, {.batch = config.batch, .seed = config.seed, .endless = true});
  GanStep step(gan, config);
  const auto write_grid = [&](int64_t number) {
    const Tensor z = draw_latents(config.seed, 0, kShown);
    write_png(folder.figures() / fmt::format("step_{:06}.png", number),
              image_grid(generate_images(gan, z), kColumns));
  };
  return train({.model = config.preset,
                .step = step,
                .batches = batches,
                .validation_loss = nullptr,
                .epoch_steps = kGanEpochSteps,
                .sample = write_grid,
                .sample_every = config.sample_every},
               config, folder, hooks);
}

std::vector<Image> generate_images(Dcgan& gan, const Tensor& z) {
  constexpr int64_t kBatch = 32;
  const int side = gan.image_size(), C = gan.channels();
  std::vector<Image> images;
  gan.eval();
  for (int64_t begin = 0; begin < z.dim(0); begin += kBatch) {
    const int64_t count = std::min(kBatch, z.dim(0) - begin);
    const std::vector<float> values = gan.generate(z.rows(begin, count)).to_floats();
    for (auto from = values.begin(); from != values.end();) {
      Image& image = images.emplace_back(side, side, C);
      const auto end = from + static_cast<std::ptrdiff_t>(image.size());
      std::transform(from, end, image.pixels.begin(), to_byte);
      from = end;
    }
  }
  gan.train();
  return images;
}

std::unique_ptr<Dcgan> load_dcgan(const RunFolder& folder) {
  const RunConfig config = load_config(folder.config());
  const std::string source = folder.model().string();
  ASSAY_CHECK_AS(CheckpointError, std::filesystem::exists(folder.model()),
                 "{}: not there; the training has not ended, go on with --resume", source);
  auto gan = make_dcgan(config);
  load_state(*gan, read_checked(folder.model()).tensors, source);
  return gan;
}

void generate_dcgan(const RunFolder& folder, uint64_t seed, int64_t count,
                    const GeneratedImage& write) {
  constexpr int64_t kChunk = 256;  // images at once, to limit memory
  const auto gan = load_dcgan(folder);
  const Tensor z = draw_latents(seed, 0, count);
  for (int64_t begin = 0; begin < count; begin += kChunk) {
    const int64_t n = std::min(kChunk, count - begin);
    const std::vector<Image> images = generate_images(*gan, z.rows(begin, n));
    for (int64_t i = 0; i < n; ++i) write(begin + i, images[i]);
  }
}

bool collapsed(const DcganOutcome& outcome) {
  return outcome.spread_generated < 0.1 * outcome.spread_training;
}

bool discriminator_won(const DcganOutcome& outcome) {
  return outcome.last.d_real > 0.95 && outcome.last.d_fake < 0.05;
}

bool blew_up(const DcganOutcome& outcome) {
  return outcome.last.loss_g > 20;  // D gives generated images the probability e^-20 of being real
}

double DcganOutcome::near_bound() const {
  return kNearRatio * held_out_distance;
}

bool looks_unlike(const DcganOutcome& outcome) {
  return 2 * outcome.far > outcome.generated;
}

bool shows_little_variety(const DcganOutcome& outcome) {
  return outcome.spread_generated < 0.5 * outcome.spread_training;
}

std::vector<std::string> diagnostics_of(const DcganOutcome& o) {
  const std::string game =
      fmt::format("D(x) {:.2f}, D(G(z)) {:.2f} over the last steps", o.last.d_real, o.last.d_fake);
  const std::string spread =
      fmt::format("two generated images differ by {:.3f}, two training images by {:.3f}",
                  o.spread_generated, o.spread_training);
  std::vector<std::string> sentences;
  if (blew_up(o)) {
    sentences.push_back(fmt::format(
        "The game blew up: the generator's loss is {:.1f}; try a smaller --lr or another --seed.",
        o.last.loss_g));
  } else if (discriminator_won(o)) {
    sentences.push_back(fmt::format(
        "The discriminator won: it is sure of nearly every image ({}), so the generator "
        "learns slowly; try more --steps, a smaller --batch or another --seed.",
        game));
  } else {
    sentences.push_back(fmt::format("Neither network won: {}.", game));
  }
  if (collapsed(o))
    sentences.push_back(
        fmt::format("The generator collapsed: its images are nearly the same ({}); try another "
                    "--seed or a smaller --lr.",
                    spread));
  else if (shows_little_variety(o))
    sentences.push_back(fmt::format("The generator shows little variety: {}.", spread));
  const std::string medians =
      fmt::format("the nearest training image is {:.3f} away, from held-out good images {:.3f}",
                  o.generated_distance, o.held_out_distance);
  if (o.copies > 0)
    sentences.push_back(
        fmt::format("{} of {} generated images are nearer to a training image than any two of "
                    "those are to each other: they may be copies.",
                    o.copies, o.generated));
  if (looks_unlike(o))
    sentences.push_back(fmt::format(
        "The generated images do not resemble the training images: {} of {} lie farther "
        "than {:.3f} from all of them ({}); try more --steps.",
        o.far, o.generated, o.near_bound(), medians));
  else if (o.copies == 0)
    sentences.push_back(fmt::format(
        "The generated images lie near real ones ({}), and none is nearer to a training image than "
        "any two of those are to each other: nothing is copied pixel for pixel.",
        medians));
  return sentences;
}

}  // namespace assay

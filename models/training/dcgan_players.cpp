#include "models/training/dcgan_players.h"

#include <algorithm>
#include <cmath>
#include <span>

#include "kernels/random/random.h"
#include "layers/state.h"
#include "models/training/readback.h"
#include "models/training/recorded_step.h"
#include "tensor/ops.h"
#include "tensor/tape.h"

namespace assay {
namespace {

constexpr double kBeta1 = 0.5;
constexpr const char* kDiscriminator = "discriminator_optimizer.";
constexpr const char* kGenerator = "generator_optimizer.";
constexpr const char* kModel = "model.";

AdamOptions adam_options(const RunConfig& config) {
  return {.learning_rate = config.lr,
          .beta1 = kBeta1,
          .placement = config.eps_placement == "torch" ? EpsPlacement::torch : EpsPlacement::keras};
}

double mean_probability(std::span<const float> logits) {
  double sum = 0;
  for (const double v : logits) sum += 1 / (1 + std::exp(-v));
  return sum / static_cast<double>(logits.size());
}

void check_loss(double loss, const char* whose, int64_t step, const std::function<void()>& again) {
  ASSAY_CHECK(
      std::isfinite(loss),
      "training: the loss of the {} became {} in step {}{}: the game blew up; try a smaller --lr",
      whose, loss, step, op_to_blame(again));
}

void add_with_prefix(StateDict& to, const std::string& prefix, StateDict from) {
  for (auto& [name, tensor] : from) to.emplace(prefix + name, std::move(tensor));
}

StateDict without_prefix(const StateDict& from, const std::string& prefix) {
  StateDict found;
  for (const auto& [name, tensor] : from)
    if (name.rfind(prefix, 0) == 0) found.emplace(name.substr(prefix.size()), tensor);
  return found;
}

/// From [-1,1] to 8 bits.
uint8_t to_byte(float v) {
  return static_cast<uint8_t>(std::lround(std::clamp((v + 1) / 2, 0.0f, 1.0f) * 255));
}

}  // namespace

Tensor draw_latents(uint64_t seed, uint64_t draw, int64_t n) {
  Tensor z = Tensor::empty({n, 1, 1, Dcgan::kLatent});
  random_normal(current_context(), seed, stream_id(RandomStream::latent, draw), z.size(), 0.0f,
                1.0f, z.mutable_data<float>());
  return z;
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

GanPlayers::GanPlayers(Dcgan& gan, const RunConfig& config)
    : gan_(gan),
      k_steps_(config.k_steps),
      batch_(config.batch),
      seed_(config.seed),
      discriminator_adam_(gan.discriminator_parameters(), adam_options(config)),
      generator_adam_(gan.generator_parameters(), adam_options(config)),
      one_(Tensor::full({config.batch, 1}, 1)),
      zero_(Tensor::zeros({config.batch, 1})) {
  gan_.train();
}

GanPlayers::~GanPlayers() = default;

/// What a recorded game reads and leaves behind, in tensors of its own.
struct GanPlayers::Recorded {
  explicit Recorded(GanPlayers& players)
      : batch(players.batch_),
        step({&players.gan_},
             {{&players.discriminator_adam_, players.k_steps_}, {&players.generator_adam_}}) {
    const int side = players.gan_.image_size(), C = players.gan_.channels();
    for (int i = 0; i < players.k_steps_; ++i) {
      real.push_back(Tensor::empty({batch, side, side, C}));
      latents.push_back(Tensor::empty({batch, 1, 1, Dcgan::kLatent}));
    }
  }

  /// Of the last discriminator step, where there are several.
  void keep(const Verdict& v) const {
    figures.rows(v.of, 1).copy_from(v.loss.reshape({1, 1}));
    if (v.logits.defined()) figures.rows(kLosses + v.of * batch, batch).copy_from(v.logits);
  }

  static constexpr int64_t kLosses = 3;
  int64_t batch;
  std::vector<Tensor> real, latents;  // of each discriminator step
  // The losses by Verdict::Of, then the logits of real pictures and of generated ones.
  Tensor figures = Tensor::empty({kLosses + 2 * batch, 1});
  Readback readback{figures.size()};
  int64_t finished = 0;  // the last step whose figures were looked at
  RecordedStep step;
};

void GanPlayers::note(GanFigures& figures, Verdict::Of of, double loss,
                      std::span<const float> logits, int64_t step,
                      const std::function<void()>& again) {
  check_loss(loss, of == Verdict::generator ? "generator" : "discriminator", step, again);
  switch (of) {
    case Verdict::real:
      figures.loss_d = loss;
      figures.d_real = mean_probability(logits);
      break;
    case Verdict::fake:
      figures.loss_d += loss;
      figures.d_fake = mean_probability(logits);
      break;
    case Verdict::generator:
      figures.loss_g = loss;
  }
}

std::vector<GanStep> GanPlayers::step(const std::function<Tensor(int64_t)>& real) {
  if (RecordedStep::wanted()) return recorded_step(real);
  std::vector<GanStep> done = finish();
  const int64_t first = steps() * k_steps_;
  GanStep now{steps() + 1, {}};
  play({.real = [&](int i) { return real(first + i); },
        .latents = [&](int i) { return draw_latents(seed_, 1 + first + i, batch_); },
        .see =
            [&](const Verdict& v) {
              const std::vector<float> logits =
                  v.logits.defined() ? v.logits.to_floats() : std::vector<float>();
              note(now.figures, v.of, v.loss.item(), logits, now.step, v.again);
            },
        .update = [](Adam& adam) { adam.step(); }});
  done.push_back(now);
  return done;
}

std::vector<GanStep> GanPlayers::recorded_step(const std::function<Tensor(int64_t)>& real) {
  const int64_t first = steps() * k_steps_;
  if (!recorded_) recorded_ = std::make_unique<Recorded>(*this);
  if (recorded_->readback.empty()) recorded_->finished = steps();
  for (int i = 0; i < k_steps_; ++i) {
    recorded_->real[i].copy_from(real(first + i));
    recorded_->latents[i].copy_from(draw_latents(seed_, 1 + first + i, batch_));
  }
  recorded_->step.run([&] {
    play({.real = [&](int i) { return recorded_->real[i]; },
          .latents = [&](int i) { return recorded_->latents[i]; },
          .see = [&](const Verdict& v) { recorded_->keep(v); },
          .update = [](Adam& adam) { adam.apply(); }});
  });
  recorded_->readback.push(recorded_->figures);
  std::vector<GanStep> done;
  if (recorded_->readback.full()) done.push_back(finish_one());
  return done;
}

GanStep GanPlayers::finish_one() {
  const std::vector<float> values = recorded_->readback.pop();
  const std::span<const float> logits = std::span(values).subspan(Recorded::kLosses);
  GanStep done{++recorded_->finished, {}};
  for (const auto of : {Verdict::real, Verdict::fake, Verdict::generator})
    note(done.figures, of, values[of],
         of == Verdict::generator ? std::span<const float>()
                                  : logits.subspan(of * recorded_->batch, recorded_->batch),
         done.step, [] {});
  return done;
}

std::vector<GanStep> GanPlayers::finish() {
  std::vector<GanStep> done;
  while (recorded_ && !recorded_->readback.empty()) done.push_back(finish_one());
  return done;
}

void GanPlayers::play(const Moves& moves) {
  const int last = k_steps_ - 1;
  for (int i = 0; i < last; ++i)
    discriminator_step(moves.real(i), gan_.generate(moves.latents(i)), moves);

  // The pictures of the last discriminator step are those of the generator's step: made once.
  Tape tape;
  const Tensor fake = gan_.generate(moves.latents(last));
  discriminator_step(moves.real(last), fake.detach(), moves);

  gan_.discriminator().set_requires_grad(false);  // only its pictures' gradients are wanted
  const Tensor loss = bce_with_logits_loss(gan_.discriminate(fake), one_);
  moves.see({.of = Verdict::generator, .loss = loss, .logits = {}, .again = [&] {
               gan_.discriminate(gan_.generate(moves.latents(last)));
             }});
  tape.backward(loss);
  moves.update(generator_adam_);
  generator_adam_.zero_grad();
  gan_.discriminator().set_requires_grad(true);
}

/// Real and generated pictures are batches of their own: batch norm sees them apart. Each goes
/// backward before the next goes forward, so that the activations of only one are kept; the
/// gradients add up.
void GanPlayers::discriminator_step(const Tensor& real, const Tensor& fake, const Moves& moves) {
  const auto judge = [&](Verdict::Of of, const Tensor& pictures, const Tensor& label) {
    Tape tape;
    const Tensor logits = gan_.discriminate(pictures);
    const Tensor loss = bce_with_logits_loss(logits, label);
    moves.see(
        {.of = of, .loss = loss, .logits = logits, .again = [&] { gan_.discriminate(pictures); }});
    tape.backward(loss);
  };
  judge(Verdict::real, real, one_);
  judge(Verdict::fake, fake, zero_);
  moves.update(discriminator_adam_);
  discriminator_adam_.zero_grad();  // their memory is wanted for the generator's
}

StateDict GanPlayers::save() const {
  StateDict state;
  add_with_prefix(state, kModel, save_state(gan_));
  add_with_prefix(state, kDiscriminator, discriminator_adam_.save());
  add_with_prefix(state, kGenerator, generator_adam_.save());
  return state;
}

void GanPlayers::load(const StateDict& state, const std::string& source) {
  load_state(gan_, without_prefix(state, kModel), source);
  discriminator_adam_.load(without_prefix(state, kDiscriminator), source);
  generator_adam_.load(without_prefix(state, kGenerator), source);
}

}  // namespace assay

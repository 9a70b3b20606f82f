#include "models/dcgan_players.h"

#include <algorithm>
#include <cmath>

#include "kernels/random/random.h"
#include "layers/state.h"
#include "models/recorded_step.h"
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

double mean_probability(const Tensor& logits) {
  const std::vector<double> values = logits.to_doubles();
  double sum = 0;
  for (const double v : values) sum += 1 / (1 + std::exp(-v));
  return sum / static_cast<double>(values.size());
}

double finite_loss(const Tensor& loss, const char* whose, int64_t step,
                   const std::function<void()>& again) {
  const double value = loss.item();
  ASSAY_CHECK(std::isfinite(value), "training: the loss of the ", whose, " became ", value,
              " in step ", step + 1, op_to_blame(again), ": the game blew up; try a smaller --lr");
  return value;
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
      : real(Tensor::empty({players.batch_, players.gan_.image_size(), players.gan_.image_size(),
                            players.gan_.channels()})),
        latents(Tensor::empty({players.batch_, 1, 1, Dcgan::kLatent})),
        step({&players.gan_}, {&players.discriminator_adam_, &players.generator_adam_}) {
    for (const auto of : {Verdict::real, Verdict::fake, Verdict::generator})
      verdicts.push_back({of, Tensor::empty({1}), Tensor::empty({players.batch_, 1}), [] {}});
  }

  void keep(const Verdict& v) const {
    verdicts[v.of].loss.copy_from(v.loss);
    if (v.logits.defined()) verdicts[v.of].logits.copy_from(v.logits);
  }

  Tensor real, latents;
  std::vector<Verdict> verdicts;  // by Verdict::Of
  RecordedStep step;
};

GanFigures GanPlayers::step(const std::function<Tensor(int64_t)>& real) {
  const int64_t number = steps(), first = number * k_steps_;
  GanFigures figures;
  const auto read = [&](const Verdict& v) {
    const double loss = finite_loss(
        v.loss, v.of == Verdict::generator ? "generator" : "discriminator", number, v.again);
    if (v.of == Verdict::generator) {
      figures.loss_g = loss;
      return;
    }
    const bool first_half = v.of == Verdict::real;
    figures.loss_d = first_half ? loss : figures.loss_d + loss;
    (first_half ? figures.d_real : figures.d_fake) = mean_probability(v.logits);
  };
  const auto latents = [&](int64_t i) { return draw_latents(seed_, 1 + i, batch_); };
  // With several discriminator steps its optimizer would need several sets of constants.
  if (!RecordedStep::wanted() || k_steps_ > 1) {
    play({.real = [&](int i) { return real(first + i); },
          .latents = [&](int i) { return latents(first + i); },
          .see = read,
          .update = [](Adam& adam) { adam.step(); }});
    return figures;
  }
  if (!recorded_) recorded_ = std::make_unique<Recorded>(*this);
  recorded_->real.copy_from(real(first));
  recorded_->latents.copy_from(latents(first));
  recorded_->step.run([&] {
    play({.real = [&](int) { return recorded_->real; },
          .latents = [&](int) { return recorded_->latents; },
          .see = [&](const Verdict& v) { recorded_->keep(v); },
          .update = [](Adam& adam) { adam.apply(); }});
  });
  for (const Verdict& v : recorded_->verdicts) read(v);
  return figures;
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

// The DCGAN's two networks at play: a game in place of a loss to be lowered. Goodfellow et al.,
// 2014, arXiv:1406.2661, algorithm 1; Radford et al., 2016, arXiv:1511.06434, section 4.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "data/image.h"
#include "models/networks/dcgan.h"
#include "models/run/config.h"
#include "optim/adam.h"

namespace assay {

/// What one step of the game shows, or the means over several.
struct GanFigures {
  double loss_d = 0;  ///< binary cross-entropy of real pictures plus that of generated ones
  double loss_g = 0;  ///< of generated pictures called real ("non-saturating")
  double d_real = 0;  ///< D(x): the probability of being real that D gives real pictures
  double d_fake = 0;  ///< D(G(z)): the same for generated ones, before D's update
};

/// A step of the game, from 1, and what it showed.
struct GanStep {
  int64_t step;
  GanFigures figures;
};

/// n latents from N(0,1); latent i is a function of (seed, draw, i). Draw 0 gives the latents of
/// `assay generate` and of the grids; training takes the others. // (n,1,1,100)
Tensor draw_latents(uint64_t seed, uint64_t draw, int64_t n);

/// The generator's picture of each latent, with the running statistics of batch norm, so that a
/// picture depends on its own latent alone. Leaves `gan` in training mode.
std::vector<Image> generate_images(Dcgan& gan, const Tensor& z);

/// The networks, each with its optimizer.
class GanPlayers {
 public:
  /// `gan` outlives this.
  GanPlayers(Dcgan& gan, const RunConfig& config);
  ~GanPlayers();

  /// k discriminator steps, then one of the generator. real(i) is batch i of the discriminator, in
  /// [-1,1] // (N,H,W,C). Gives the steps whose figures are known now: this one or, where steps are
  /// recorded, the one before. Error that names the step when a loss is not finite.
  std::vector<GanStep> step(const std::function<Tensor(int64_t)>& real);
  /// The steps whose figures were still on their way, waited for. Same Error.
  std::vector<GanStep> finish();
  /// Of the generator.
  int64_t steps() const { return generator_adam_.steps(); }

  /// All that a resumed game needs.
  StateDict save() const;
  /// CheckpointError that starts with `source`.
  void load(const StateDict& state, const std::string& source);

 private:
  /// One of the three losses of a step.
  struct Verdict {
    enum Of : uint8_t { real, fake, generator } of;
    Tensor loss;                  // (1)
    Tensor logits;                // (N,1); undefined for the generator
    std::function<void()> again;  ///< the operations behind it, to find the one to blame
  };
  /// What a step differs in when it is recorded.
  struct Moves {
    std::function<Tensor(int i)> real, latents;  ///< of discriminator step i
    std::function<void(const Verdict&)> see;
    std::function<void(Adam&)> update;
  };
  struct Recorded;

  std::vector<GanStep> recorded_step(const std::function<Tensor(int64_t)>& real);
  GanStep finish_one();
  /// Adds a loss to the figures of its step; logits are the generator's to leave out.
  static void note(GanFigures& figures, Verdict::Of of, double loss, std::span<const float> logits,
                   int64_t step, const std::function<void()>& again);
  void play(const Moves& moves);
  void discriminator_step(const Tensor& real, const Tensor& fake, const Moves& moves);

  Dcgan& gan_;
  int k_steps_, batch_;
  uint64_t seed_;
  Adam discriminator_adam_, generator_adam_;
  Tensor one_, zero_;  // (N,1)
  std::unique_ptr<Recorded> recorded_;
};

}  // namespace assay

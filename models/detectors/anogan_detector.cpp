#include "models/detectors/anogan_detector.h"

#include <algorithm>
#include <cmath>

#include "kernels/random/random.h"
#include "layers/state.h"
#include "models/training/checkpoint.h"
#include "optim/adam.h"
#include "tensor/ops.h"
#include "tensor/tape.h"

namespace assay {
namespace {

/// The sum of |a - b|; where a = b its derivative is 0.
Tensor l1_distance(const Tensor& a, const Tensor& b) {
  const Tensor d = subtract(a, b);
  return sum(add(relu(d), relu(affine(d, -1, 0))));
}

/// The sum of |a - b| of each of the N images, in host memory. // (N)
std::vector<double> l1_distances(const Tensor& a, const Tensor& b) {
  const std::vector<float> u = a.to_floats(), v = b.to_floats();
  std::vector<double> sums(static_cast<size_t>(a.dim(0)));
  const size_t each = u.size() / sums.size();
  for (size_t i = 0; i < u.size(); ++i) sums[i / each] += std::abs(double{u[i]} - double{v[i]});
  return sums;
}

/// One row n times.
Tensor repeated(const Tensor& row, int64_t n) {
  const std::vector<float> values = row.to_floats();
  std::vector<float> all;
  for (int64_t i = 0; i < n; ++i) all.insert(all.end(), values.begin(), values.end());
  Shape shape = row.shape();
  shape[0] = n;
  return Tensor::from(std::move(shape), all);
}

/// The latent that a restart begins with, once for each of n images. // (n,1,1,100)
Tensor initial_latents(uint64_t seed, int restart, int64_t n) {
  const Tensor one = Tensor::empty({1, 1, 1, Dcgan::kLatent});
  random_normal(current_context(), seed,
                stream_id(RandomStream::search, static_cast<uint64_t>(restart)), one.size(), 0.0f,
                1.0f, one.mutable_data<float>());
  return repeated(one, n);
}

LatentMatch search_once(Dcgan& gan, const Tensor& x, const Tensor& features, int restart,
                        const LatentSearch& options) {
  Tensor z = initial_latents(options.seed, restart, x.dim(0));
  z.set_requires_grad(true);
  Adam adam({{.name = "z", .tensor = z, .layout = {}, .role = {}}},
            {.learning_rate = options.learning_rate});
  for (int step = 0; step < options.steps; ++step) {
    options.before_step();
    Tape tape;
    tape.backward(latent_loss(gan, x, features, z, options.weight));
    adam.step();
    adam.zero_grad();
  }
  const Tensor generated = gan.generate(z);
  return {.residual = l1_distances(x, generated),
          .discrimination = l1_distances(features, gan.features(generated)),
          .generated = generated.to_floats()};
}

/// Replaces the match of every image for which `other` has the smaller loss.
void keep_better(LatentMatch& best, const LatentMatch& other, double weight) {
  const size_t N = best.residual.size(), each = best.generated.size() / N;
  for (size_t n = 0; n < N; ++n) {
    if (!(other.loss(n, weight) < best.loss(n, weight))) continue;
    best.residual[n] = other.residual[n];
    best.discrimination[n] = other.discrimination[n];
    const auto from = other.generated.begin() + static_cast<std::ptrdiff_t>(n * each);
    std::copy_n(from, each, best.generated.begin() + static_cast<std::ptrdiff_t>(n * each));
  }
}

/// The weights of a GAN are constants and batch norm uses its running statistics while this lives.
class Frozen {
 public:
  explicit Frozen(Dcgan& gan) : gan_(gan) {
    gan_.eval();
    gan_.set_requires_grad(false);
  }
  ~Frozen() {
    gan_.set_requires_grad(true);
    gan_.train();
  }
  Frozen(const Frozen&) = delete;
  Frozen& operator=(const Frozen&) = delete;

 private:
  Dcgan& gan_;
};

}  // namespace

Tensor latent_loss(Dcgan& gan, const Tensor& x, const Tensor& features, const Tensor& z,
                   double weight) {
  const Tensor generated = gan.generate(z);
  const Tensor residual = l1_distance(generated, x);
  const Tensor discrimination = l1_distance(gan.features(generated), features);
  return add(affine(residual, 1 - weight, 0), affine(discrimination, weight, 0));
}

LatentMatch search_latents(Dcgan& gan, const Tensor& x, const LatentSearch& options) {
  if (x.dim(0) == 1) {
    // A batch of one takes other matrix products, whose sums have another order, and a search makes
    // much of a rounding error.
    LatentMatch twice = search_latents(gan, repeated(x, 2), options);
    twice.residual.resize(1);
    twice.discrimination.resize(1);
    twice.generated.resize(twice.generated.size() / 2);
    return twice;
  }
  const Frozen frozen(gan);
  const Tensor features = gan.features(x);
  LatentMatch best = search_once(gan, x, features, 0, options);
  for (int restart = 1; restart < options.restarts; ++restart)
    keep_better(best, search_once(gan, x, features, restart, options), options.weight);
  return best;
}

AnoganDetector::AnoganDetector(RunConfig config)
    : Detector(std::move(config)), gan_(config_.image_size, config_.channels()) {
  scoring_.component_names = {"loss", "residual", "discrimination"};
  scoring_.components_in_score = 1;
  search_.steps = config_.own<int>("search_steps");
  search_.restarts = config_.own<int>("search_restarts");
  search_.weight = config_.own<double>("lambda");
  search_.learning_rate = config_.own<double>("search_lr");
  search_.seed = config_.seed;
}

Prediction AnoganDetector::predict(const Tensor& x) {
  LatentMatch match = search_latents(gan_, affine(x, 2, -1), search_);
  Prediction prediction;
  for (size_t n = 0; n < match.residual.size(); ++n)
    prediction.components.push_back(
        {match.loss(n, search_.weight), match.residual[n], match.discrimination[n]});
  for (float& v : match.generated) v = (v + 1) / 2;
  const std::vector<float> original = x.to_floats();
  const size_t channels = static_cast<size_t>(x.dim(3));
  prediction.heat.resize(original.size() / channels);
  for (size_t i = 0; i < original.size(); ++i)
    prediction.heat[i / channels] +=
        std::abs(original[i] - match.generated[i]) / static_cast<float>(channels);
  prediction.reconstruction = std::move(match.generated);
  return prediction;
}

void AnoganDetector::save(const RunFolder& folder) const {
  write_checked(folder.model(), {save_state(gan_), metadata()});
}

void AnoganDetector::load(const RunFolder& folder) {
  const SafeTensors model = read_model(folder);
  load_state(gan_, model.tensors, folder.model().string());
}

std::vector<Option> latent_search_options() {
  const LatentSearch defaults;
  return {own_option("lambda", defaults.weight, share{},
                     "weight of the discriminator's features in the loss of a latent, 0 to 1"),
          own_option("search_steps", defaults.steps, at_least{1},
                     "steps of Adam on the latent of an image"),
          own_option("search_lr", defaults.learning_rate, positive{}, "their learning rate"),
          own_option("search_restarts", defaults.restarts, at_least{1},
                     "searches from other latents; the one with the smallest loss counts")};
}

}  // namespace assay

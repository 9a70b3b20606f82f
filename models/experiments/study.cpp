#include "models/experiments/study.h"

namespace assay {

const std::vector<StudyClaim>& study_claims() {
  static const std::vector<StudyClaim> claims = {
      {"KD-CAE detects better than the CNN", BetterModelClaim{"kd-cae", "cnn", {}}},
      {"KD-CAE detects better than NI-CAE, except on transistor",
       BetterModelClaim{"kd-cae", "ni-cae", {"transistor"}}},
      {"Noise lowers NI-CAE's F1 by 28.10 % on toothbrush",
       NoiseDropClaim{"ni-cae", "toothbrush", 28.10}},
      {"Noise lowers NI-CAE's F1 by 2.56 % on transistor",
       NoiseDropClaim{"ni-cae", "transistor", 2.56}},
      {"NI-CAE is most robust to noise on transistor", MostRobustClaim{"ni-cae", "transistor"}},
      {"The CNN is poor for lack of data (AUROC of about 0.65 at best, toothbrush)",
       PoorModelClaim{"cnn", "toothbrush", 0.65}, "The rule checks that it is poor, not why."},
      {"A smaller latent detects worse", OptionClaim{"kd-cae", "latent", false},
       "The rule compares AUROC; the validation losses stand beside it."},
      {"A little overfitting helps", OptionClaim{"kd-cae", "keep_last", true},
       "The changed runs keep the last weights in place of those with the lowest validation loss."},
      {"Screws are the worst class", WorstClassClaim{"kd-cae", "screw"}},
      {"Generated images are unmistakably real",
       UntestableClaim{"it takes people who look at them; the section on generated images has "
                       "their distances to real ones"}}};
  return claims;
}

std::optional<double> published_noise_drop(const std::string& model,
                                           const std::string& object_class) {
  for (const StudyClaim& claim : study_claims())
    if (const auto* drop = std::get_if<NoiseDropClaim>(&claim.rule);
        drop != nullptr && drop->model == model && drop->object_class == object_class)
      return drop->percent;
  return std::nullopt;
}

}  // namespace assay

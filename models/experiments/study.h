// The claims of the study (arXiv:2107.09204) as rules that a program can check against runs.
#pragma once

#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace assay {

/// A model's image AUROC is higher than another's on every class, and lower on the exceptions.
struct BetterModelClaim {
  std::string first, second;
  std::vector<std::string> except;
};
/// Noise in training and test lowers F1 by so many per cent of it, by class.
struct NoiseDropClaim {
  std::string model, object_class;
  double percent;
};
/// Noise lowers F1 least on one class.
struct MostRobustClaim {
  std::string model, object_class;
};
/// A model's image AUROC on a class is at most so much.
struct PoorModelClaim {
  std::string model, object_class;
  double max_auroc;
};
/// Runs whose `option` is not the default detect better than those with the default, or worse.
struct OptionClaim {
  std::string model, option;
  bool changed_is_better;
};
/// A model's image AUROC is lowest on one class.
struct WorstClassClaim {
  std::string model, object_class;
};
struct UntestableClaim {
  std::string reason;
};

struct StudyClaim {
  std::string text;
  std::variant<BetterModelClaim, NoiseDropClaim, MostRobustClaim, PoorModelClaim, OptionClaim,
               WorstClassClaim, UntestableClaim>
      rule;
  std::string remark = {};  ///< what the rule leaves out
};

const std::vector<StudyClaim>& study_claims();

/// The drop of F1 by noise that the study prints for a model on a class, per cent.
std::optional<double> published_noise_drop(const std::string& model,
                                           const std::string& object_class);

}  // namespace assay

#include "apps/report/findings.h"

#include <algorithm>
#include <cctype>

#include "apps/report/text.h"
#include "kernels/runtime/error.h"
#include "models/experiments/configure.h"

namespace assay {
namespace {

/// Only letters, digits and dashes, for use in a link.
std::string id_of(const std::string& name) {
  std::string id;
  for (const unsigned char c : name)
    id += std::isalnum(c) != 0 ? static_cast<char>(std::tolower(c)) : '-';
  return id;
}

class Gathering {
 public:
  explicit Gathering(std::vector<ClassFindings>& classes) : classes_(classes) {}

  /// The entry of the run's class, created on first use.
  ClassFindings& class_of(const RunResult& run) {
    const std::string key = data_name(run.config) + "\n" + run.config.object_class;
    const auto known = std::find(keys_.begin(), keys_.end(), key);
    if (known != keys_.end()) return classes_[known - keys_.begin()];
    keys_.push_back(key);
    ClassFindings& found = classes_.emplace_back();
    found.name = run.config.object_class;
    const std::string id = id_of(found.name);
    found.id = id_is_taken(id) ? fmt::format("{}-{}", id, keys_.size()) : id;
    found.synthetic = run.common().is_synthetic;
    return found;
  }

 private:
  bool id_is_taken(const std::string& id) const {
    return std::any_of(classes_.begin(), classes_.end(),
                       [&](const ClassFindings& c) { return c.id == id; });
  }

  std::vector<ClassFindings>& classes_;
  std::vector<std::string> keys_;
};

/// Whether a run only shows what another value of an option does, which has a table of its own.
bool is_variant(const RunConfig& config) {
  const std::vector<std::string> changed =
      differences(default_config(config.model, config.preset), config);
  return std::any_of(changed.begin(), changed.end(), [](const std::string& option) {
    return option == "latent" || option == "keep_last";
  });
}

/// Groups without noise where the model has such, and of these the ones that are no variants.
void choose_compared(ClassFindings& of_class) {
  const auto has_clean = [&](const std::string& model) {
    return std::any_of(of_class.groups.begin(), of_class.groups.end(), [&](const SeedGroup* g) {
      return g->config().model == model && g->clean();
    });
  };
  for (const SeedGroup* group : of_class.groups)
    if (group->clean() || !has_clean(group->config().model)) of_class.compared.push_back(group);
  const auto has_usual = [&](const std::string& model) {
    return std::any_of(of_class.compared.begin(), of_class.compared.end(), [&](const SeedGroup* g) {
      return g->config().model == model && !is_variant(g->config());
    });
  };
  std::vector<const SeedGroup*> usual;
  for (const SeedGroup* group : of_class.compared)
    if (!is_variant(group->config()) || !has_usual(group->config().model)) usual.push_back(group);
  of_class.compared = usual;
}

/// The best groups of the best two models, or of the only one.
void choose_best(ClassFindings& of_class) {
  std::vector<const SeedGroup*> ranked;
  for (const SeedGroup* group : of_class.compared)
    if (group->summary(&DetectorMetrics::image_auroc)) ranked.push_back(group);
  std::stable_sort(ranked.begin(), ranked.end(), [](const SeedGroup* a, const SeedGroup* b) {
    return mean_auroc(*a) > mean_auroc(*b);
  });
  if (ranked.empty()) return;
  of_class.best.push_back(ranked.front());
  const auto other = std::find_if(ranked.begin(), ranked.end(), [&](const SeedGroup* group) {
    return group->config().model != ranked.front()->config().model;
  });
  if (other != ranked.end())
    of_class.best.push_back(*other);
  else if (ranked.size() > 1)
    of_class.best.push_back(ranked[1]);
  if (of_class.best.size() == 2)
    of_class.difference = difference_of(*of_class.best[0], *of_class.best[1]);
}

/// The leader has the higher AUROC on the images that both scored; over all images of each the
/// order may differ.
void compare(const GroupDifference& d, Verdict& verdict) {
  const bool swapped = d.auroc.estimate < 0;
  const Interval interval = d.auroc.interval;
  const bool enough = d.seeds >= kMinSeeds;
  verdict.kind = d.clear()                 ? Verdict::Kind::decided
                 : d.auroc.excludes_zero() ? Verdict::Kind::few_seeds
                 : enough && d.auroc.equivalent_within(kEquivalenceMargin)
                     ? Verdict::Kind::equivalent
                     : Verdict::Kind::undecided;
  verdict.leader = swapped ? d.second : d.first;
  verdict.follower = swapped ? d.first : d.second;
  verdict.leader_auroc = swapped ? d.second_auroc : d.first_auroc;
  verdict.follower_auroc = swapped ? d.first_auroc : d.second_auroc;
  verdict.difference = swapped ? Interval{-interval.high, -interval.low} : interval;
  verdict.images = d.good + d.defective;
  verdict.seeds = d.seeds;
  verdict.seeds_ahead = swapped ? d.seeds - d.seeds_ahead : d.seeds_ahead;
  verdict.has_unpaired_seeds =
      static_cast<int64_t>(std::max(d.first->runs.size(), d.second->runs.size())) > d.seeds;
}

Verdict verdict_on(const ClassFindings& c) {
  Verdict verdict;
  if (c.compared.empty()) return verdict;
  verdict.kind = Verdict::Kind::one_kind;
  if (c.best.empty()) return verdict;
  verdict.kind = Verdict::Kind::single;
  verdict.leader = c.best.front();
  if (c.difference) {
    compare(*c.difference, verdict);
  } else if (c.best.size() == 2) {
    verdict.kind = Verdict::Kind::not_comparable;
    verdict.follower = c.best.back();
  }
  if (const auto sure = verdict.leader->estimate(ScoreMetric::auroc))
    verdict.leader_interval = sure->interval;
  verdict.beats_chance = verdict.leader_interval && verdict.leader_interval->low > kChance;
  return verdict;
}

}  // namespace

const SeedGroup* ClassFindings::group_of(const std::string& model) const {
  for (const SeedGroup* group : compared)
    if (group->config().model == model) return group;
  return nullptr;
}

std::vector<const ModelSpec*> models_of(const Findings& findings) {
  std::vector<const ModelSpec*> models;
  for (const std::string& name : model_names())
    if (std::any_of(findings.runs.begin(), findings.runs.end(),
                    [&](const RunResult& run) { return run.config.model == name; }))
      models.push_back(&find_model(name));
  return models;
}

std::vector<std::string> names_of_models(const Findings& findings,
                                         const std::function<bool(const ModelSpec&)>& wanted) {
  std::vector<std::string> names;
  for (const ModelSpec* model : models_of(findings))
    if (wanted(*model)) names.push_back(model_name(model->name, model->name));
  return names;
}

std::vector<std::string> models_that_learn_from_defects(const Findings& findings) {
  return names_of_models(findings, [](const ModelSpec& m) { return m.learns_from_defects; });
}

int colour_of(const std::string& model) {
  return find_model(model).report.colour;
}

double mean_auroc(const SeedGroup& group) {
  const auto summary = group.summary(&DetectorMetrics::image_auroc);
  return summary ? summary->mean : 0;
}

Findings::Findings(const std::filesystem::path& root)
    : runs(finished_runs(root)),
      groups(seed_groups(runs)),
      unfinished(unfinished_runs(root)),
      failed(failed_runs(root)) {
  Gathering gathering(classes);
  for (const RunResult& run : runs) {
    ClassFindings& of_class = gathering.class_of(run);
    if (run.generator()) of_class.generators.push_back(&run);
  }
  for (const SeedGroup& group : groups)
    gathering.class_of(*group.runs.front()).groups.push_back(&group);
  for (ClassFindings& of_class : classes) {
    choose_compared(of_class);
    choose_best(of_class);
    of_class.verdict = verdict_on(of_class);
  }
}

bool Findings::synthetic() const {
  return std::any_of(classes.begin(), classes.end(),
                     [](const ClassFindings& c) { return c.synthetic; });
}

}  // namespace assay

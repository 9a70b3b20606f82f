#include "apps/report/claims.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "apps/report/html.h"
#include "apps/report/text.h"
#include "apps/report/training_gain.h"
#include "models/experiments/configure.h"

namespace assay {
namespace {

using Kind = ClaimResult::Kind;

/// What one class says of a claim.
enum class Vote : uint8_t { agrees, contradicts, open };

struct Votes {
  std::vector<Vote> votes;
  std::vector<std::string> numbers;

  void add(Vote vote, std::string text) {
    votes.push_back(vote);
    numbers.push_back(std::move(text));
  }
  /// A claim about all classes falls with one that contradicts it.
  Kind kind() const {
    const auto has = [&](Vote v) {
      return std::find(votes.begin(), votes.end(), v) != votes.end();
    };
    if (votes.empty()) return Kind::untestable;
    if (has(Vote::contradicts)) return Kind::refuted;
    return has(Vote::open) ? Kind::undecided : Kind::holds;
  }
};

/// "0.130 [0.05, 0.21], 3 seeds"
std::string difference_text(const Difference& d, int64_t seeds) {
  return fmt::format("{} {}, {}", decimal(d.estimate, 3), interval_text(d.interval),
                     counted(seeds, "seed"));
}

Vote vote_of(Gain gain, bool first_should_be_better) {
  switch (gain) {
    case Gain::better:
      return first_should_be_better ? Vote::agrees : Vote::contradicts;
    case Gain::worse:
      return first_should_be_better ? Vote::contradicts : Vote::agrees;
    default:
      return Vote::open;
  }
}

bool is_trained(const SeedGroup& group) {
  return !group.config().untrained;
}

std::vector<const SeedGroup*> trained_groups(const std::vector<const SeedGroup*>& groups,
                                             const std::string& model) {
  std::vector<const SeedGroup*> found;
  for (const SeedGroup* group : groups)
    if (group->config().model == model && is_trained(*group)) found.push_back(group);
  return found;
}

class Checker {
 public:
  explicit Checker(const Findings& findings) {
    for (const ClassFindings& c : findings.classes)
      if (!c.synthetic) classes_.push_back(&c);
  }

  ClaimResult check(const StudyClaim& claim) const {
    Votes votes = std::visit([&](const auto& rule) { return votes_on(rule); }, claim.rule);
    const Kind kind = votes.kind();
    std::vector<std::string> reasons = votes.numbers;
    if (const auto* untestable = std::get_if<UntestableClaim>(&claim.rule))
      reasons = {untestable->reason};
    else if (votes.votes.empty())
      reasons = {classes_.empty()
                     ? "only synthetic classes were run, which are not the study\u2019s"
                     : "the runs that it needs were not made"};
    return {&claim, kind, reasons};
  }

 private:
  bool were_run(const BetterModelClaim& rule, const std::string& object_class) const {
    return std::any_of(classes_.begin(), classes_.end(), [&](const ClassFindings* c) {
      return c->name == object_class && !trained_groups(c->compared, rule.first).empty() &&
             !trained_groups(c->compared, rule.second).empty();
    });
  }
  Votes votes_on(const BetterModelClaim& rule) const {
    Votes votes;
    for (const ClassFindings* c : classes_) {
      const bool expected =
          std::find(rule.except.begin(), rule.except.end(), c->name) == rule.except.end();
      for (const SeedGroup* first : trained_groups(c->compared, rule.first))
        for (const SeedGroup* second : trained_groups(c->compared, rule.second))
          if (const auto d = difference_of(*first, *second))
            votes.add(vote_of(gain_of(*d), expected),
                      fmt::format("{}: {} \u2212 {} {}", c->name, name_of_group(*first),
                                  name_of_group(*second), difference_text(d->auroc, d->seeds)));
    }
    // A claim with exceptions says nothing before these were run, too.
    if (!votes.votes.empty())
      for (const std::string& name : rule.except)
        if (!were_run(rule, name)) votes.add(Vote::open, name + ": not run");
    return votes;
  }

  /// The drop of F1 by noise in per cent of the F1 without, for each pair of groups of a class.
  struct Drop {
    const ClassFindings* of_class;
    const SeedGroup* noisy;
    double percent;
    Interval interval;
    int64_t seeds;

    std::string text() const {
      return fmt::format("{}: {} {} % {}, {}", of_class->name, name_of_group(*noisy),
                         decimal(percent, 1), interval_text(interval, 0), counted(seeds, "seed"));
    }
  };
  std::vector<Drop> drops(const std::string& model) const {
    std::vector<Drop> found;
    for (const ClassFindings* c : classes_)
      for (const SeedGroup* noisy : trained_groups(c->groups, model)) {
        const RunConfig& config = noisy->config();
        if (config.train_noise != "noisy" || config.test_noise != "noisy" ||
            !has_noise_of_study(config))
          continue;
        const SeedGroup* clean = clean_partner(*c, *noisy);
        if (clean == nullptr) continue;
        const auto d = difference_of(*clean, *noisy);
        const auto f1 = clean->summary(&DetectorMetrics::f1);
        if (!d || !f1 || f1->mean <= 0) continue;
        const double scale = 100 / f1->mean;
        found.push_back({c,
                         noisy,
                         scale * d->f1.estimate,
                         {scale * d->f1.interval.low, scale * d->f1.interval.high},
                         d->seeds});
      }
    return found;
  }
  Votes votes_on(const NoiseDropClaim& rule) const {
    Votes votes;
    for (const Drop& drop : drops(rule.model)) {
      if (drop.of_class->name != rule.object_class) continue;
      const bool contains = drop.interval.low <= rule.percent && rule.percent <= drop.interval.high;
      Vote vote = Vote::open;
      if (drop.seeds >= kMinSeeds && !contains) vote = Vote::contradicts;
      if (drop.seeds >= kMinSeeds && contains && drop.interval.low > 0) vote = Vote::agrees;
      votes.add(vote, drop.text());
    }
    return votes;
  }

  Votes votes_on(const MostRobustClaim& rule) const {
    Votes votes;
    const std::vector<Drop> all = drops(rule.model);
    for (const Drop& mine : all) {
      if (mine.of_class->name != rule.object_class) continue;
      for (const Drop& other : all) {
        if (other.of_class == mine.of_class || other.noisy->label != mine.noisy->label) continue;
        Vote vote = Vote::open;
        if (std::min(mine.seeds, other.seeds) >= kMinSeeds) {
          if (mine.interval.high < other.interval.low) vote = Vote::agrees;
          if (mine.interval.low > other.interval.high) vote = Vote::contradicts;
        }
        votes.add(vote, mine.text() + " against " + other.text());
      }
    }
    return votes;
  }

  Votes votes_on(const PoorModelClaim& rule) const {
    Votes votes;
    for (const ClassFindings* c : classes_)
      for (const SeedGroup* group : trained_groups(c->compared, rule.model)) {
        const auto estimate = group->estimate(ScoreMetric::auroc);
        if (c->name != rule.object_class || !estimate) continue;
        const Interval& interval = estimate->interval;
        Vote vote = Vote::open;
        const auto seeds = static_cast<int64_t>(group->runs.size());
        if (seeds >= kMinSeeds && interval.high <= rule.max_auroc) vote = Vote::agrees;
        if (seeds >= kMinSeeds && interval.low > rule.max_auroc) vote = Vote::contradicts;
        votes.add(vote, fmt::format("{}: {} {} {}, {}", c->name, name_of_group(*group),
                                    decimal(mean_auroc(*group), 3), interval_text(interval),
                                    counted(seeds, "seed")));
      }
    return votes;
  }

  Votes votes_on(const OptionClaim& rule) const {
    Votes votes;
    for (const ClassFindings* c : classes_)
      for (const SeedGroup* usual : trained_groups(c->groups, rule.model))
        for (const SeedGroup* changed : trained_groups(c->groups, rule.model)) {
          RunConfig same = changed->config();
          same.seed = usual->config().seed;
          same.split_file = usual->config().split_file;
          same.data = usual->config().data;
          if (differences(usual->config(), same) != std::vector<std::string>{rule.option} ||
              !has_default(usual->config(), rule.option))
            continue;
          if (const auto d = difference_of(*changed, *usual))
            votes.add(vote_of(gain_of(*d), rule.changed_is_better),
                      fmt::format("{}: {} \u2212 {} {}, validation loss {} against {}", c->name,
                                  name_of_group(*changed), name_of_group(*usual),
                                  difference_text(d->auroc, d->seeds), loss_of(*changed, *usual),
                                  loss_of(*usual, *changed)));
        }
    return votes;
  }
  static bool has_default(const RunConfig& config, const std::string& option) {
    const RunConfig defaults = default_config(config.model, config.preset);
    const std::vector<std::string> changed = differences(defaults, config);
    return std::find(changed.begin(), changed.end(), option) == changed.end();
  }
  /// The mean of the best validation loss, over the seeds that both groups have.
  static std::string loss_of(const SeedGroup& group, const SeedGroup& other) {
    std::set<uint64_t> seeds;
    for (const RunResult* run : other.runs) seeds.insert(run->config.seed);
    double sum = 0;
    int count = 0;
    for (const RunResult* run : group.runs) {
      if (!seeds.contains(run->config.seed)) continue;
      sum += run->detector()->best_validation_loss;
      ++count;
    }
    return decimal(sum / count, 5);
  }

  Votes votes_on(const WorstClassClaim& rule) const {
    Votes votes;
    for (const ClassFindings* c : classes_) {
      if (c->name != rule.object_class) continue;
      for (const SeedGroup* mine : trained_groups(c->compared, rule.model))
        for (const ClassFindings* other : classes_)
          for (const SeedGroup* theirs : trained_groups(other->compared, rule.model)) {
            const auto a = mine->estimate(ScoreMetric::auroc),
                       b = theirs->estimate(ScoreMetric::auroc);
            if (other == c || theirs->label != mine->label || !a || !b) continue;
            Vote vote = Vote::open;
            if (static_cast<int64_t>(std::min(mine->runs.size(), theirs->runs.size())) >=
                kMinSeeds) {
              if (a->interval.high < b->interval.low) vote = Vote::agrees;
              if (a->interval.low > b->interval.high) vote = Vote::contradicts;
            }
            votes.add(vote, fmt::format("{} {} against {} {}", decimal(mean_auroc(*mine), 3),
                                        interval_text(a->interval), decimal(mean_auroc(*theirs), 3),
                                        interval_text(b->interval) + " on " + other->name));
          }
    }
    return votes;
  }

  static Votes votes_on(const UntestableClaim&) { return {}; }

  std::vector<const ClassFindings*> classes_;
};

}  // namespace

std::vector<ClaimResult> check_claims(const Findings& findings) {
  const Checker checker(findings);
  std::vector<ClaimResult> results;
  for (const StudyClaim& claim : study_claims()) results.push_back(checker.check(claim));
  return results;
}

}  // namespace assay

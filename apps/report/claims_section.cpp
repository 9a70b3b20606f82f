#include <fmt/format.h>

#include <algorithm>

#include "apps/report/claims.h"
#include "apps/report/sections.h"
#include "apps/report/text.h"
#include "apps/report/training_gain.h"

namespace assay {
namespace {

Html in_words(ClaimResult::Kind kind) {
  switch (kind) {
    case ClaimResult::Kind::holds:
      return "<b>holds</b>"_html;
    case ClaimResult::Kind::refuted:
      return "<b>refuted</b>"_html;
    case ClaimResult::Kind::undecided:
      return "undecided";
    case ClaimResult::Kind::untestable:
      return "not testable here";
  }
  return {};
}

}  // namespace

void add_claims(Page& page, const Findings& findings) {
  // The study's numbers never stand beside synthetic data.
  if (std::all_of(findings.classes.begin(), findings.classes.end(),
                  [](const ClassFindings& c) { return c.synthetic || c.groups.empty(); }))
    return;
  page.section("claims", "The study\u2019s claims");
  Table table({"claim", "here", "because"}, 3);
  for (const ClaimResult& result : check_claims(findings)) {
    Html because;
    for (const std::string& reason : result.reasons) {
      if (!because.empty()) because += "<br>"_html;
      because += reason;
    }
    if (!result.claim->remark.empty())
      because += markup("<br><small>{}</small>", result.claim->remark);
    table.row({markup("<span class=\"wrap\">{}</span>", result.claim->text), in_words(result.kind),
               markup("<span class=\"wrap\">{}</span>", because)});
  }
  page.add(table.html());
  page.add(paragraph(
      fmt::format("The claims are those of arXiv:2107.09204. Each is checked by a rule, on the "
                  "classes of real products alone, and only with {} seeds or more: it holds where "
                  "every interval says so, is refuted where one says the opposite, and is "
                  "undecided otherwise. Differences are of image AUROC; drops are of F1, in per "
                  "cent of the F1 without noise.",
                  kMinSeeds),
      "soft"));
}

}  // namespace assay

// The sections of the report, each in a file of its own, in the order of the page.
#pragma once

#include "apps/report/findings.h"
#include "apps/report/html.h"

namespace assay {

/// Three numbers and, for each class, images with their heat maps and verdicts: above everything
/// else.
std::string front(const Findings& findings);

/// Which model finds the defects best on which class, by how much, and how sure that is.
void add_answer(Page& page, const Findings& findings);
/// One sentence on a class, by rule.
std::string verdict_text(const ClassFindings& c);

/// Images, defects and sizes of each class.
void add_data(Page& page, const Findings& findings);

/// Models by class, with and without noise, fold by fold; all metrics of every group.
void add_models(Page& page, const Findings& findings);

/// Curves, histograms and image panels of each class.
void add_classes(Page& page, const Findings& findings);

/// Generated images, and whether they are copies.
void add_generators(Page& page, const Findings& findings);

/// Time of each operation of a training step and its share of the machine's peaks, from the
/// suite's profile.json; nothing where there is none.
void add_speed(Page& page, const std::filesystem::path& root);

/// Layers of the networks; what ran where and for how long; the command of each run.
void add_runs(Page& page, const Findings& findings);

}  // namespace assay

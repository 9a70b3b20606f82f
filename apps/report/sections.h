// The sections of the report, one file each, in the order of the page.
#pragma once

#include "apps/report/findings.h"
#include "apps/report/html.h"
#include "apps/report/text.h"

namespace assay {

/// The name of a class as a link to its section.
inline Html class_link(const ClassFindings& c) {
  return link_to("class-" + c.id, c.name) + synthetic_tag(c.synthetic);
}

/// Three numbers and, for each class, images with their heat maps and verdicts: above everything
/// else.
Html front(const Findings& findings);

/// The best model of each class, by how much, with intervals.
void add_answer(Page& page, const Findings& findings);
/// The verdict on a class as one sentence.
Html verdict_text(const ClassFindings& c);

/// Each trained model against its untrained network and the best baseline.
void add_training_gain(Page& page, const Findings& findings);

/// Whether the study's claims hold.
void add_claims(Page& page, const Findings& findings);

/// Images, defects and sizes of each class.
void add_data(Page& page, const Findings& findings);

/// Models by class, with and without noise, by fold; all metrics of every group.
void add_models(Page& page, const Findings& findings);

/// A subsection on the effect of noise on the test images (noise_sweep.csv).
void add_noise_sweeps(Page& page, const Findings& findings);

/// Curves, histograms and image panels of each class.
void add_classes(Page& page, const Findings& findings);

/// Generated images, and whether they are copies of training images.
void add_generators(Page& page, const Findings& findings);

/// Time of each operation of a training step and its share of the machine's peaks, from the
/// suite's profile.json; nothing where there is none.
void add_speed(Page& page, const std::filesystem::path& root);

/// Layers of the networks; machine, time and command of each run.
void add_runs(Page& page, const Findings& findings);

}  // namespace assay

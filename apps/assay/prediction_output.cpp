#include "apps/assay/prediction_output.h"

#include <fmt/format.h>

#include <cstdio>
#include <nlohmann/json.hpp>

#include "data/file.h"
#include "models/run/csv.h"

namespace assay {
namespace {

using Json = nlohmann::ordered_json;

const char* prediction_text(const ScoredImage& image) {
  return image.predicted_defective ? "defective" : "good";
}

class TextOutput : public PredictionOutput {
 public:
  explicit TextOutput(const Scoring& scoring) : threshold_(scoring.threshold) {}

  void image(const ScoredImage& image, const std::filesystem::path&) override {
    fmt::print("{:<9}  s = {:8.3f}  threshold {:.3f}  {}\n", prediction_text(image), image.score,
               threshold_, printable(image.path));
  }
  void failure(const std::string&, const std::string&) override {}

 private:
  double threshold_;
};

class JsonOutput : public PredictionOutput {
 public:
  /// `lines`: one object per line; else one array, written image by image.
  JsonOutput(const Scoring& scoring, bool lines) : scoring_(scoring), lines_(lines) {}

  void image(const ScoredImage& image, const std::filesystem::path& heat_map) override {
    Json entry = {{"path", list_name(image.path)},
                  {"score", image.score},
                  {"threshold", scoring_.threshold},
                  {"predicted", prediction_text(image)}};
    for (size_t p = 0; p < image.components.size(); ++p)
      entry[scoring_.component_names[p]] = image.components[p];
    if (!heat_map.empty()) entry["heat_map"] = list_name(heat_map.string());
    write(entry);
  }
  void failure(const std::string& path, const std::string& reason) override {
    write({{"path", list_name(path)}, {"error", printable(reason)}});
  }
  void end() override {
    if (!lines_) fmt::print("{}]\n", any_ ? "\n" : "[");
  }

 private:
  void write(const Json& entry) {
    std::string text = entry.dump(lines_ ? -1 : 2);
    if (lines_) {
      fmt::print("{}\n", text);
      return;
    }
    for (size_t at = 0; (at = text.find('\n', at)) != std::string::npos; at += 3)
      text.insert(at + 1, "  ");
    fmt::print("{}  {}", any_ ? ",\n" : "[\n", text);
    any_ = true;
  }

  const Scoring& scoring_;
  bool lines_, any_ = false;
};

class CsvOutput : public PredictionOutput {
 public:
  explicit CsvOutput(const Scoring& scoring)
      : components_(scoring.component_names.size()), threshold_(csv_number(scoring.threshold)) {
    std::vector<std::string> header = {"path", "score", "predicted"};
    header.insert(header.end(), scoring.component_names.begin(), scoring.component_names.end());
    header.push_back("threshold");
    fmt::print("{}", csv_row(header));
  }
  void image(const ScoredImage& image, const std::filesystem::path&) override {
    std::vector<std::string> row = {list_name(image.path), csv_number(image.score),
                                    prediction_text(image)};
    for (const double component : image.components) row.push_back(csv_number(component));
    row.push_back(threshold_);
    fmt::print("{}", csv_row(row));
  }
  void failure(const std::string& path, const std::string&) override {
    std::vector<std::string> row = {list_name(path), "", "unreadable"};
    row.resize(row.size() + components_ + 1);
    fmt::print("{}", csv_row(row));
  }

 private:
  size_t components_;
  std::string threshold_;
};

}  // namespace

std::unique_ptr<PredictionOutput> make_output(OutputForm form, const Scoring& scoring) {
  switch (form) {
    case OutputForm::json:
      return std::make_unique<JsonOutput>(scoring, false);
    case OutputForm::json_lines:
      return std::make_unique<JsonOutput>(scoring, true);
    case OutputForm::csv:
      return std::make_unique<CsvOutput>(scoring);
    case OutputForm::text:
      break;
  }
  return std::make_unique<TextOutput>(scoring);
}

}  // namespace assay

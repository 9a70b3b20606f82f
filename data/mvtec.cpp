#include "data/mvtec.h"

#include <algorithm>
#include <map>
#include <span>
#include <string_view>
#include <system_error>

#include "data/image_io.h"
#include "kernels/runtime/error.h"
#include "kernels/runtime/philox.h"

namespace assay {
namespace {

namespace fs = std::filesystem;

constexpr double kFolderTestShare = 0.2;

void check_folder(const fs::path& folder, const std::string& advice) {
  std::error_code ignored;
  ASSAY_CHECK_AS(DataError, fs::is_directory(folder, ignored), folder.string(),
                 ": there is no such folder; ", advice);
}

/// Names of the entries that `keep` takes, sorted. Hidden ones are skipped: "._000.png" and the
/// like are what file managers leave behind.
template <class Keep>
std::vector<std::string> names_in(const fs::path& folder, const Keep& keep) {
  std::error_code error;
  std::vector<std::string> names;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    const std::string name = it->path().filename().string();
    if (name[0] != '.' && keep(*it)) names.push_back(name);
  }
  ASSAY_CHECK_AS(DataError, !error, folder.string(), ": cannot be listed: ", error.message());
  std::sort(names.begin(), names.end());
  return names;
}

std::vector<std::string> pictures_in(const fs::path& folder) {
  return names_in(folder, [](const fs::directory_entry& entry) {
    return entry.is_regular_file() && is_image_name(entry.path());
  });
}
std::vector<std::string> folders_in(const fs::path& folder) {
  return names_in(folder, [](const fs::directory_entry& entry) { return entry.is_directory(); });
}

/// Adds the pictures of `folder`, named prefix/NAME.
void add_pictures(const fs::path& folder, const std::string& prefix, const std::string& defect,
                  std::vector<Sample>& samples) {
  for (const std::string& name : pictures_in(folder)) {
    Sample sample;
    sample.path = prefix + "/" + name;
    sample.file = folder / name;
    sample.defective = defect != "good";
    sample.defect = defect;
    samples.push_back(std::move(sample));
  }
}

/// Gives the samples of one folder the masks of another: NAME_mask.* or NAME.* for NAME.*.
void add_masks(const fs::path& folder, const fs::path& pictures, std::span<Sample> samples) {
  std::map<std::string, Sample*> by_stem;
  for (Sample& sample : samples) by_stem[sample.file.stem().string()] = &sample;
  constexpr std::string_view kEnding = "_mask";
  for (const std::string& name : pictures_in(folder)) {
    std::string stem = fs::path(name).stem().string();
    auto found = by_stem.find(stem);
    if (found == by_stem.end() && stem.ends_with(kEnding)) {
      found = by_stem.find(stem.substr(0, stem.size() - kEnding.size()));
    }
    ASSAY_CHECK_AS(DataError, found != by_stem.end(), (folder / name).string(),
                   ": a mask without its picture in ", pictures.string(),
                   "; add the picture or remove the mask");
    found->second->mask = folder / name;
  }
}

void sort_by_path(std::vector<Sample>& samples) {
  std::sort(samples.begin(), samples.end(),
            [](const Sample& a, const Sample& b) { return a.path < b.path; });
}

std::string joined(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : ", ") + word;
  return text;
}

}  // namespace

std::vector<std::string> list_mvtec_classes(const fs::path& root) {
  check_folder(root, "name the folder that holds the classes, or \"builtin\"");
  std::vector<std::string> classes = names_in(root, [](const fs::directory_entry& entry) {
    std::error_code ignored;
    return fs::is_directory(entry.path() / "train", ignored);
  });
  ASSAY_CHECK_AS(DataError, !classes.empty(), root.string(),
                 ": no class in it: a class is a folder that holds train/good and test");
  return classes;
}

Dataset open_mvtec(const fs::path& root, const std::string& object_class) {
  check_folder(root, "name the folder that holds the classes, or \"builtin\"");
  const fs::path folder = root / object_class;
  std::error_code ignored;
  ASSAY_CHECK_AS(UsageError, !object_class.empty() && fs::is_directory(folder, ignored),
                 root.string(), ": no class \"", object_class,
                 "\" in it; there are: ", joined(list_mvtec_classes(root)));
  check_folder(folder / "train" / "good", "a class needs good pictures there to learn from");
  check_folder(folder / "test", "a class needs test/good and test/<defect>");

  Dataset data{object_class, "mvtec", {}, {}};
  add_pictures(folder / "train" / "good", "train/good", "good", data.train_good);
  ASSAY_CHECK_AS(DataError, !data.train_good.empty(), (folder / "train" / "good").string(),
                 ": no PNG, JPEG or BMP picture in it; put the good pictures there");
  const std::vector<std::string> defects = folders_in(folder / "test");
  for (const std::string& defect : defects) {
    const fs::path pictures = folder / "test" / defect;
    const size_t begin = data.test.size();
    add_pictures(pictures, "test/" + defect, defect, data.test);
    ASSAY_CHECK_AS(DataError, data.test.size() > begin, pictures.string(),
                   ": no PNG, JPEG or BMP picture in it; add some or remove the folder");
    const fs::path masks = folder / "ground_truth" / defect;
    if (fs::is_directory(masks, ignored)) {
      add_masks(masks, pictures, std::span(data.test).subspan(begin));
    }
  }
  ASSAY_CHECK_AS(DataError, !data.test.empty(), (folder / "test").string(),
                 ": no folder of pictures in it; a class needs test/good and test/<defect>");
  if (fs::is_directory(folder / "ground_truth", ignored)) {
    for (const std::string& defect : folders_in(folder / "ground_truth")) {
      const fs::path masks = folder / "ground_truth" / defect;
      ASSAY_CHECK_AS(
          DataError,
          std::binary_search(defects.begin(), defects.end(), defect) || pictures_in(masks).empty(),
          masks.string(), ": masks without their pictures: there is no ",
          (folder / "test" / defect).string());
    }
  }
  sort_by_path(data.test);
  return data;
}

Dataset open_folder(const FolderOptions& options) {
  check_folder(options.good, "--good names a folder of good pictures");
  check_folder(options.bad, "--bad names a folder of defective pictures");
  if (options.masks) check_folder(*options.masks, "--masks names a folder of masks");

  Dataset data{fs::canonical(options.good).filename().string(), "folder", {}, {}};
  std::vector<Sample> good;
  add_pictures(options.good, "good", "good", good);
  ASSAY_CHECK_AS(DataError, good.size() >= 2, options.good.string(), ": ", good.size(),
                 " PNG, JPEG or BMP pictures in it, but at least 2 are needed, one to learn from "
                 "and one to test on");
  add_pictures(options.bad, "bad", "bad", data.test);
  const auto add_bad_masks = [&](const fs::path& masks, const fs::path& pictures, size_t begin) {
    std::error_code ignored;
    if (options.masks && fs::is_directory(masks, ignored)) {
      add_masks(masks, pictures, std::span(data.test).subspan(begin));
    }
  };
  add_bad_masks(options.masks.value_or(""), options.bad, 0);
  for (const std::string& defect : folders_in(options.bad)) {
    const size_t begin = data.test.size();
    add_pictures(options.bad / defect, "bad/" + defect, defect, data.test);
    add_bad_masks(options.masks.value_or("") / defect, options.bad / defect, begin);
  }
  ASSAY_CHECK_AS(DataError, !data.test.empty(), options.bad.string(),
                 ": no PNG, JPEG or BMP picture in it; put the defective pictures there");

  RandomSequence random(options.seed, RandomStream::split);
  random.shuffle(good);
  const auto held_out = std::max<size_t>(1, static_cast<size_t>(kFolderTestShare * good.size()));
  data.test.insert(data.test.end(), good.begin(), good.begin() + held_out);
  data.train_good.assign(good.begin() + held_out, good.end());
  sort_by_path(data.train_good);
  sort_by_path(data.test);
  return data;
}

}  // namespace assay

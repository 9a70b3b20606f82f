#include "data/mvtec.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <map>
#include <span>
#include <string_view>
#include <system_error>

#include "data/file.h"
#include "data/image_io.h"
#include "kernels/runtime/error.h"
#include "kernels/runtime/philox.h"

namespace assay {
namespace {

namespace fs = std::filesystem;

constexpr double kFolderTestShare = 0.2;

/// Hears of everything that is wrong: throws, or makes a list.
using Complain = std::function<void(const std::string& problem)>;

[[noreturn]] void refuse(const std::string& problem) {
  throw DataError(problem);
}

bool is_folder(const fs::path& path) {
  std::error_code ignored;
  return fs::is_directory(path, ignored);
}
bool check_folder(const fs::path& folder, const std::string& advice, const Complain& complain) {
  if (is_folder(folder)) return true;
  complain(fmt::format("{}: there is no such folder; {}", folder.string(), advice));
  return false;
}
void check_root(const fs::path& root) {
  check_folder(root, "name the folder that holds the classes, or \"builtin\"", refuse);
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
  ASSAY_CHECK_AS(DataError, !error, "{}: cannot be listed: {}", folder.string(), error.message());
  std::sort(names.begin(), names.end());
  return names;
}

std::vector<std::string> pictures_in(const fs::path& folder) {
  std::vector<std::string> names = names_in(folder, is_picture);
  for (const std::string& name : names)
    ASSAY_CHECK_AS(DataError, is_utf8(name),
                   "{}: its name is not UTF-8, so no list can hold it; rename it",
                   (folder / name).string());
  return names;
}
std::vector<std::string> folders_in(const fs::path& folder) {
  return names_in(folder, [](const fs::directory_entry& entry) { return is_folder(entry.path()); });
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
void add_masks(const fs::path& folder, const fs::path& pictures, std::span<Sample> samples,
               const Complain& complain) {
  std::map<std::string, Sample*> by_stem;
  for (Sample& sample : samples) by_stem[sample.file.stem().string()] = &sample;
  constexpr std::string_view kEnding = "_mask";
  for (const std::string& name : pictures_in(folder)) {
    const std::string stem = fs::path(name).stem().string();
    auto found = by_stem.find(stem);
    if (found == by_stem.end() && stem.ends_with(kEnding)) {
      found = by_stem.find(stem.substr(0, stem.size() - kEnding.size()));
    }
    if (found == by_stem.end()) {
      complain(
          fmt::format("{}: a mask without its picture in {}; add the picture or remove the mask",
                      (folder / name).string(), pictures.string()));
    } else {
      found->second->mask = folder / name;
    }
  }
}

void sort_by_path(std::vector<Sample>& samples) {
  std::sort(samples.begin(), samples.end(),
            [](const Sample& a, const Sample& b) { return a.path < b.path; });
}

void check_pictures(bool any, const fs::path& folder, const std::string& advice,
                    const Complain& complain) {
  if (!any)
    complain(fmt::format("{}: no PNG, JPEG or BMP picture in it; {}", folder.string(), advice));
}

void read_train(const fs::path& folder, Dataset& data, const Complain& complain) {
  const std::string advice = "a class needs good pictures there to learn from";
  if (!check_folder(folder, advice, complain)) return;
  add_pictures(folder, "train/good", "good", data.train_good);
  check_pictures(!data.train_good.empty(), folder, advice, complain);
}

void read_test(const fs::path& folder, Dataset& data, const Complain& complain) {
  const fs::path test = folder / "test", truth = folder / "ground_truth";
  const std::string advice = "a class needs test/good and test/<defect>";
  if (!check_folder(test, advice, complain)) return;
  const std::vector<std::string> defects = folders_in(test);
  check_pictures(!defects.empty(), test, advice, complain);
  for (const std::string& defect : defects) {
    const size_t begin = data.test.size();
    add_pictures(test / defect, "test/" + defect, defect, data.test);
    check_pictures(data.test.size() > begin, test / defect, "add some or remove the folder",
                   complain);
    if (is_folder(truth / defect)) {
      add_masks(truth / defect, test / defect, std::span(data.test).subspan(begin), complain);
    }
  }
  if (!is_folder(truth)) return;
  for (const std::string& defect : folders_in(truth)) {
    if (!is_folder(test / defect)) {
      // Their pictures are missing as a whole.
      add_masks(truth / defect, test / defect, {}, complain);
    }
  }
}

Dataset read_mvtec(const fs::path& root, const std::string& object_class,
                   const Complain& complain) {
  check_root(root);
  const fs::path folder = root / object_class;
  // By the list: ".", "tile/" and "../other/tile" are folders too, but names of no class.
  const std::vector<std::string> classes = list_mvtec_classes(root);
  ASSAY_CHECK_AS(UsageError,
                 std::find(classes.begin(), classes.end(), object_class) != classes.end(),
                 "{}: no class \"{}\" in it; there are: {}", root.string(), object_class,
                 fmt::join(classes, ", "));
  Dataset data{object_class, "mvtec", {}, {}};
  read_train(folder / "train" / "good", data, complain);
  read_test(folder, data, complain);
  sort_by_path(data.test);
  return data;
}

}  // namespace

std::vector<std::string> list_mvtec_classes(const fs::path& root) {
  check_root(root);
  std::vector<std::string> classes = names_in(root, [](const fs::directory_entry& entry) {
    return is_folder(entry.path() / "train") || is_folder(entry.path() / "test");
  });
  ASSAY_CHECK_AS(DataError, !classes.empty(),
                 "{}: no class in it: a class is a folder that holds train/good and test",
                 root.string());
  return classes;
}

Dataset open_mvtec(const fs::path& root, const std::string& object_class) {
  return read_mvtec(root, object_class, refuse);
}

Dataset survey_mvtec(const fs::path& root, const std::string& object_class,
                     std::vector<std::string>& problems) {
  return read_mvtec(root, object_class,
                    [&](const std::string& problem) { problems.push_back(problem); });
}

std::vector<std::string> list_other_files(const fs::path& root, const std::string& object_class) {
  const fs::path folder = root / object_class;
  std::vector<std::string> folders = {"train/good"};
  if (is_folder(folder / "test"))
    for (const std::string& defect : folders_in(folder / "test"))
      folders.push_back("test/" + defect);
  std::vector<std::string> others;
  for (const std::string& name : folders) {
    if (!is_folder(folder / name)) continue;
    const auto is_other = [](const fs::directory_entry& entry) {
      return !is_picture(entry) && !is_folder(entry.path());
    };
    for (const std::string& file : names_in(folder / name, is_other))
      others.push_back(name + "/" + file);
  }
  return others;
}

Dataset open_folder(const FolderOptions& options) {
  check_folder(options.good, "--good names a folder of good pictures", refuse);
  check_folder(options.bad, "--bad names a folder of defective pictures", refuse);
  if (options.masks) check_folder(*options.masks, "--masks names a folder of masks", refuse);

  Dataset data{fs::canonical(options.good).filename().string(), "folder", {}, {}};
  std::vector<Sample> good;
  add_pictures(options.good, "good", "good", good);
  ASSAY_CHECK_AS(DataError, good.size() >= 2,
                 "{}: {} PNG, JPEG or BMP pictures in it, but at least 2 are needed, one to learn "
                 "from and one to test on",
                 options.good.string(), good.size());
  const auto add_bad = [&](const fs::path& pictures, const std::string& prefix,
                           const std::string& defect, const fs::path& masks) {
    const size_t begin = data.test.size();
    add_pictures(pictures, prefix, defect, data.test);
    const std::span<Sample> added = std::span(data.test).subspan(begin);
    for (Sample& sample : added) sample.defective = true;  // also in a subfolder called good
    if (options.masks && is_folder(masks)) add_masks(masks, pictures, added, refuse);
  };
  const fs::path masks = options.masks.value_or(fs::path());
  add_bad(options.bad, "bad", "bad", masks);
  for (const std::string& defect : folders_in(options.bad)) {
    add_bad(options.bad / defect, "bad/" + defect, defect, masks / defect);
  }
  check_pictures(!data.test.empty(), options.bad, "put the defective pictures there", refuse);
  if (options.masks) {
    for (const std::string& defect : folders_in(masks))
      if (!is_folder(options.bad / defect))
        add_masks(masks / defect, options.bad / defect, {}, refuse);
    ASSAY_CHECK_AS(DataError, std::any_of(data.test.begin(), data.test.end(), has_mask),
                   "{}: no mask of any picture in {}; name them NAME.png or NAME_mask.png for "
                   "NAME.*, or leave --masks out",
                   masks.string(), options.bad.string());
  }

  RandomSequence random(options.seed, RandomStream::split);
  random.shuffle(good);
  const auto share = static_cast<std::ptrdiff_t>(kFolderTestShare * good.size());
  const auto border = good.begin() + std::max<std::ptrdiff_t>(1, share);
  data.test.insert(data.test.end(), good.begin(), border);
  data.train_good.assign(border, good.end());
  sort_by_path(data.train_good);
  sort_by_path(data.test);
  return data;
}

}  // namespace assay

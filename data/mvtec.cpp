#include "data/mvtec.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <map>
#include <set>
#include <span>
#include <string_view>
#include <system_error>

#include "data/file.h"
#include "data/image_format.h"
#include "data/split.h"
#include "kernels/runtime/error.h"
#include "kernels/runtime/read_file.h"

namespace assay {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kGood = "good", kMaskEnding = "_mask";

/// Called for each problem; throws it or collects it.
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

struct Entry {
  std::string name;
  bool folder;
};
/// The entries of a folder by name; hidden ones are left out.
std::vector<Entry> entries_of(const fs::path& folder) {
  std::error_code error;
  std::vector<Entry> entries;
  for (const fs::path& path : list_folder(folder, error)) {
    const std::string name = path.filename().string();
    if (name[0] != '.') entries.push_back({name, is_folder(path)});
  }
  ASSAY_CHECK_AS(DataError, !error, "{}: cannot be listed: {}", folder.string(), error.message());
  std::sort(entries.begin(), entries.end(),
            [](const Entry& a, const Entry& b) { return a.name < b.name; });
  return entries;
}
std::vector<std::string> folders_in(const fs::path& folder) {
  std::vector<std::string> names;
  for (const Entry& entry : entries_of(folder))
    if (entry.folder) names.push_back(entry.name);
  return names;
}

std::string stem_of(const std::string& name) {
  return name.substr(0, name.size() - fs::path(name).extension().string().size());
}

/// Reads the images and masks of folders into a Dataset.
class Reader {
 public:
  Reader(Dataset& data, const Complain& complain) : data_(data), complain_(complain) {}

  /// The images below `folder` as samples named prefix/..., all with one label. Masks among
  /// defective images become masks of those. Reports a problem that ends in `advice` if there is no
  /// image.
  std::vector<Sample> read_images(const fs::path& folder, const std::string& prefix, bool defective,
                                  const std::function<std::string(const std::string&)>& defect_of,
                                  const std::string& advice,
                                  std::span<const fs::path> excluded = {}) {
    std::vector<Sample> samples;
    std::vector<ListedFile> masks;
    std::string unsupported;
    list(folder, prefix, excluded, [&](ListedFile found) {
      if (found.kind == FileKind::unsupported && unsupported.empty())
        unsupported = fmt::format(" ({}: {}, which is not read; convert it to PNG)", found.name,
                                  found.reason);
      if (found.kind == FileKind::image) {
        samples.push_back({.path = prefix + found.name,
                           .file = found.file,
                           .defective = defective,
                           .defect = defect_of(found.name),
                           .masks = {},
                           .draw = {}});
        data_.files.add_image();
      } else if (found.kind == FileKind::mask && defective) {
        masks.push_back(std::move(found));
      } else {
        data_.files.add_ignored(prefix + found.name, found.reason);
      }
    });
    if (samples.empty() && !advice.empty())
      complain_(fmt::format("{}: no {} image in it{}; {}", folder.string(), kReadableFormats,
                            unsupported, advice));
    if (!masks.empty())
      data_.notes.push_back(fmt::format(
          "{}{} among the images of {} ({}): read as the masks of the images beside them",
          masks.size(), masks.size() == 1 ? " mask lies" : " masks lie", folder.string(),
          masks.front().name));
    match(masks, folder, prefix, samples);
    return samples;
  }

  /// Adds the masks below `folder` to the samples named prefix/...: NAME.* or NAME_mask.* belongs
  /// to NAME.*; of several in a folder NAME the union is the mask (MVTec LOCO AD has these).
  void read_masks(const fs::path& folder, const std::string& place, const fs::path& images,
                  const std::string& prefix, std::span<Sample> samples) {
    std::vector<ListedFile> masks;
    list(folder, place, {}, [&](ListedFile found) {
      if (found.kind <= FileKind::mask)
        masks.push_back(std::move(found));
      else
        data_.files.add_ignored(place + found.name, found.reason);
    });
    match(masks, images, prefix, samples);
  }

  /// Counts files outside the expected folders as ignored.
  void ignore(const fs::path& path, const std::string& name, bool folder) {
    const auto add = [&](const ListedFile& found, const std::string& of) {
      data_.files.add_ignored(of, found.kind == FileKind::image || found.kind == FileKind::mask
                                      ? "image at a place where none is looked for"
                                      : found.reason);
    };
    if (folder)
      walk_files(path, [&](ListedFile found) { add(found, name + "/" + found.name); });
    else
      add(list_file(path), name);
  }

 private:
  void list(const fs::path& folder, const std::string& prefix, std::span<const fs::path> excluded,
            const std::function<void(ListedFile)>& f) {
    walk_files(
        folder,
        [&](ListedFile found) {
          if (found.kind == FileKind::failed)
            complain_(fmt::format("{}: {}", found.file.string(), found.reason));
          else if (found.kind <= FileKind::mask && !is_utf8(prefix + found.name))
            // The lists of a run are JSON and CSV, which cannot hold any other name.
            complain_(fmt::format("{}: its name is not UTF-8, so no list can hold it; rename it",
                                  found.file.string()));
          else
            f(std::move(found));
        },
        excluded);
  }

  void match(const std::vector<ListedFile>& masks, const fs::path& images,
             const std::string& prefix, std::span<Sample> samples) {
    struct Target {
      std::vector<Sample*> samples;  // several if their names differ in the extension only
      std::string folder;            // of the masks, if they have one of their own
    };
    std::map<std::string, Target> targets;
    for (Sample& sample : samples)
      targets[stem_of(sample.path.substr(prefix.size()))].samples.push_back(&sample);
    for (const ListedFile& mask : masks) {
      const std::string stem = stem_of(mask.name);
      std::string folder;
      auto found = targets.find(stem);
      if (found == targets.end() && stem.ends_with(kMaskEnding))
        found = targets.find(stem.substr(0, stem.size() - kMaskEnding.size()));
      if (found == targets.end() && stem.find('/') != std::string::npos) {
        folder = stem.substr(0, stem.rfind('/'));
        found = targets.find(folder);
      }
      if (found == targets.end()) {
        complain_(
            fmt::format("{}: a mask without its image in {}; add the image or remove the mask",
                        mask.file.string(), images.string()));
        continue;
      }
      Target& target = found->second;
      Sample& sample = *target.samples.front();
      if (target.samples.size() > 1) {
        complain_(fmt::format("{}: its image may be {} or {}; rename one of them",
                              mask.file.string(), sample.path, target.samples[1]->path));
      } else if (!sample.masks.empty() && (folder.empty() || folder != target.folder)) {
        complain_(fmt::format("{}: {} has another mask, {}; remove one of them", mask.file.string(),
                              sample.path, sample.masks.front().string()));
      } else {
        target.folder = folder;
        sample.masks.push_back(mask.file);
        data_.files.add_mask();
      }
    }
  }

  Dataset& data_;
  const Complain& complain_;
};

void sort_by_path(std::vector<Sample>& samples) {
  std::sort(samples.begin(), samples.end(),
            [](const Sample& a, const Sample& b) { return a.path < b.path; });
}

const auto kIsGood = [](const std::string&) { return std::string(kGood); };

/// Reads the folders of a class in MVTec's layout.
class MvtecReader {
 public:
  MvtecReader(const fs::path& folder, Dataset& data, const Complain& complain)
      : folder_(folder), data_(data), complain_(complain), reader_(data, complain) {}

  void read() {
    read_train();
    read_test();
    for (const Entry& entry : entries_of(folder_))
      if (!entry.folder ||
          (entry.name != "train" && entry.name != "test" && entry.name != "ground_truth"))
        reader_.ignore(folder_ / entry.name, entry.name, entry.folder);
  }

 private:
  void read_train() {
    const std::string advice = "a class needs good images there to learn from";
    const fs::path good = folder_ / "train" / kGood;
    if (check_folder(good, advice, complain_))
      data_.train_good = reader_.read_images(good, "train/good/", false, kIsGood, advice);
    sort_by_path(data_.train_good);
    if (!is_folder(folder_ / "train")) return;
    for (const Entry& entry : entries_of(folder_ / "train"))
      if (!entry.folder || entry.name != kGood)
        reader_.ignore(folder_ / "train" / entry.name, "train/" + entry.name, entry.folder);
  }

  void read_test() {
    const fs::path test = folder_ / "test", truth = folder_ / "ground_truth";
    const std::string advice = "a class needs test/good and test/<defect>";
    if (!is_folder(test) && !is_folder(truth)) return;  // good images alone
    if (!check_folder(test, advice, complain_)) return;
    bool any = false;
    for (const Entry& entry : entries_of(test)) {
      if (entry.folder) {
        read_kind(entry.name);
        any = true;
      } else {
        reader_.ignore(test / entry.name, "test/" + entry.name, false);
      }
    }
    if (!any)
      complain_(fmt::format("{}: no {} image in it; {}", test.string(), kReadableFormats, advice));
    sort_by_path(data_.test);
    if (!is_folder(truth)) return;
    for (const Entry& entry : entries_of(truth)) {
      if (!entry.folder)
        reader_.ignore(truth / entry.name, "ground_truth/" + entry.name, false);
      else if (!is_folder(test / entry.name))  // no such test folder: every mask is a problem
        reader_.read_masks(truth / entry.name, "ground_truth/" + entry.name + "/",
                           test / entry.name, "", {});
    }
  }

  /// The images of test/good or of one kind of defect, and their masks.
  void read_kind(const std::string& kind) {
    const std::string prefix = "test/" + kind + "/";
    std::vector<Sample> samples = reader_.read_images(
        folder_ / "test" / kind, prefix, kind != kGood, [&](const std::string&) { return kind; },
        "add some or remove the folder");
    if (const fs::path masks = folder_ / "ground_truth" / kind; is_folder(masks))
      reader_.read_masks(masks, "ground_truth/" + kind + "/", folder_ / "test" / kind, prefix,
                         samples);
    data_.test.insert(data_.test.end(), samples.begin(), samples.end());
  }

  fs::path folder_;
  Dataset& data_;
  const Complain& complain_;
  Reader reader_;
};

Dataset read_mvtec(const fs::path& root, const std::string& object_class,
                   const Complain& complain) {
  check_root(root);
  // Compared with the list, because ".", "tile/" and "../other/tile" also name folders.
  const std::vector<std::string> classes = list_mvtec_classes(root);
  ASSAY_CHECK_AS(UsageError,
                 std::find(classes.begin(), classes.end(), object_class) != classes.end(),
                 "{}: no class \"{}\" in it; there are: {}", root.string(), object_class,
                 fmt::join(classes, ", "));
  Dataset data;
  data.name = object_class;
  data.origin = "mvtec";
  MvtecReader(root / object_class, data, complain).read();
  return data;
}

}  // namespace

std::vector<std::string> list_mvtec_classes(const fs::path& root) {
  check_root(root);
  std::vector<std::string> classes;
  for (const std::string& name : folders_in(root))
    if (is_folder(root / name / "train") || is_folder(root / name / "test"))
      classes.push_back(name);
  const bool is_class = is_folder(root / "train" / kGood);
  ASSAY_CHECK_AS(
      DataError, !classes.empty(),
      "{}: no class in it: a class is a folder that holds train/good and, where there are images "
      "to test on, test/good and test/<defect>{}",
      root.string(), is_class ? "; this folder is one, so name the folder above it" : "");
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

namespace {

/// Reads the images of --bad and their masks.
void read_bad(const FolderOptions& options, std::span<const fs::path> folders, Reader& reader,
              Dataset& data) {
  // A subfolder "good" of --bad is defective too; "good" is no name of a defect, so it gets
  // another.
  constexpr const char* kCalledGood = "bad-good";
  const auto defect_of = [&](const std::string& name) {
    const size_t slash = name.find('/');
    const std::string defect = slash == std::string::npos ? "bad" : name.substr(0, slash);
    return defect == kGood ? std::string(kCalledGood) : defect;
  };
  data.test = reader.read_images(options.bad, "bad/", true, defect_of,
                                 "put the defective images there", folders);
  const auto called_good = std::count_if(data.test.begin(), data.test.end(),
                                         [&](const Sample& s) { return s.defect == kCalledGood; });
  if (called_good > 0)
    data.notes.push_back(fmt::format(
        "{} images in {} count as defective, as all of --bad; if they are good, move them to {}",
        called_good, (options.bad / kGood).string(), options.good.string()));
  if (!options.masks) return;
  reader.read_masks(*options.masks, "masks/", options.bad, "bad/", data.test);
  ASSAY_CHECK_AS(DataError, std::any_of(data.test.begin(), data.test.end(), has_mask),
                 "{}: no mask of any image in {}; name them NAME.png or NAME_mask.png for "
                 "NAME.*, or leave --masks out",
                 options.masks->string(), options.bad.string());
}

}  // namespace

Dataset open_folder(const FolderOptions& options) {
  const bool has_bad = !options.bad.empty();
  check_folder(options.good, "--good names a folder of good images", refuse);
  // One of the folders may lie inside another: each image has the label of the innermost.
  std::vector<fs::path> folders = {fs::canonical(options.good)};
  if (has_bad) {
    check_folder(options.bad, "--bad names a folder of defective images", refuse);
    ASSAY_CHECK_AS(DataError, !fs::equivalent(options.good, options.bad),
                   "{}: is given as --good and as --bad; an image cannot be both",
                   options.good.string());
    folders.push_back(fs::canonical(options.bad));
  }
  if (options.masks) {
    check_folder(*options.masks, "--masks names a folder of masks", refuse);
    folders.push_back(fs::canonical(*options.masks));
  }

  Dataset data;
  data.name = folders.front().filename().string();
  data.origin = "folder";
  const Complain complain = refuse;
  Reader reader(data, complain);
  data.train_good =
      reader.read_images(options.good, "good/", false, kIsGood, "put good images there", folders);
  sort_by_path(data.train_good);
  if (has_bad) read_bad(options, folders, reader, data);
  hold_out_test(data, options.seed);
  return data;
}

}  // namespace assay

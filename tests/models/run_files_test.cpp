// The files of a run: CSV, configuration, whole replacement.
#include <doctest/doctest.h>
#include <stdlib.h>

#include <cmath>
#include <limits>

#include "kernels/runtime/error.h"
#include "models/experiments/configure.h"
#include "models/run/csv.h"
#include "models/run/folder.h"
#include "models/run/history.h"

namespace assay {
namespace {
namespace fs = std::filesystem;

struct Folder {
  Folder() {
    std::string name = (fs::temp_directory_path() / "assay-files-XXXXXX").string();
    REQUIRE(mkdtemp(name.data()) != nullptr);
    path = name;
  }
  ~Folder() {
    std::error_code ignored;
    fs::remove_all(path, ignored);
  }
  fs::path path;
};

}  // namespace

TEST_CASE("any text survives a CSV file") {
  const Folder folder;
  const std::vector<std::string> odd = {"a,b", "say \"so\"", "two\nlines", "", " plain "};
  write_file(folder.path / "t.csv", csv_row({"1", "2", "3", "4", "5"}) + csv_row(odd));
  const CsvTable table = read_csv(folder.path / "t.csv");
  REQUIRE(table.rows.size() == 1);
  CHECK(table.rows[0] == odd);
  CHECK(table.column("3") == 2);
  CHECK_THROWS_AS(table.column("6"), Error);
  write_file(folder.path / "short.csv", "a,b\n1\n");
  CHECK_THROWS_AS(read_csv(folder.path / "short.csv"), Error);
}

TEST_CASE("numbers read back as the same bits") {
  for (const double v : {0.1, -1e-300, 1.0 / 3, 12345678.9, 0.0, 5e-324})
    CHECK(std::strtod(csv_number(v).c_str(), nullptr) == v);
}

TEST_CASE("a configuration reads back, and differences are named") {
  const Folder folder;
  RunConfig config = default_config("kd-cae", "kd-cae-strided");
  config.object_class = "ring";
  config.lr = 0.1;
  config.seed = std::numeric_limits<uint64_t>::max();
  save(config, folder.path / "config.json");
  RunConfig again = load_config(folder.path / "config.json");
  CHECK(differences(config, again).empty());
  again.lr = 0.2;
  CHECK(differences(config, again) == std::vector<std::string>{"lr"});
  write_file(folder.path / "config.json", "{\"model\": 3}");
  CHECK_THROWS_AS(load_config(folder.path / "config.json"), CheckpointError);
  CHECK_THROWS_AS(load_config(folder.path / "none.json"), CheckpointError);
  config.image_size = 7;  // edited to what no run can have
  save(config, folder.path / "config.json");
  CHECK_THROWS_AS(load_config(folder.path / "config.json"), CheckpointError);
}

TEST_CASE("a file is replaced as a whole or not at all") {
  const Folder folder;
  write_file(folder.path / "a", "old");
  write_file(folder.path / "a", "new");
  CHECK(fs::file_size(folder.path / "a") == 3);
  CHECK(std::distance(fs::directory_iterator(folder.path), fs::directory_iterator()) == 1);
  CHECK_THROWS_AS(write_file(folder.path / "none" / "a", "x"), Error);
}

TEST_CASE("one process has a run folder, and what it made for nothing goes") {
  const Folder folder;
  const RunFolder run(folder.path / "a" / "run");
  {
    const RunClaim claim(run);
    CHECK(fs::exists(run.root()));
    CHECK_THROWS_AS(RunClaim{run}, UsageError);
  }
  CHECK(!fs::exists(folder.path / "a"));
  {
    const RunClaim claim(run);
    run.begin(Start::fresh);
    write_file(run.metrics(), "{}");
  }
  CHECK(run.finished());
  {
    const RunClaim claim(run);
    run.begin(Start::resume);
    CHECK(run.finished());
    run.begin(Start::force);
    CHECK(!run.finished());
  }
  CHECK(fs::exists(run.root()));
}

TEST_CASE("a damaged history is an error that says what to do") {
  const Folder folder;
  const RunFolder run(folder.path);
  CHECK(History::read(run.history()).rows().empty());
  for (const char* text : {"", "epoch,train_loss\n1", "junk\n1\n"}) {
    write_file(run.history(), text);
    CHECK_THROWS_AS(History::read(run.history()), CheckpointError);
  }
}

TEST_CASE("a history reads back as it was written") {
  const Folder folder;
  const fs::path file = folder.path / "history.csv";
  History history({"epoch", "step", "loss", "seconds"});
  history.add({1, 100000, 0.1, 1e-7});
  history.add({2, 200000, 100000, 2.5});
  CHECK_THROWS_AS(history.add({3}), Error);
  history.write(file);
  CHECK(read_csv(file).rows.at(0) == std::vector<std::string>{"1", "100000", "0.1", "1e-07"});
  History read = History::read(file);
  CHECK(read.columns() == history.columns());
  CHECK(read.rows() == history.rows());
  CHECK(read.seconds() == 2.5 + 1e-7);
  CHECK(read.has("step"));
  CHECK(!read.has("validation_loss"));
  CHECK_THROWS_AS(read.column("validation_loss"), CheckpointError);
  read.cut_after(1);
  CHECK(read.column("step") == std::vector<double>{100000});
}

TEST_CASE("clearing a run folder leaves what is not its own") {
  const Folder folder;
  const RunFolder run(folder.path / "run");
  CHECK(run.empty());
  run.create();
  write_file(run.metrics(), "{}");
  write_file(run.root() / "notes.txt", "mine");
  CHECK(run.finished());
  run.clear();
  CHECK(!run.finished());
  CHECK(fs::exists(run.root() / "notes.txt"));
}

TEST_CASE("options out of range are named") {
  const auto refused = [](auto change) {
    RunConfig config = default_config("kd-cae");
    change(config);
    CHECK_THROWS_AS(check(config), UsageError);
  };
  CHECK_NOTHROW(check(default_config("kd-cae")));
  refused([](RunConfig& c) { c.epochs = 0; });
  refused([](RunConfig& c) { c.batch = 0; });
  refused([](RunConfig& c) { c.lr = -1; });
  refused([](RunConfig& c) { c.image_size = 100; });
  refused([](RunConfig& c) { c.init = "zero"; });
  refused([](RunConfig& c) { c.train_noise = "some"; });
  refused([](RunConfig& c) { c.denoise = true; });
  refused([](RunConfig& c) { c.data = "caf\xE9"; });
  refused([](RunConfig& c) { c.kde_bandwidth = "1e-200"; });
  refused([](RunConfig& c) { c.precision = "tf32"; });
  CHECK_THROWS_AS(default_config("kd-cae", "cnn"), UsageError);
}

}  // namespace assay

// The files of a run: CSV, configuration, whole replacement.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/file.h>
#include <unistd.h>

#include <chrono>
#include <cmath>
#include <fstream>
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

TEST_CASE("a new evaluation replaces the old one at its end, and leaves files of others") {
  const Folder folder;
  const RunFolder run(folder.path / "run");
  const std::string head = "path,label,defect,score,predicted,set\n";
  const auto write = [&](const RunFolder& to, const std::string& text, const std::string& defect) {
    to.create();
    write_file(to.figures() / RunFolder::figure_name(defect, "test/000.png"), text);
    write_file(to.scores(), head + "test/000.png,good," + defect + ",1,good,test\n");
    write_file(to.metrics(), text);
  };
  const auto text_of = [](const fs::path& file) {
    std::ifstream in(file);
    return std::string(std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>());
  };
  write(run, "old", "crack");
  write_file(run.noise(), "{}");
  write_file(run.figures() / "thesis.png", "mine");
  {
    const StagedFiles staged(run);  // never committed, as where writing fails
    write(staged.folder(), "new", "scratch");
    CHECK(fs::exists(staged.folder().noise()));
  }
  CHECK(text_of(run.metrics()) == "old");
  CHECK(fs::exists(run.figures() / "crack_000.png"));
  CHECK(!fs::exists(run.figures() / "scratch_000.png"));
  CHECK(std::distance(fs::directory_iterator(run.root()), fs::directory_iterator()) == 4);
  StagedFiles staged(run);
  write(staged.folder(), "new", "scratch");
  staged.commit();
  CHECK(text_of(run.metrics()) == "new");
  CHECK(text_of(run.figures() / "scratch_000.png") == "new");
  CHECK(!fs::exists(run.figures() / "crack_000.png"));
  CHECK(text_of(run.figures() / "thesis.png") == "mine");
  CHECK(std::distance(fs::directory_iterator(run.root()), fs::directory_iterator()) == 4);
}

TEST_CASE("an evaluation that was killed while it replaced the old one is made good") {
  const Folder folder;
  const RunFolder run(folder.path / "run");
  run.create();
  write_file(run.metrics(), "old");
  fs::create_directories(run.root() / "evaluation.new/figures");
  write_file(run.root() / "evaluation.new/metrics.json", "new");
  write_file(run.root() / "evaluation.new/figures/good_1.png", "new");
  fs::create_directories(run.root() / "evaluation.new.host-1.tmp/figures");
  write_file(run.figures() / "good_1.png.host-1.tmp", "");
  run.recover();
  CHECK(fs::file_size(run.metrics()) == 3);
  CHECK(fs::exists(run.figures() / "good_1.png"));
  CHECK(std::distance(fs::directory_iterator(run.root()), fs::directory_iterator()) == 2);
  CHECK(std::distance(fs::directory_iterator(run.figures()), fs::directory_iterator()) == 1);
  std::ifstream in(run.metrics());
  std::string text;
  CHECK((in >> text && text == "new"));
}

TEST_CASE("temporary files of killed processes go when their folder is next written into") {
  const Folder folder;
  const fs::path own = AtomicFile::temporary_of(folder.path / "x.json");
  const std::string suffix = own.filename().string().substr(6);  // ".host-123.tmp"
  const auto put = [&](const std::string& name, int seconds) {
    std::ofstream(folder.path / name) << "x";
    fs::last_write_time(folder.path / name,
                        fs::file_time_type::clock::now() - std::chrono::seconds(seconds));
    return folder.path / name;
  };
  const fs::path dead = put("a.json" + suffix, 600), young = put("b.json" + suffix, 1),
                 other_host = put("c.json.elsewhere-1.tmp", 600), plain = put("d.tmp", 600),
                 alive = put("e.json" + suffix, 600);
  const int lock = open(alive.c_str(), O_RDONLY | O_CLOEXEC);
  REQUIRE(flock(lock, LOCK_EX) == 0);
  write_file(folder.path / "new.json", "{}");
  close(lock);
  CHECK(!fs::exists(dead));
  for (const fs::path& file : {young, other_host, plain, alive}) CHECK(fs::exists(file));
}

TEST_CASE("names that are too long are refused before anything is written") {
  const Folder folder;
  const RunFolder run(folder.path / "run");
  CHECK_NOTHROW(run.check_names({"good_000.png"}));
  CHECK_THROWS_AS(run.check_names({std::string(250, 'x') + ".png"}), Error);
  fs::path deep = folder.path;
  while (deep.string().size() < 4060) deep /= std::string(200, 'd');
  CHECK_THROWS_AS(RunFolder(deep).check_names({}), Error);
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

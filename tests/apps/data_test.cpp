// The treatment of every file that a user gives to train, predict and data check.
#include <pty.h>
#include <sys/ioctl.h>

#include <cstdlib>

#include "data/image.h"
#include "tests/apps/program.h"
#include "tests/support/png_writer.h"

namespace assay::testing {
namespace {

const std::string kTiff("II*\0....", 8);

fs::path trained(const TemporaryFolder& folder, const std::vector<std::string>& more = {}) {
  write_small_class(folder / "data");
  std::vector<std::string> options = {"--epochs", "1"};
  options.insert(options.end(), more.begin(), more.end());
  require_success(run_assay(small_training(folder / "data", folder / "run", options)));
  return folder / "run";
}

std::vector<nlohmann::json> json_lines(const std::string& text) {
  std::vector<nlohmann::json> lines;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) lines.push_back(nlohmann::json::parse(line));
  return lines;
}

/// The output of a shell line; "$0" is the program.
std::string output_of(const TemporaryFolder& folder, const std::string& line, int code) {
  CHECK(run_shell(line + " > '" + (folder / "printed").string() + "'") == code);
  return read_text(folder / "printed");
}

}  // namespace

TEST_CASE("predict names what it does not read, and no unread file passes for a good one") {
  const TemporaryFolder folder;
  const std::string run = trained(folder).string();
  const fs::path in = folder / "in";
  put(in / "cam2/1.png", small_image(1, 20, 20));
  put(in / "notes.txt", std::string("text"));
  Outcome outcome = require_success(run_assay({"predict", run, in.string()}));
  CHECK(contains(outcome.error, "assay: 1 image read, 1 file ignored: no image 1 ("));
  put(in / "2.tif", kTiff);
  outcome = run_assay({"predict", run, in.string(), "--fail-on-anomaly"});
  CHECK(outcome.code == kData);
  CHECK(contains(outcome.error, "2.tif: TIFF, which is not read"));
  CHECK(contains(outcome.error, "1 cannot be read"));
  CHECK(contains(outcome.out, "cam2/1.png"));
}

TEST_CASE("train says which files it ignores, and data check counts them") {
  const TemporaryFolder folder;
  write_small_class(folder / "data");
  put(folder / "data/tile/train/good/a.tif", kTiff);
  put(folder / "data/tile/test/astray.png", small_image(77));
  const Outcome outcome = require_success(
      run_assay(small_training(folder / "data", folder / "run", {"--epochs", "1"})));
  const std::string counts =
      "16 images read, 2 files ignored: TIFF 1 (train/good/a.tif); image at a place where none is "
      "looked for 1 (test/astray.png)";
  CHECK(contains(outcome.error, counts));
  CHECK(contains(outcome.error, "2 of 2 defective test images have no mask: no pixel metrics"));
  CHECK(contains(require_success(run_assay({"data", "check", (folder / "data").string()})).out,
                 counts));
}

TEST_CASE("results come as they are made, and an unreadable file stops nothing") {
  const TemporaryFolder folder;
  const std::string run = trained(folder).string();
  for (int i = 0; i < 5; ++i) put(folder / ("in/" + std::to_string(i) + ".png"), small_image(i));
  put(folder / "in/2.png", std::string("broken"));
  const std::string in = (folder / "in").string();
  const Outcome lines = run_assay({"predict", run, in, "--jsonl"});
  CHECK(lines.code == kData);
  const std::vector<nlohmann::json> images = json_lines(lines.out);
  REQUIRE(images.size() == 5);
  int failures = 0;
  for (const nlohmann::json& image : images) {
    failures += image.contains("error");
    CHECK(image.contains("error") != image.contains("score"));
  }
  CHECK(failures == 1);
  const Outcome array = run_assay({"predict", run, in, "--json"});
  CHECK(nlohmann::json::parse(array.out) == nlohmann::json(images));
  const Outcome table = run_assay({"predict", run, in, "--csv"});
  CHECK(std::count(table.out.begin(), table.out.end(), '\n') == 6);
  CHECK(contains(table.out, "in/2.png,,unreadable,,,\n"));
  CHECK(run_assay({"predict", run, "--json", (folder / "none.png").string()}).code == kData);
}

TEST_CASE("predict reads names from the standard input, one by one") {
  const TemporaryFolder folder;
  const std::string run = trained(folder).string();
  put(folder / "a.png", small_image(1));
  put(folder / "line\nbreak.png", small_image(2));
  put(folder / "caf\xE9.png", small_image(3));
  const std::string at = "cd '" + folder.path().string() + "' && ";
  std::string printed =
      output_of(folder, at + "echo a.png | \"$0\" predict run - --csv 2> /dev/null", 0);
  CHECK(contains(printed, "\na.png,"));
  printed =
      output_of(folder,
                at + "printf 'line\\nbreak.png\\0caf\\351.png\\0' | \"$0\" predict run - --null "
                     "--jsonl 2> /dev/null",
                0);
  const std::vector<nlohmann::json> images = json_lines(printed);
  REQUIRE(images.size() == 2);
  CHECK(images[0]["path"] == "line\nbreak.png");
  CHECK(images[1]["path"] == "file:caf%E9.png");
  // In text a terminal sees neither the line break nor the odd byte.
  printed = output_of(folder, at + "\"$0\" predict run . 2> /dev/null", 0);
  CHECK(contains(printed, "line\\x0Abreak.png\n"));
  CHECK(contains(printed, "caf\\xE9.png\n"));
  // The first result is there while the input is still open.
  CHECK(run_shell(at + "mkfifo pipe; (\"$0\" predict run - < pipe > early 2> /dev/null &) ; "
                       "exec 3> pipe; echo a.png >&3; for i in $(seq 100); do test -s early && "
                       "exit 0; sleep 0.1; done; exit 1") == 0);
}

TEST_CASE("a name that begins with a dash: the error says what to do, and that works") {
  const TemporaryFolder folder;
  trained(folder);
  put(folder / "-x.png", small_image(1));
  const std::string at = "cd '" + folder.path().string() + "' && ";
  CHECK(run_shell(at + "\"$0\" predict run -x.png 2> error") == kUsage);
  CHECK(contains(read_text(folder / "error"), "'-x.png' is a file: -- goes before"));
  CHECK(run_shell(at + "\"$0\" predict run -- -x.png > /dev/null") == 0);
}

TEST_CASE("Ctrl-C keeps what was said, and the JSON is whole") {
  const TemporaryFolder folder;
  const fs::path run = trained(folder);
  put(folder / "a.png", small_image(1));
  const std::string script =
      "cd '" + folder.path().string() +
      "'; mkfifo pipe; \"$0\" predict run - --json < pipe > out 2> error & pid=$!; exec 3> pipe; "
      "echo a.png >&3; for i in $(seq 100); do test -s out && break; sleep 0.1; done; "
      "kill -TERM $pid; wait $pid";
  CHECK(run_shell(script) == kFailure);
  CHECK(nlohmann::json::parse(read_text(folder / "out")).size() == 1);
  CHECK(contains(read_text(folder / "error"), "interrupted after 1 images"));
}

TEST_CASE("one label from the folder to the scores, in a subfolder called good too") {
  const TemporaryFolder folder;
  for (int i = 0; i < 12; ++i)
    put(folder / ("fine/" + std::to_string(i) + ".png"), small_image(i, 20, 20));
  for (int i = 0; i < 6; ++i)
    put(folder / ("broken/good/" + std::to_string(i) + ".png"), small_image(40 + i, 20, 20));
  const Outcome outcome =
      require_success(run_assay({"train", "kd-cae", "--good", (folder / "fine").string(), "--bad",
                                 (folder / "broken").string(), "--out", (folder / "run").string(),
                                 "--image-size", "16", "--epochs", "1"}));
  CHECK(contains(outcome.error, "count as defective, as all of --bad"));
  const std::string scores = read_text(folder / "run/scores.csv");
  CHECK(contains(scores, "\nbad/good/0.png,defective,bad-good,"));
  CHECK(contains(scores, ",good,good,"));
  const nlohmann::json metrics = read_json(folder / "run/metrics.json");
  CHECK(metrics["tp"].get<int>() + metrics["fn"].get<int>() == 6);
}

TEST_CASE("a run from folders moves: another working folder, another spelling, another place") {
  const TemporaryFolder folder;
  for (int i = 0; i < 12; ++i)
    put(folder / ("a/fine/" + std::to_string(i) + ".png"), small_image(i, 20, 20));
  for (int i = 0; i < 3; ++i)
    put(folder / ("a/broken/" + std::to_string(i) + ".png"), small_image(40 + i, 20, 20));
  const std::string train =
      "\"$0\" train kd-cae --image-size 16 --epochs 3 --min-steps 1000 --seed 3 > /dev/null 2>&1 ";
  const std::string root = folder.path().string();
  REQUIRE(run_shell("cd " + root + "/a && " + train + "--good fine --bad broken --out ../whole") ==
          0);
  REQUIRE(run_shell("cd " + root + "/a && " + train + "--good fine --bad broken --out ../run") ==
          0);
  fs::remove(folder / "run/metrics.json");
  const std::string scores = read_text(folder / "whole/scores.csv");
  // Resumed from elsewhere, with the folders spelt in other ways.
  REQUIRE(run_shell("cd / && " + train + "--good " + root + "/a/./fine/ --bad " + root +
                    "/a/broken --out " + root + "/run --resume") == 0);
  check_same_results(folder / "run", folder / "whole");
  // From elsewhere the names of config.json lead nowhere; the error says what to give.
  fs::rename(folder / "a", folder / "b");
  CHECK(run_shell("cd / && \"$0\" evaluate " + root + "/whole > /dev/null 2> " + root + "/error") ==
        kData);
  CHECK(contains(read_text(folder / "error"), "--good"));
  require_success(run_assay(
      {"evaluate", root + "/whole", "--good", root + "/b/fine", "--bad", root + "/b/broken"}));
  CHECK(read_text(folder / "whole/scores.csv") == scores);
}

TEST_CASE("images of 12 bits in 16 are named, scaled by --bit-depth, and predict scales alike") {
  const TemporaryFolder folder;
  write_small_class(folder / "data");
  const auto deep = [](int salt) {
    Bytes rows;
    for (const uint8_t v : small_image(salt, 20, 20, 1).pixels) {
      rows.push_back(v >> 4);
      rows.push_back(static_cast<uint8_t>(v << 4));
    }
    return make_png({20, 20, 16, kGrey}, rows);
  };
  for (int i = 0; i < 12; ++i)
    put(folder / ("data/tile/train/good/" + std::to_string(100 + i) + ".png"), deep(i));
  const Outcome plain = require_success(
      run_assay(small_training(folder / "data", folder / "plain", {"--epochs", "1"})));
  CHECK(contains(plain.error, "have 16 bits a value but use 12 (the largest value is 4000)"));
  const Outcome scaled = require_success(run_assay(
      small_training(folder / "data", folder / "auto", {"--epochs", "1", "--bit-depth", "auto"})));
  CHECK(!contains(scaled.error, "16 bits a value"));
  CHECK(read_json(folder / "auto/config.json")["bit_depth"] == "12");
  // The same pixels in 8 bits give the same score.
  put(folder / "deep.png", deep(50));
  put(folder / "flat.png", small_image(50, 20, 20, 1));
  const Outcome predicted =
      require_success(run_assay({"predict", (folder / "auto").string(), "--jsonl",
                                 (folder / "deep.png").string(), (folder / "flat.png").string()}));
  const std::vector<nlohmann::json> images = json_lines(predicted.out);
  CHECK(images.at(0)["score"] == images.at(1)["score"]);
  CHECK(!contains(predicted.error, "note"));
  // predict names unused bits and squashed images too.
  put(folder / "wide.png", small_image(51, 20, 40));
  const Outcome odd =
      require_success(run_assay({"predict", (folder / "plain").string(),
                                 (folder / "deep.png").string(), (folder / "wide.png").string()}));
  CHECK(contains(odd.error, "1 of 2 images (" + (folder / "deep.png").string() +
                                ") have 16 bits a value but use 12"));
  CHECK(contains(odd.error, "have another shape (40x20) than training images (20x20)"));
  // Resumed with auto again it keeps the number.
  require_success(run_assay(small_training(folder / "data", folder / "auto",
                                           {"--epochs", "1", "--bit-depth", "auto", "--resume"})));
  check_refused(run_assay(small_training(folder / "data", folder / "x", {"--bit-depth", "7"})),
                kUsage, "neither auto nor a number from 8 to 16");
}

namespace {

/// The bars of a terminal's text without their control sequences.
std::vector<std::string> bars_in(const std::string& text) {
  std::vector<std::string> bars;
  for (size_t at = 0; (at = text.find("\r\033[K", at)) != std::string::npos;) {
    at += 4;
    std::string bar = text.substr(at, text.find_first_of("\r\n", at) - at);
    for (size_t escape; (escape = bar.find('\033')) != std::string::npos;)
      bar.erase(escape, bar.find('m', escape) - escape + 1);
    if (!bar.empty() && contains(bar, "/")) bars.push_back(bar);
  }
  return bars;
}

/// What a training writes to a terminal of so many columns, up to its 8th bar; after the 4th the
/// terminal gets `later` columns, unless that is 0.
std::string shown_on_terminal(const TemporaryFolder& folder, uint16_t columns, uint16_t later,
                              const char* term, const char* no_color = nullptr) {
  static int count = 0;
  const fs::path out = folder / ("run" + std::to_string(count++));
  winsize size{.ws_row = 24, .ws_col = columns, .ws_xpixel = 0, .ws_ypixel = 0};
  int terminal = 0;
  const pid_t pid = forkpty(&terminal, nullptr, nullptr, &size);
  REQUIRE(pid >= 0);
  if (pid == 0) {
    setenv("TERM", term, 1);
    unsetenv("NO_COLOR");
    if (no_color != nullptr) setenv("NO_COLOR", no_color, 1);
    std::vector<std::string> words = small_training(
        folder / "data", out,
        {"--epochs", term == std::string("dumb") ? "2" : "100000", "--min-steps", "100000"});
    std::vector<char*> arguments = {const_cast<char*>(kProgram)};
    for (std::string& word : words) arguments.push_back(word.data());
    arguments.push_back(nullptr);
    execv(kProgram, arguments.data());
    _exit(127);
  }
  std::string text;
  char block[4096];
  for (ssize_t got; (got = read(terminal, block, sizeof block)) > 0;) {
    text.append(block, static_cast<size_t>(got));
    const size_t bars = bars_in(text).size();
    if (bars >= 8) break;
    if (later != 0 && bars >= 4) {
      size.ws_col = later;
      ioctl(terminal, TIOCSWINSZ, &size);
      later = 0;
      text += "\r\n<resized>\n";
    }
  }
  kill(pid, SIGKILL);
  close(terminal);
  waitpid(pid, nullptr, 0);
  return text;
}

}  // namespace

TEST_CASE("progress fits the terminal, follows a resize, and asks TERM") {
  const TemporaryFolder folder;
  write_small_class(folder / "data");
  for (const uint16_t columns : {80, 20, 9}) {
    const std::vector<std::string> bars = bars_in(shown_on_terminal(folder, columns, 0, "xterm"));
    REQUIRE(!bars.empty());
    for (const std::string& bar : bars) CHECK_MESSAGE(bar.size() < columns, bar);
    if (columns == 80) CHECK(contains(bars.back(), "loss"));
  }
  const std::string resized = shown_on_terminal(folder, 80, 30, "xterm");
  const size_t at = resized.find("<resized>");
  REQUIRE(at != std::string::npos);
  const std::vector<std::string> wide = bars_in(resized.substr(0, at)),
                                 narrow = bars_in(resized.substr(at));
  CHECK(std::any_of(wide.begin(), wide.end(), [](const auto& bar) { return bar.size() > 30; }));
  REQUIRE(narrow.size() > 1);  // the first may have been on its way
  for (size_t i = 1; i < narrow.size(); ++i) CHECK_MESSAGE(narrow[i].size() < 30, narrow[i]);
  const std::string dumb = shown_on_terminal(folder, 80, 0, "dumb");
  CHECK(!contains(dumb, "\033"));
  // https://no-color.org: any value but the empty one.
  CHECK(!contains(shown_on_terminal(folder, 80, 0, "xterm", "1"), "\033[32m"));
  CHECK(contains(shown_on_terminal(folder, 80, 0, "xterm", ""), "\033[32m"));
}

}  // namespace assay::testing

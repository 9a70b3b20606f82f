// Every kind of bad input gives its exit code and one line that says what to do.
#include "tests/apps/program.h"
#include "tests/support/png_writer.h"

namespace assay::testing {
namespace {

/// Checks that a training with this broken image is refused and writes nothing.
void check_bad_image(const Bytes& bytes, const char* name, const std::string& part) {
  const TemporaryFolder folder;
  write_small_class(folder / "data");
  put(folder / "data/tile/test/square" / name, bytes);
  check_refused(run_assay(small_training(folder / "data", folder / "run", {"--epochs", "1"})),
                kData, name);
  check_refused(run_assay(small_training(folder / "data", folder / "run", {"--epochs", "1"})),
                kData, part);
  CHECK(!fs::exists(folder / "run"));
}

Bytes good_png() {
  return encode_png(small_image(1));
}

/// The smallest JPEG header that a decoder would begin to read, without an end marker.
Bytes jpeg_without_end() {
  return {0xFF, 0xD8, 0xFF, 0xE0, 0x00, 0x10, 'J', 'F', 'I', 'F', 0, 1, 1, 0, 0, 1, 0, 1, 0, 0};
}

}  // namespace

TEST_CASE("a data folder that is not there") {
  const TemporaryFolder folder;
  check_refused(run_assay(small_training(folder / "none", folder / "run")), kData, "none");
}

TEST_CASE("a class without train/good") {
  const TemporaryFolder folder;
  write_small_class(folder / "data");
  fs::remove_all(folder / "data/tile/train/good");
  check_refused(run_assay(small_training(folder / "data", folder / "run")), kData, "train/good");
}

TEST_CASE("zero images") {
  const TemporaryFolder folder;
  write_small_class(folder / "data");
  for (const auto& entry : fs::directory_iterator(folder / "data/tile/train/good"))
    fs::remove(entry.path());
  check_refused(run_assay(small_training(folder / "data", folder / "run")), kData, "train/good");
  fs::create_directories(folder / "empty");
  write_small_class(folder / "data");
  REQUIRE(run_assay(small_training(folder / "data", folder / "run", {"--epochs", "1"})).code == 0);
  check_refused(run_assay({"predict", (folder / "run").string(), (folder / "empty").string()}),
                kData, "empty");
}

TEST_CASE("broken images") {
  SUBCASE("a text file named .png") {
    check_bad_image({'h', 'e', 'l', 'l', 'o', '\n'}, "text.png", "text.png");
  }
  SUBCASE("a PNG cut in half") {
    Bytes png = good_png();
    png.resize(png.size() / 2);
    check_bad_image(png, "half.png", "half.png");
  }
  SUBCASE("a PNG with a wrong checksum") {
    Bytes png = good_png();
    png[png.size() - 16] ^= 0x55;  // the last byte of IDAT's checksum
    check_bad_image(png, "sum.png", "checksum");
  }
  SUBCASE("a JPEG without its end") {
    check_bad_image(jpeg_without_end(), "cut.jpg", "cut.jpg");
  }
  SUBCASE("a file of 0 bytes") {
    check_bad_image({}, "empty.png", "empty");
  }
  SUBCASE("more than 16,384 pixels a side") {
    check_bad_image(make_png({16385, 1, 8, kGrey}, Bytes(16385, 7)), "wide.png", "16384");
  }
}

TEST_CASE("grey, RGBA, palette and 16-bit PNGs work") {
  const TemporaryFolder folder;
  write_small_class(folder / "data");
  const fs::path good = folder / "data/tile/train/good";
  put(good / "grey.png", make_png({16, 16, 8, kGrey}, Bytes(256, 90)));
  put(good / "rgba.png", make_png({16, 16, 8, kRgba}, Bytes(1024, 120)));
  put(good / "palette.png",
      make_png({16, 16, 8, kPalette, {10, 20, 30, 200, 210, 220}}, Bytes(256, 1)));
  put(good / "deep.png", make_png({16, 16, 16, kRgb}, Bytes(16 * 16 * 6, 130)));
  const Outcome outcome =
      run_assay(small_training(folder / "data", folder / "run", {"--epochs", "1"}));
  CAPTURE(outcome.error);
  CHECK(outcome.code == 0);
}

TEST_CASE("an output folder that cannot be written") {
  const TemporaryFolder folder;
  write_small_class(folder / "data");
  put(folder / "file", std::string("in the way"));
  check_refused(run_assay(small_training(folder / "data", folder / "file/run", {"--epochs", "1"})),
                kFailure, "file/run");
}

TEST_CASE("output that does not arrive is a failure, and no stream takes a file's place") {
  CHECK(run_shell("\"$0\" info > /dev/full 2> /dev/null") == kFailure);
  CHECK(run_shell("\"$0\" info >&- 2> /dev/null") == kFailure);
  CHECK(run_shell("\"$0\" info > /dev/null") == 0);
  // Without its streams the program would print into its checkpoint; and whoever reads its
  // progress may leave.
  const TemporaryFolder folder;
  write_small_class(folder / "data");
  const auto line = [&](const char* out, const std::string& streams) {
    std::string text = "\"$0\"";
    for (const std::string& word : small_training(folder / "data", folder / out, {"--epochs", "2"}))
      text += " '" + word + "'";
    return text + streams;
  };
  REQUIRE(run_shell(line("whole", " > /dev/null 2>&1")) == 0);
  run_shell(line("closed", " <&- >&- 2>&-"));
  run_shell(line("left", " 2>&1 > /dev/null | true"));
  for (const char* run : {"closed", "left"})
    for (const char* file : {"checkpoint.safetensors", "model.safetensors", "scores.csv"})
      CHECK_MESSAGE(read_text(folder / run / file) == read_text(folder / "whole" / file), file);
}

TEST_CASE("a full disk") {
  const TemporaryFolder folder;
  write_small_class(folder / "data");
  // No file may pass 100 kB; the checkpoint is one.
  const Outcome outcome =
      run_assay(small_training(folder / "data", folder / "run", {"--epochs", "1"}), "200");
  CAPTURE(outcome.error);
  CHECK(outcome.code == kFailure);
  CHECK(contains(outcome.error, "assay: error: "));
  CHECK(contains(outcome.error, "checkpoint.safetensors"));
  // With room again it goes on.
  const Outcome again =
      run_assay(small_training(folder / "data", folder / "run", {"--epochs", "1", "--resume"}));
  CAPTURE(again.error);
  CHECK(again.code == 0);
}

TEST_CASE("checkpoints and weights that are damaged, or another model's") {
  const TemporaryFolder folder;
  write_small_class(folder / "data");
  const fs::path run = folder / "run";
  const auto train = [&](const std::vector<std::string>& more) {
    return run_assay(small_training(folder / "data", run, more));
  };
  REQUIRE(train({"--epochs", "1"}).code == 0);
  const auto damage = [](const fs::path& file, const auto& change) {
    const std::string text = read_text(file);
    Bytes bytes(text.begin(), text.end());
    change(bytes);
    put(file, bytes);
  };
  const auto cut = [](Bytes& bytes) { bytes.resize(bytes.size() / 2); };
  const auto edit = [](Bytes& bytes) { bytes[bytes.size() - 5] ^= 1; };

  SUBCASE("the checkpoint is cut short") {
    fs::remove(run / "metrics.json");
    damage(run / "checkpoint.safetensors", cut);
    const Outcome outcome = train({"--epochs", "1", "--resume"});
    CHECK(outcome.code == kCheckpoint);
    CHECK(contains(outcome.error, "checkpoint.safetensors"));
  }
  SUBCASE("the checkpoint was edited") {
    fs::remove(run / "metrics.json");
    damage(run / "checkpoint.safetensors", edit);
    const Outcome outcome = train({"--epochs", "1", "--resume"});
    CHECK(outcome.code == kCheckpoint);
    CHECK(contains(outcome.error, "checksum"));
  }
  SUBCASE("the weights were cut short or edited") {
    const auto predict = [&] {
      return run_assay({"predict", run.string(), (folder / "data/tile/test").string()});
    };
    const std::string whole = read_text(run / "model.safetensors");
    damage(run / "model.safetensors", edit);
    check_refused(predict(), kCheckpoint, "checksum");
    damage(run / "model.safetensors", cut);
    check_refused(predict(), kCheckpoint, "model.safetensors");
  }
  SUBCASE("a run of another model") {
    check_refused(train({"--preset", "kd-cae-strided", "--epochs", "1", "--resume"}), kCheckpoint,
                  "kd-cae-strided");
  }
  SUBCASE("the weights of another model") {
    const fs::path other = folder / "other";
    REQUIRE(run_assay(small_training(folder / "data", other,
                                     {"--preset", "kd-cae-strided", "--epochs", "1"}))
                .code == 0);
    fs::copy_file(other / "model.safetensors", run / "model.safetensors",
                  fs::copy_options::overwrite_existing);
    check_refused(run_assay({"evaluate", run.string()}), kCheckpoint, "kd-cae-strided");
  }
  SUBCASE("the latents of another training") {
    const fs::path other = folder / "other";
    REQUIRE(run_assay(small_training(folder / "data", other, {"--lr", "0.002", "--epochs", "1"}))
                .code == 0);
    fs::copy_file(other / "latents.safetensors", run / "latents.safetensors",
                  fs::copy_options::overwrite_existing);
    check_refused(run_assay({"evaluate", run.string()}), kCheckpoint, "another model");
  }
  SUBCASE("a folder that is no run") {
    check_refused(run_assay({"evaluate", (folder / "data").string()}), kCheckpoint, "config.json");
  }
}

TEST_CASE("options that make no sense") {
  const TemporaryFolder folder;
  write_small_class(folder / "data");
  const auto train = [&](const std::vector<std::string>& more) {
    return run_assay(small_training(folder / "data", folder / "run", more));
  };
  check_refused(train({"--epochs", "-1"}), kUsage, "--epochs");
  check_refused(train({"--epochs", "many"}), kUsage, "--epochs");
  check_refused(train({"--no-such-option"}), kUsage, "--no-such-option");
  check_refused(train({"--precision", "tf32"}), kUsage, "bf16");
  check_refused(train({"--kde-bandwidth", "wide"}), kUsage, "loo");
  check_refused(run_assay({"train", "gpt", "--data", "builtin", "--class", "ring", "--out",
                           (folder / "run").string()}),
                kUsage, "kd-cae");
  check_refused(run_assay({}), kUsage, "--help");
  CHECK(!fs::exists(folder / "run"));
}

TEST_CASE("numbers that would wrap around, and folders without a name") {
  const TemporaryFolder folder;
  write_small_class(folder / "data");
  const auto train = [&](const std::string& out, const std::vector<std::string>& more) {
    std::vector<std::string> words = {
        "train",        "kd-cae", "--data",   (folder / "data").string(),
        "--class",      "tile",   "--out",    out,
        "--image-size", "16",     "--epochs", "1"};
    words.insert(words.end(), more.begin(), more.end());
    return run_assay(words);
  };
  const std::string run = (folder / "run").string();
  check_refused(train(run, {"--seed", "-1"}), kUsage, "--seed");
  check_refused(train(run, {"--seed", "18446744073709551616"}), kUsage, "--seed");
  check_refused(train(run, {"--threads", "100000"}), kUsage, "--threads");
  check_refused(train("", {}), kUsage, "--out");
  check_refused(run_assay({"data", "make", "--out", ""}), kUsage, "--out");
  CHECK(!fs::exists(run));
}

TEST_CASE("a file of options that is broken") {
  const TemporaryFolder folder;
  write_small_class(folder / "data");
  const auto refused = [&](const std::string& text, const std::string& part) {
    put(folder / "c.toml", text);
    check_refused(run_assay(small_training(folder / "data", folder / "run",
                                           {"--config", (folder / "c.toml").string()})),
                  kUsage, part);
  };
  refused("epochz = 1\n", "'epochz' is no option of assay train");
  refused("epochs = \n", "'epochs' has no value");
  refused("epochs = many\n", "--epochs");
  refused("[train\nepochs = 1\n", "--config");
  refused("[tarin]\nepochs = 1\n", "[tarin]: there is no verb 'tarin'; there are: info");
  refused("[train.fast]\nepochs = 1\n", "[train.fast]: there is no verb 'fast'");
  refused("[evaluate]\nepochz = 1\n", "'epochz' is no option of assay evaluate");
  refused("epochs = 1\n = 3\n", "line 2 has no name before its '='");
  refused("\"\" = 3\n", "line 1 has no name before its '='");
  refused("[]\nepochs = 1\n", "line 1: the section has no name");
  refused("epochs = 1\nbatch = 2\nepochs = 2\n", "'epochs' ");
  refused("batch = 1\nbatch = 2\n", "'batch' has 2 values (1, 2); give it once");
  refused(std::string("epochs = 1\n\0\n", 13), "no text");
  refused(
      "\xEF\xBB\xBF"
      "epochs = many\n",
      "--epochs");  // a byte order mark is passed over
  CHECK(!fs::exists(folder / "run"));
  // Without a section it speaks of the verb at hand, also where that has two words.
  put(folder / "c.toml", std::string("size = 31\n"));
  check_refused(run_assay({"data", "make", "--out", (folder / "made").string(), "--config",
                           (folder / "c.toml").string()}),
                kUsage, "not 31");
}

TEST_CASE("--force throws the old run away only when the new one can start") {
  const TemporaryFolder folder;
  write_small_class(folder / "data");
  const fs::path run = folder / "run";
  REQUIRE(run_assay(small_training(folder / "data", run, {"--epochs", "1"})).code == 0);
  const std::string model = read_text(run / "model.safetensors");
  check_refused(run_assay(small_training(folder / "none", run, {"--force"})), kData, "none");
  put(folder / "data/tile/test/good/broken.png", std::string("no image"));
  check_refused(run_assay(small_training(folder / "data", run, {"--force"})), kData, "broken.png");
  CHECK(read_text(run / "model.safetensors") == model);
  fs::remove(folder / "data/tile/test/good/broken.png");
  // The split of the run that goes may be that of the run that comes.
  const std::string split = read_text(run / "split.json");
  CHECK(run_assay(small_training(folder / "data", run,
                                 {"--epochs", "1", "--init", "keras", "--force", "--split",
                                  (run / "split.json").string()}))
            .code == 0);
  CHECK(read_text(run / "split.json") == split);
  CHECK(read_text(run / "model.safetensors") != model);
}

TEST_CASE("two processes on one run: the second is told") {
  const TemporaryFolder folder;
  write_small_class(folder / "data");
  const std::vector<std::string> more = {"--epochs", "5000", "--min-steps", "100000", "--resume"};
  Running first(small_training(folder / "data", folder / "run", more));
  REQUIRE(first.wait_for(folder / "run/checkpoint.safetensors"));
  check_refused(run_assay(small_training(folder / "data", folder / "run", more)), kUsage,
                "another process");
  first.signal(SIGKILL);
  first.wait();
}

TEST_CASE("a run's files that were edited") {
  const TemporaryFolder folder;
  write_small_class(folder / "data");
  const fs::path run = folder / "run";
  const auto train = [&] {
    return run_assay(small_training(folder / "data", run, {"--epochs", "1", "--resume"}));
  };
  REQUIRE(train().code == 0);
  const auto edit = [](const fs::path& file, const std::string& from, const std::string& to) {
    std::string text = read_text(file);
    const size_t at = text.find(from);
    REQUIRE(at != std::string::npos);
    put(file, text.replace(at, from.size(), to));
  };
  const auto predict = [&] {
    return run_assay({"predict", run.string(), (folder / "data/tile/test").string()});
  };
  SUBCASE("metrics.json") {
    put(run / "metrics.json", std::string("{}"));
    CHECK(train().code == kCheckpoint);
    CHECK(run_assay({"evaluate", run.string()}).code == 0);
    CHECK(train().code == 0);
  }
  SUBCASE("config.json") {
    edit(run / "config.json", "\"image_size\": 16", "\"image_size\": 32");
    check_refused(predict(), kCheckpoint, "image_size 16, but config.json beside it says 32");
    edit(run / "config.json", "\"image_size\": 32", "\"image_size\": 33");
    check_refused(predict(), kCheckpoint, "was edited");
  }
  SUBCASE("weights without a checksum") {
    edit(run / "model.safetensors", "\"checksum\"", "\"checksuM\"");
    check_refused(predict(), kCheckpoint, "no checksum");
  }
}

TEST_CASE("an unknown class: the message lists the classes there are") {
  const TemporaryFolder folder;
  write_small_class(folder / "data", "bolt");
  write_small_class(folder / "data", "cap");
  const Outcome outcome = run_assay(small_training(folder / "data", folder / "run"));
  check_refused(outcome, kUsage, "bolt");
  CHECK(contains(outcome.error, "cap"));
  check_refused(run_assay({"train", "kd-cae", "--data", "builtin", "--class", "tile", "--out",
                           (folder / "run").string()}),
                kUsage, "leather");
}

TEST_CASE("a run folder that is not empty") {
  const TemporaryFolder folder;
  write_small_class(folder / "data");
  const auto train = [&](std::vector<std::string> more) {
    more.insert(more.end(), {"--epochs", "1"});
    return run_assay(small_training(folder / "data", folder / "run", more));
  };
  REQUIRE(train({}).code == 0);
  put(folder / "run/notes.txt", std::string("mine"));
  check_refused(train({}), kUsage, "--resume");
  CHECK(train({"--force"}).code == 0);
  CHECK(read_text(folder / "run/notes.txt") == "mine");
}

TEST_CASE("--force takes no folder that holds something else") {
  const TemporaryFolder folder;
  write_small_class(folder / "data");
  put(folder / "mine/config.json", std::string("{\"theme\": \"dark\"}"));
  put(folder / "mine/figures/thesis.png", std::string("mine"));
  for (const char* how : {"--force", "--resume", "--keep-last"})
    check_refused(
        run_assay(small_training(folder / "data", folder / "mine", {"--epochs", "1", how})), kUsage,
        "no run");
  CHECK(read_text(folder / "mine/figures/thesis.png") == "mine");
  CHECK(read_text(folder / "mine/config.json") == "{\"theme\": \"dark\"}");
}

}  // namespace assay::testing

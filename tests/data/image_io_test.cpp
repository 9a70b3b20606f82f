#include "data/image_io.h"

#include <sys/resource.h>

#include <algorithm>
#include <array>
#include <csignal>

#include "tests/support/files.h"
#include "tests/support/png_writer.h"

namespace assay {
namespace {

using testing::Bytes;
using testing::contains;
using testing::make_png;
using testing::message_of;

/// 8 x 8, grey 100, written by libjpeg.
const Bytes kGreyJpeg = {
    0xFF, 0xD8, 0xFF, 0xE0, 0x00, 0x10, 0x4A, 0x46, 0x49, 0x46, 0x00, 0x01, 0x01, 0x00, 0x00, 0x01,
    0x00, 0x01, 0x00, 0x00, 0xFF, 0xDB, 0x00, 0x43, 0x00, 0x08, 0x06, 0x06, 0x07, 0x06, 0x05, 0x08,
    0x07, 0x07, 0x07, 0x09, 0x09, 0x08, 0x0A, 0x0C, 0x14, 0x0D, 0x0C, 0x0B, 0x0B, 0x0C, 0x19, 0x12,
    0x13, 0x0F, 0x14, 0x1D, 0x1A, 0x1F, 0x1E, 0x1D, 0x1A, 0x1C, 0x1C, 0x20, 0x24, 0x2E, 0x27, 0x20,
    0x22, 0x2C, 0x23, 0x1C, 0x1C, 0x28, 0x37, 0x29, 0x2C, 0x30, 0x31, 0x34, 0x34, 0x34, 0x1F, 0x27,
    0x39, 0x3D, 0x38, 0x32, 0x3C, 0x2E, 0x33, 0x34, 0x32, 0xFF, 0xC0, 0x00, 0x0B, 0x08, 0x00, 0x08,
    0x00, 0x08, 0x01, 0x01, 0x11, 0x00, 0xFF, 0xC4, 0x00, 0x14, 0x00, 0x01, 0x00, 0x00, 0x00, 0x00,
    0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x05, 0xFF, 0xC4, 0x00, 0x14,
    0x10, 0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
    0x00, 0x00, 0xFF, 0xDA, 0x00, 0x08, 0x01, 0x01, 0x00, 0x00, 0x3F, 0x00, 0x0D, 0xFF, 0xD9};

std::string refusal(const Bytes& bytes) {
  return message_of<DataError>([&] { decode_image(bytes, "folder/name.png"); });
}

/// The message names the file and says what is wrong.
void check_refused(const Bytes& bytes, const std::string& what) {
  const std::string message = refusal(bytes);
  CAPTURE(message);
  CHECK(message.starts_with("folder/name.png: "));
  CHECK(contains(message, what));
  CHECK(!contains(message, "\n"));
}

Bytes head(const Bytes& bytes, size_t count) {
  return {bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(count)};
}

}  // namespace

TEST_CASE("what is written as PNG reads back the same") {
  for (const int channels : {1, 3}) {
    for (const int side : {1, 2, 17, 64}) {
      const Image image = testing::small_image(side, side, side + 3, channels);
      CHECK(decode_image(encode_png(image), "x") == image);
    }
  }
  const testing::TemporaryFolder folder;
  const Image image = testing::small_image(4);
  write_png(folder / "a.png", image);
  write_png(folder / "a.png", image);  // over itself
  CHECK(read_image(folder / "a.png") == image);
  CHECK(std::distance(std::filesystem::directory_iterator(folder.path()), {}) == 1);
  CHECK_THROWS_AS(encode_png(Image()), Error);
  CHECK_THROWS_AS(encode_png(Image(2, 2, 2)), Error);
}

TEST_CASE("every kind of PNG becomes grey or RGB of 8 bits") {
  const auto decoded = [](const testing::PngKind& kind, const Bytes& rows) {
    return decode_image(make_png(kind, rows), "x");
  };
  SUBCASE("grey of 8 bits") {
    const Image image = decoded({2, 2, 8, testing::kGrey}, {1, 2, 3, 255});
    CHECK(image.channels == 1);
    CHECK(image.pixels == Bytes{1, 2, 3, 255});
  }
  SUBCASE("grey of 1, 2 and 4 bits is stretched to 255") {
    CHECK(decoded({8, 1, 1, testing::kGrey}, {0b10110001}).pixels ==
          Bytes{255, 0, 255, 255, 0, 0, 0, 255});
    CHECK(decoded({4, 1, 2, testing::kGrey}, {0b00011011}).pixels == Bytes{0, 85, 170, 255});
    CHECK(decoded({2, 1, 4, testing::kGrey}, {0x1F}).pixels == Bytes{17, 255});
  }
  SUBCASE("16 bits keep the upper 8") {
    CHECK(decoded({2, 1, 16, testing::kGrey}, {0x12, 0xFF, 0xFE, 0x01}).pixels ==
          Bytes{0x12, 0xFE});
    const Image rgb = decoded({1, 1, 16, testing::kRgb}, {0x12, 0xFF, 0x80, 0x00, 0x7F, 0xFF});
    CHECK(rgb.channels == 3);
    CHECK(rgb.pixels == Bytes{0x12, 0x80, 0x7F});
  }
  SUBCASE("alpha is dropped, not blended") {
    CHECK(decoded({2, 1, 8, testing::kRgba}, {10, 20, 30, 0, 40, 50, 60, 128}).pixels ==
          Bytes{10, 20, 30, 40, 50, 60});
    const Image grey = decoded({2, 1, 8, testing::kGreyAlpha}, {10, 0, 200, 255});
    CHECK(grey.channels == 1);
    CHECK(grey.pixels == Bytes{10, 200});
  }
  SUBCASE("a palette becomes its colours") {
    const Image image =
        decoded({4, 1, 2, testing::kPalette, {1, 2, 3, 4, 5, 6, 7, 8, 9}}, {0b00011000});
    CHECK(image.channels == 3);
    CHECK(image.pixels == Bytes{1, 2, 3, 4, 5, 6, 7, 8, 9, 1, 2, 3});
  }
}

TEST_CASE("JPEG and BMP are read") {
  const Image jpeg = decode_image(kGreyJpeg, "x");
  CHECK(jpeg.channels == 1);
  CHECK(jpeg.height == 8);
  for (const uint8_t v : jpeg.pixels) CHECK(v == 100);
  const Image image = testing::small_image(3, 5, 7);
  CHECK(decode_image(testing::make_bmp(image), "x") == image);
}

TEST_CASE("a BMP may have its rows from the top down") {
  const Image image = testing::small_image(3, 2, 4);
  Image upside_down = image;
  std::copy_n(image.at(0, 0), 12, upside_down.at(1, 0));
  std::copy_n(image.at(1, 0), 12, upside_down.at(0, 0));
  Bytes bmp = testing::make_bmp(upside_down);
  bmp[22] = 0xFE, bmp[23] = bmp[24] = bmp[25] = 0xFF;  // height -2
  CHECK(decode_image(bmp, "x") == image);
}

TEST_CASE("a JPEG without a scan, or with an empty one, is no image") {
  const std::array<uint8_t, 2> scan = {0xFF, 0xDA};
  Bytes jpeg = kGreyJpeg;
  const auto at = std::search(jpeg.begin(), jpeg.end(), scan.begin(), scan.end());
  Bytes none(jpeg.begin(), at);
  none.insert(none.end(), {0xFF, 0xD9});
  check_refused(none, "ends too early");
  Bytes empty(jpeg.begin(), at + 10);
  empty.insert(empty.end(), {0xFF, 0xD9});
  check_refused(empty, "ends too early");
}

TEST_CASE("a colour that the palette lacks is black, as in Pillow, in every run") {
  const Image image =
      decode_image(make_png({2, 1, 8, testing::kPalette, {1, 2, 3}}, {0, 200}), "x");
  CHECK(image.pixels == Bytes{1, 2, 3, 0, 0, 0});

  Image row = testing::small_image(3, 1, 4);
  row.pixels = {9, 8, 7, 0, 0, 0, 0, 0, 0, 9, 8, 7};
  const Bytes bmp = testing::make_palette_bmp({9, 8, 7}, {0, 1, 255, 0});
  for (int run = 0; run < 3; ++run) CHECK(decode_image(bmp, "x") == row);
}

TEST_CASE("a JPEG may hold a thumbnail with an end of its own, and bytes behind its end") {
  const Bytes thumbnail = {0xFF, 0xE1, 0x00, 0x06, 0xFF, 0xD8, 0xFF, 0xD9};
  Bytes jpeg = kGreyJpeg;
  jpeg.insert(jpeg.begin() + 2, thumbnail.begin(), thumbnail.end());
  CHECK(decode_image(jpeg, "x").pixels[0] == 100);
  jpeg = head(jpeg, jpeg.size() - 2);  // the thumbnail's end is not the image's
  check_refused(jpeg, "JPEG file ends too early");
  Bytes longer = kGreyJpeg;
  longer.insert(longer.end(), 10, 0);
  CHECK(decode_image(longer, "x").pixels[0] == 100);
}

TEST_CASE("a broken file is refused in one sentence that names it") {
  const Bytes png = encode_png(testing::small_image(1, 40, 40));
  SUBCASE("0 bytes") {
    check_refused({}, "empty (0 bytes)");
  }
  SUBCASE("text") {
    const std::string text = "this is no image\n";
    check_refused(Bytes(text.begin(), text.end()), "not a PNG, JPEG, BMP or GIF");
  }
  SUBCASE("another format") {
    check_refused({'I', 'I', '*', 0, 8, 0, 0, 0}, "a TIFF image, which is not read");
    check_refused({'R', 'I', 'F', 'F', 0, 0, 0, 0, 'W', 'E', 'B', 'P'}, "a WebP image");
  }
  SUBCASE("a PNG cut anywhere") {
    check_refused(head(png, png.size() / 2), "PNG file ends too early");
    for (size_t count = 8; count < png.size(); count += 7) {
      check_refused(head(png, count), "PNG file ends too early");
    }
    check_refused(head(png, png.size() - 1), "PNG file ends too early");
  }
  SUBCASE("a PNG with any byte changed") {
    for (size_t i = 8; i < png.size(); i += 11) {
      Bytes changed = png;
      changed[i] ^= 0x40;
      refusal(changed);  // fails the test when nothing is thrown
    }
    Bytes changed = png;
    changed[png.size() / 2] ^= 1;
    check_refused(changed, "checksum");
  }
  SUBCASE("a PNG copied in text mode") {
    Bytes changed = png;
    changed.erase(changed.begin() + 4);  // CR LF became LF
    check_refused(changed, "text mode");
  }
  SUBCASE("a PNG whose rows are missing though its checksums are right") {
    check_refused(make_png({4, 4, 8, testing::kGrey}, {1, 2, 3, 4}), "cannot be decoded");
  }
  SUBCASE("a JPEG without its end") {
    for (size_t count = 3; count < kGreyJpeg.size(); ++count) {
      check_refused(head(kGreyJpeg, count), "JPEG file ends too early");
    }
  }
  SUBCASE("a BMP cut in half") {
    const Bytes bmp = testing::make_bmp(testing::small_image(1));
    check_refused(head(bmp, 20), "BMP file ends too early");
    check_refused(head(bmp, bmp.size() / 2), "BMP file ends too early");
  }
}

TEST_CASE("an image without pixels is refused") {
  check_refused(make_png({0, 4, 8, testing::kGrey}, {}), "0 x 4 pixels");
  Bytes bmp = testing::make_bmp(testing::small_image(1));
  bmp[22] = 0;
  check_refused(bmp, "10 x 0 pixels");
}

TEST_CASE("a JPEG whose Huffman table has more symbols than there are is refused") {
  Bytes jpeg = kGreyJpeg;
  const std::array<uint8_t, 4> table = {0xFF, 0xC4, 0x00, 0x14};
  const auto at = std::search(jpeg.begin(), jpeg.end(), table.begin(), table.end());
  REQUIRE(at != jpeg.end());
  at[5] = 200, at[6] = 100;  // counts of the codes of 1 and 2 bits
  check_refused(jpeg, "damaged table");
}

TEST_CASE("over 16,384 pixels a side is refused before anything is decoded") {
  check_refused(make_png({16385, 1, 8, testing::kGrey}, {0}), "16385 x 1 pixels but at most 16384");
  check_refused(make_png({1, 20000, 8, testing::kGrey}, {}), "1 x 20000 pixels");
  check_refused(make_png({0xFFFFFFFFu, 1, 8, testing::kGrey}, {0}), "4294967295 x 1");
  Bytes jpeg = kGreyJpeg;
  jpeg[96] = 0x40, jpeg[97] = 0x01;  // width in SOF0
  check_refused(jpeg, "16385 x 8 pixels");
  Bytes bmp = testing::make_bmp(testing::small_image(1));
  bmp[19] = 0x50;
  check_refused(bmp, "pixels but at most 16384");
  const Image longest = decode_image(make_png({16384, 1, 8, testing::kGrey}, Bytes(16384, 7)), "x");
  CHECK(longest.width == 16384);
  CHECK(longest.pixels.back() == 7);
}

TEST_CASE("a file that is not there, or a folder, is refused by name") {
  const testing::TemporaryFolder folder;
  const std::string missing = (folder / "no.png").string();
  CHECK(contains(message_of<DataError>([&] { read_image(missing); }), missing));
  CHECK(contains(message_of<DataError>([&] { read_image(folder.path()); }), "cannot be read"));
}

TEST_CASE("where nothing can be written the error says so and nothing is left") {
  const testing::TemporaryFolder folder;
  const Image image = testing::small_image(1, 64, 64);
  SUBCASE("no such folder") {
    const std::string message =
        message_of<Error>([&] { write_png(folder / "no" / "a.png", image); });
    CHECK(contains(message, "no/a.png: cannot be written: No such file or directory"));
  }
  SUBCASE("a file where a folder should be") {
    testing::put(folder / "file", std::string("x"));
    CHECK(contains(message_of<Error>([&] { write_png(folder / "file" / "a.png", image); }),
                   "Not a directory"));
    CHECK(contains(message_of<Error>([&] { make_folder(folder / "file" / "sub"); }),
                   "file/sub: the folder cannot be made"));
    CHECK(contains(message_of<Error>([&] { make_folder(folder / "file"); }), "cannot be made"));
  }
  SUBCASE("a full disk") {
    // A limit on the size of files fails in the middle of a write, as a full disk does.
    rlimit before{};
    REQUIRE(getrlimit(RLIMIT_FSIZE, &before) == 0);
    const auto handler = std::signal(SIGXFSZ, SIG_IGN);
    rlimit small = before;
    small.rlim_cur = 100;
    REQUIRE(setrlimit(RLIMIT_FSIZE, &small) == 0);
    std::string message;
    try {
      write_png(folder / "a.png", image);
    } catch (const Error& error) {
      message = error.what();
    }
    REQUIRE(setrlimit(RLIMIT_FSIZE, &before) == 0);
    std::signal(SIGXFSZ, handler);
    CHECK(contains(message, "a.png: cannot be written: File too large"));
    CHECK(std::filesystem::is_empty(folder.path()));
  }
}

TEST_CASE("a JPEG reads back as nearly the same image, and smaller than a PNG of a smooth one") {
  for (const int channels : {1, 3}) {
    Image image(40, 60, channels);
    for (int y = 0; y < 40; ++y)
      for (int x = 0; x < 60; ++x)
        for (int c = 0; c < channels; ++c)
          image.at(y, x)[c] = static_cast<uint8_t>(40 + 2 * x + y + 10 * c);
    const Image back = decode_image(encode_jpeg(image, 95), "back.jpg");
    REQUIRE(back.width == 60);
    REQUIRE(back.channels == 3);  // a grey image too
    int most = 0;
    const Image colour = to_rgb(image);
    for (size_t i = 0; i < colour.size(); ++i)
      most = std::max(most, std::abs(int{back.pixels[i]} - int{colour.pixels[i]}));
    CHECK(most <= 8);
    CHECK(encode_jpeg(image, 50).size() < encode_jpeg(image, 95).size());
  }
  CHECK_THROWS_AS(encode_jpeg(Image(), 90), Error);
}

TEST_CASE("sizes are told as one, or as the smallest and the largest") {
  CHECK(describe_sizes({}).empty());
  const ImageSize large{1024, 900}, small{700, 600};
  CHECK(describe_sizes(std::array{large, large}) == "1024x900");
  CHECK(describe_sizes(std::array{large, small, large}) == "700x600 to 1024x900");
}

namespace {

/// Exif data, a TIFF file, that says an orientation.
Bytes exif(int orientation, bool little) {
  const auto two = [&](int v) {
    const auto low = static_cast<uint8_t>(v & 0xFF), high = static_cast<uint8_t>(v >> 8);
    return little ? Bytes{low, high} : Bytes{high, low};
  };
  Bytes bytes = little ? Bytes{'I', 'I'} : Bytes{'M', 'M'};
  const auto add = [&](const Bytes& more) { bytes.insert(bytes.end(), more.begin(), more.end()); };
  const auto four = [&](int v) {
    if (little)
      add(two(v)), add(two(0));
    else
      add(two(0)), add(two(v));
  };
  add(two(42)), four(8);
  add(two(2));  // entries: width of the image, orientation
  add(two(0x0100)), add(two(3)), four(1), add(two(9)), add(two(0));
  add(two(0x0112)), add(two(3)), four(1), add(two(orientation)), add(two(0));
  four(0);
  return bytes;
}

Bytes png_with_exif(const Image& image, const Bytes& tiff) {
  Bytes png = encode_png(image), chunk;
  testing::append_chunk(chunk, "eXIf", tiff);
  png.insert(png.begin() + 33, chunk.begin(), chunk.end());  // behind IHDR
  return png;
}

Bytes jpeg_with_exif(const Image& image, const Bytes& tiff) {
  Bytes jpeg = encode_jpeg(image, 100);
  const auto length = static_cast<uint8_t>(2 + 6 + tiff.size());
  Bytes segment = {0xFF, 0xE1, 0, length, 'E', 'x', 'i', 'f', 0, 0};
  segment.insert(segment.end(), tiff.begin(), tiff.end());
  jpeg.insert(jpeg.begin() + 2, segment.begin(), segment.end());
  return jpeg;
}

/// The letters of a 2 x 3 image as Exif's orientations show it, row by row (CIPA DC-008, 4.6.4).
struct Shown {
  int orientation, height, width;
  const char* letters;
};
constexpr Shown kShown[] = {{1, 2, 3, "abcdef"}, {2, 2, 3, "cbafed"}, {3, 2, 3, "fedcba"},
                            {4, 2, 3, "defabc"}, {5, 3, 2, "adbecf"}, {6, 3, 2, "daebfc"},
                            {7, 3, 2, "fcebda"}, {8, 3, 2, "cfbead"}};

}  // namespace

TEST_CASE("Exif's orientation is obeyed in PNG and JPEG, in either byte order") {
  Image stored(2, 3, 1);
  std::copy_n("abcdef", 6, stored.pixels.begin());
  Image large(32, 48, 3);  // six blocks of 16 x 16 pixels, which JPEG keeps apart
  for (int y = 0; y < 32; ++y)
    for (int x = 0; x < 48; ++x)
      std::fill_n(large.at(y, x), 3, static_cast<uint8_t>(40 * (y / 16 * 3 + x / 16)));
  for (const bool little : {true, false}) {
    for (const Shown& shown : kShown) {
      CAPTURE(shown.orientation);
      const Image png = decode_image(png_with_exif(stored, exif(shown.orientation, little)), "x");
      CHECK(png.height == shown.height);
      CHECK(png.width == shown.width);
      CHECK(std::string(png.pixels.begin(), png.pixels.end()) == shown.letters);
      const DecodedImage jpeg = decode(jpeg_with_exif(large, exif(shown.orientation, little)), "x");
      CHECK(jpeg.orientation == shown.orientation);
      REQUIRE(jpeg.image.height == 16 * shown.height);
      for (int i = 0; i < 6; ++i) {
        const int y = 16 * (i / shown.width) + 8, x = 16 * (i % shown.width) + 8;
        CHECK(std::abs(*jpeg.image.at(y, x) - 40 * (shown.letters[i] - 'a')) <= 2);
      }
    }
  }
}

TEST_CASE("Exif data that makes no sense turns nothing") {
  Image stored(2, 3, 1);
  std::copy_n("abcdef", 6, stored.pixels.begin());
  const auto unturned = [&](const Bytes& tiff) {
    return decode_image(png_with_exif(stored, tiff), "x") == stored;
  };
  CHECK(unturned({}));
  CHECK(unturned(exif(0, true)));
  CHECK(unturned(exif(9, false)));
  const Bytes whole = exif(6, true);
  for (size_t n = 0; n < whole.size() - 7; ++n) CHECK(unturned(head(whole, n)));
  Bytes astray = whole;
  astray[4] = 0xF0, astray[7] = 0xFF;  // the folder lies behind the end
  CHECK(unturned(astray));
  astray = whole;
  astray[8] = 0xFF, astray[9] = 0xFF;  // 65535 entries: the second is still the orientation
  CHECK(!unturned(astray));
}

TEST_CASE("a GIF is read, its first frame, and a cut one refused") {
  // 2 x 1 pixels, a palette of red and blue; LZW with codes of 3 bits: clear, 0, 1, end.
  const Bytes gif = {'G', 'I',  'F', '8', '9', 'a', 2, 0, 1, 0, 0x80, 0, 0, 255,  0,    0, 0,   0,
                     255, 0x2C, 0,   0,   0,   0,   2, 0, 1, 0, 0,    2, 2, 0x44, 0x0A, 0, 0x3B};
  const DecodedImage decoded = decode(gif, "x");
  CHECK(decoded.format == "GIF");
  CHECK(decoded.image.pixels == Bytes{255, 0, 0, 0, 0, 255});
  for (size_t n = 10; n < gif.size(); ++n) check_refused(head(gif, n), "GIF file ends too early");
}

TEST_CASE("16 bits that use fewer are scaled by the depth that is asked for") {
  const Bytes png = make_png({3, 1, 16, testing::kGrey}, {0x0F, 0xFF, 0x08, 0x00, 0x10, 0x00});
  CHECK(decode_image(png, "x").pixels == Bytes{0x0F, 0x08, 0x10});
  const DecodedImage deep = decode(png, "x", {.bit_depth = 12});
  CHECK(deep.image.pixels == Bytes{255, 128, 255});  // 4096 is above 12 bits
  CHECK(deep.bits == 16);
  CHECK(deep.max_value == 4096);
  CHECK(decode(png, "x", {.bit_depth = 16}).image == decode_image(png, "x"));
  CHECK_THROWS_AS(decode(png, "x", {.bit_depth = 7}), Error);
  CHECK(decode(encode_png(testing::small_image(1)), "x", {.bit_depth = 12}).bits == 8);
}

TEST_CASE("alpha is given where it is asked for") {
  const Bytes png = make_png({2, 1, 8, testing::kRgba}, {10, 20, 30, 0, 40, 50, 60, 128});
  CHECK(decode(png, "x", {.alpha = true}).alpha.pixels == Bytes{0, 128});
  CHECK(decode(png, "x").alpha.size() == 0);
  CHECK(decode(kGreyJpeg, "x", {.alpha = true}).alpha.size() == 0);
}

TEST_CASE("a JPEG of four channels needs Adobe's marker") {
  const std::array<uint8_t, 4> frame = {0xFF, 0xC0, 0x00, 0x0B};
  Bytes jpeg = kGreyJpeg;
  auto at = std::search(jpeg.begin(), jpeg.end(), frame.begin(), frame.end());
  REQUIRE(at != jpeg.end());
  at[3] = 0x14, at[9] = 4;  // three components more
  jpeg.insert(at + 13, {2, 0x11, 0, 3, 0x11, 0, 4, 0x11, 0});
  check_refused(jpeg, "four channels");
  const Bytes adobe = {0xFF, 0xEE, 0x00, 0x0E, 'A', 'd', 'o', 'b', 'e', 0, 100, 0, 0, 0, 0, 2};
  jpeg.insert(jpeg.begin() + 2, adobe.begin(), adobe.end());
  CHECK_NOTHROW(decode_image(jpeg, "x"));
}

TEST_CASE("memory follows the image: a file cannot ask for more than its pixels need") {
  // 64 MB of zeros in 400 kB: 258 of them in 13 bits (RFC 1951, fixed codes).
  Bytes deflated = {0x78, 0x01};
  testing::BitWriter bits(deflated);
  bits.put(1, 1), bits.put(1, 2);  // the last block, fixed codes
  bits.code(0x30, 8);              // literal 0
  for (int i = 0; i < 250000; ++i) bits.code(0xC5, 8), bits.code(0, 5);  // 258 bytes from 1 before
  bits.code(0, 7), bits.flush();
  Bytes png = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1A, '\n'}, header;
  testing::append_u32(header, 8), testing::append_u32(header, 8);
  header.insert(header.end(), {8, testing::kGrey, 0, 0, 0});
  testing::append_chunk(png, "IHDR", header);
  testing::append_chunk(png, "IDAT", deflated);
  testing::append_chunk(png, "IEND", {});
  check_refused(png, "holds more data than an image of 8 x 8 pixels has");
}

TEST_CASE("more pixels than can be held are refused before anything is decoded") {
  check_refused(make_png({16384, 16384, 1, testing::kGrey}, {}), "at most 134217728 can be read");
  Bytes interlaced = make_png({8192, 8192, 1, testing::kGrey}, {});
  interlaced[28] = 1;
  const Bytes header(interlaced.begin() + 16, interlaced.begin() + 29);
  Bytes again = head(interlaced, 8);
  testing::append_chunk(again, "IHDR", header);
  again.insert(again.end(), interlaced.begin() + 33, interlaced.end());
  check_refused(again, "interlaced");
}

TEST_CASE("images are known by the ends of their names, in any case") {
  for (const char* name : {"a.png", "b.PNG", "c.jpg", "d.JPEG", "e.Bmp", "x/y.z.png", "f.jfif",
                           "g.jpe", "h.dib", "i.GIF"}) {
    CHECK(is_image_name(name));
  }
  for (const char* name : {"readme.txt", "png", "a.png.txt", "license", ""}) {
    CHECK(!is_image_name(name));
  }
}

}  // namespace assay

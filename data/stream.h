// Images one after another, decoded ahead on threads of their own: for more of them than memory
// holds.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "data/dataset.h"

namespace assay {

struct StreamedImage {
  std::filesystem::path file;
  std::string name;  ///< below the folder that it was found in
  Image image;       ///< at the size that was asked for; empty where the file cannot be read
  ImageFacts facts;
  std::string error;  ///< why the file cannot be read: a sentence that begins with its path
};

class ImageStream {
 public:
  struct Options {
    int height, width, channels;
    int bit_depth = 16;
    int threads = 1;  ///< that decode
    int ahead = 64;   ///< images that may wait, decoded or not
    /// Asked a few times a second; once it is true, take() gives no image more.
    std::function<bool()> stop_requested = [] { return false; };
  };
  /// Takes the next image to read, with file and name or with an error filled in; waits while
  /// `ahead` images wait.
  using Push = std::function<void(StreamedImage)>;
  /// `source` pushes all images; it runs on a thread of its own and is left by an exception of
  /// push() when the stream ends early. Its exceptions come out of take(). Where the system refuses
  /// threads for decoding, fewer decode, and at last the caller of take(). Error where it refuses
  /// the source's.
  ImageStream(std::function<void(const Push&)> source, Options options);
  ~ImageStream();
  ImageStream(const ImageStream&) = delete;
  ImageStream& operator=(const ImageStream&) = delete;

  /// The next image in the order of the source; false at the end, or if it is not decoded yet and
  /// `wait` is false.
  bool take(StreamedImage& image, bool wait);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace assay

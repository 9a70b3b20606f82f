// Images one after another, decoded ahead on threads of their own: for sets larger than memory.
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
  Image image;       ///< at the requested size; empty if the file cannot be read
  ImageFacts facts;
  std::string error;  ///< why the file cannot be read: a sentence that begins with its path
};

class ImageStream {
 public:
  struct Options {
    int height, width, channels;
    int bit_depth = 16;
    int threads = 1;  ///< that decode
    int ahead = 64;   ///< maximum number of images in the stream, decoded or not
    /// Called a few times a second while take() waits; once it is true, take() returns false.
    std::function<bool()> stop_requested = [] { return false; };
  };
  /// Takes the next image to read, with file and name or with an error filled in; waits while
  /// `ahead` images wait.
  using Push = std::function<void(StreamedImage)>;
  /// `source` pushes all images, on a thread of its own; push() throws to end it early. take()
  /// rethrows its exceptions. If threads cannot be created, fewer decode; with none, take() decodes
  /// itself. Error if the thread of `source` cannot be created.
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

// A named range of time on the host: Nsight Systems shows it above the kernels that it launched.
// Does nothing in a build without nvcc.
#pragma once

#include <string_view>

namespace assay {

class ProfileRange {
 public:
  explicit ProfileRange(std::string_view name);
  ~ProfileRange();
  ProfileRange(const ProfileRange&) = delete;
  ProfileRange& operator=(const ProfileRange&) = delete;
};

}  // namespace assay

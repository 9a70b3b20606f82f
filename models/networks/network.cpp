#include "models/networks/network.h"

namespace assay {

std::vector<LayerRow> Network::table(int64_t n) const {
  std::vector<LayerRow> rows;
  describe("", input_shape(n), rows);
  return rows;
}

void check_image_size(std::string_view model, int image_size, int multiple, int min_size) {
  ASSAY_CHECK_AS(UsageError, image_size % multiple == 0 && image_size >= min_size,
                 "{}: the image size {} must be a multiple of {} and at least {}", model,
                 image_size, multiple, min_size);
}

}  // namespace assay

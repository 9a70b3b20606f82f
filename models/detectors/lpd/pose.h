// Position and direction of an object from its image alone, and its crop in a common pose.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace assay {

/// Images that poses, filters and crop size are estimated from, at most.
inline constexpr size_t kFitImages = 60;

/// A square image, (side,side,3) in [0,1].
struct SquareImage {
  std::span<const float> pixels;
  int side;
};

/// Mask (side,side), 1 on the object: the largest channel of |x - median of the border|, blurred
/// (Gaussian 1), above Otsu's threshold; of that the largest region (4-connected), holes filled.
std::vector<uint8_t> foreground(const SquareImage& image);

/// The object's frame: u along its principal axis, v across; its wide end has u < 0.
struct Pose {
  double angle = 0;     ///< of u against x, radians
  double x = 0, y = 0;  ///< pixel position of u = v = 0, the middle of the object's extent
  double length = 0;    ///< extent along u, pixels
  double spread = 0;    ///< the 99.5th percentile of |v|, pixels
};
/// If nothing stands out from the border: the middle of the image, no rotation, length 0.
Pose find_pose(const SquareImage& image);

/// Whether images should be cropped in their pose: the 5th percentile of the ratio of second
/// moments is above 2.5 (elongated objects) and 1 - |mean exp(2 i angle)| above .1 (in many
/// directions).
bool are_posed(std::span<const std::vector<uint8_t>> foregrounds, int side);

/// Height and width of a crop, multiples of 4.
struct CropSize {
  int height, width;
};
/// width: 1.14 x the median length of all poses; height: 2.32 x the median spread of the first
/// kFitImages. Each is at least 20.
CropSize crop_size(std::span<const Pose> poses);

/// Writes the image in the frame of the pose to out (height,width,3): bilinear, not scaled, edges
/// repeated.
void crop(const SquareImage& image, const Pose& pose, const CropSize& size, float* out);

/// Fractional column and row.
struct CropPoint {
  double column, row;
};
/// Where pixel (x, y) of the image lies in the crop.
CropPoint to_crop(const Pose& pose, const CropSize& size, double x, double y);

}  // namespace assay

// Where an object lies and which way it points, from its image alone, and its crop in one pose.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace assay {

/// A square image, (side,side,3) in [0,1].
struct SquareImage {
  std::span<const float> pixels;
  int side;
};

/// 1 where the object is, (side,side): the largest channel of |x - median of the border|, blurred
/// (Gaussian 1), above Otsu's threshold; of that the largest region (4-connected), holes filled.
std::vector<uint8_t> foreground(const SquareImage& image);

/// The object's frame: u along its principal axis, v across; its wide end has u < 0.
struct Pose {
  double angle = 0;     ///< of u against x, radians
  double x = 0, y = 0;  ///< pixel position of u = v = 0, the middle of the object's extent
  double length = 0;    ///< extent along u, pixels
  double spread = 0;    ///< the 99.5th percentile of |v|, pixels
};
/// Where nothing stands out from the border: the middle of the image, no rotation.
Pose find_pose(const SquareImage& image);

/// Whether objects of these images have a pose to find: the 5th percentile of the ratio of second
/// moments is above 2.5 (elongated), and 1 - |mean exp(2 i angle)| above .1 (in many directions).
bool are_posed(std::span<const std::vector<uint8_t>> foregrounds, int side);

/// Height and width of the crop that holds such objects, multiples of 4.
struct CropSize {
  int height, width;
};
/// 1.14 times the median length by 2.32 times the median spread of the first 60, each 20 at least.
CropSize crop_size(std::span<const Pose> poses);

/// The image in the frame of the pose, without scaling: bilinear, edges repeated. (height,width,3)
void crop(const SquareImage& image, const Pose& pose, const CropSize& size, float* out);

/// Pixel (x, y) of the image in the crop: its column and row, fractional.
struct CropPoint {
  double column, row;
};
CropPoint to_crop(const Pose& pose, const CropSize& size, double x, double y);

}  // namespace assay

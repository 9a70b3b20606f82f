// Convolutions of three public suites: ResNet-50, VGG-16 and DeepBench. Those of our own networks:
// model_layers.h. Sizes have the names of kernels/conv2d/conv2d.h.
#pragma once

#if !defined(__CUDACC__)
#include <fmt/core.h>
#endif

#include <string>
#include <vector>

#include "kernels/conv2d/conv2d.h"
#include "kernels/runtime/error.h"

namespace assay::bench {

using Pass = ConvPass;
constexpr const char* name_of(Pass p) {
  return p == Pass::fprop ? "fprop" : p == Pass::dgrad ? "dgrad" : "wgrad";
}

struct Layer {
  std::string name;
  Conv2dShape shape;
  Conv2dEpilogue epilogue;
  bool transposed = false;  ///< forward is dgrad: a transposed convolution
  bool first = false;       ///< a first layer, whose input needs no gradient
  std::string suite = "models";
  int count = 1;  ///< number of times that the network has it
};

/// The shape without the upsampling, on the upsampled image, as a library computes it.
inline Conv2dShape bare(Conv2dShape s) {
  s.H *= s.upsample;
  s.W *= s.upsample;
  s.upsample = 1;
  return s;
}

#if !defined(__CUDACC__)  // nvcc refuses {fmt}; its files need the shapes above alone

/// "n32c64-56x56-k128-3x3s2p1".
inline std::string describe(const Conv2dShape& s) {
  return fmt::format("n{}c{}-{}x{}-k{}-{}x{}s{}p{}", s.N, s.C, s.H, s.W, s.K, s.R, s.S, s.stride,
                     s.pad);
}

/// ResNet-50 v1.5 (the stride on the 3x3; He et al., 2016) and VGG-16 (Simonyan and Zisserman,
/// 2015) at 224x224: each convolution once, with the number of times that it occurs.
inline std::vector<Layer> imagenet_layers(int N) {
  struct Entry {
    int C, K, size, R, stride, count;
  };
  const Entry resnet[] = {
      {3, 64, 224, 7, 2, 1},    {64, 64, 56, 1, 1, 1},     {64, 64, 56, 3, 1, 3},
      {64, 256, 56, 1, 1, 4},   {256, 64, 56, 1, 1, 2},    {256, 128, 56, 1, 1, 1},
      {128, 128, 56, 3, 2, 1},  {256, 512, 56, 1, 2, 1},   {128, 512, 28, 1, 1, 4},
      {512, 128, 28, 1, 1, 3},  {128, 128, 28, 3, 1, 3},   {512, 256, 28, 1, 1, 1},
      {256, 256, 28, 3, 2, 1},  {512, 1024, 28, 1, 2, 1},  {256, 1024, 14, 1, 1, 6},
      {1024, 256, 14, 1, 1, 5}, {256, 256, 14, 3, 1, 5},   {1024, 512, 14, 1, 1, 1},
      {512, 512, 14, 3, 2, 1},  {1024, 2048, 14, 1, 2, 1}, {512, 2048, 7, 1, 1, 3},
      {2048, 512, 7, 1, 1, 2},  {512, 512, 7, 3, 1, 2},
  };
  const Entry vgg[] = {
      {3, 64, 224, 3, 1, 1},    {64, 64, 224, 3, 1, 1},  {64, 128, 112, 3, 1, 1},
      {128, 128, 112, 3, 1, 1}, {128, 256, 56, 3, 1, 1}, {256, 256, 56, 3, 1, 2},
      {256, 512, 28, 3, 1, 1},  {512, 512, 28, 3, 1, 2}, {512, 512, 14, 3, 1, 3},
  };
  std::vector<Layer> layers;
  const auto add = [&](const char* suite, const Entry& e) {
    const Conv2dShape s{N, e.size, e.size, e.C, e.K, e.R, e.R, e.stride, e.R / 2};
    layers.push_back({describe(s), s, {}, false, e.C == 3, suite, e.count});
  };
  for (const Entry& e : resnet) add("resnet50", e);
  for (const Entry& e : vgg) add("vgg16", e);
  return layers;
}

/// DeepBench's training convolutions (Baidu, 2017): 55 shapes, 90 with their batch sizes, among
/// them speech spectrograms that are not square.
inline std::vector<Layer> deepbench_layers() {
  struct Entry {
    int W, H, C, K, S, R, pad, stride;
    std::vector<int> batches;
  };
  const std::vector<int> b4 = {4, 8, 16, 32}, b8 = {8, 16}, b16 = {16}, only8 = {8};
  const Entry entries[] = {
      {700, 161, 1, 32, 20, 5, 0, 2, b4},    {341, 79, 32, 32, 10, 5, 0, 2, b4},
      {480, 48, 1, 16, 3, 3, 1, 1, b16},     {240, 24, 16, 32, 3, 3, 1, 1, b16},
      {120, 12, 32, 64, 3, 3, 1, 1, b16},    {60, 6, 64, 128, 3, 3, 1, 1, b16},
      {108, 108, 3, 64, 3, 3, 1, 2, only8},  {54, 54, 64, 64, 3, 3, 1, 1, only8},
      {27, 27, 128, 128, 3, 3, 1, 1, only8}, {14, 14, 128, 256, 3, 3, 1, 1, only8},
      {7, 7, 256, 512, 3, 3, 1, 1, only8},   {224, 224, 3, 64, 3, 3, 1, 1, b8},
      {112, 112, 64, 128, 3, 3, 1, 1, b8},   {56, 56, 128, 256, 3, 3, 1, 1, b8},
      {28, 28, 256, 512, 3, 3, 1, 1, b8},    {14, 14, 512, 512, 3, 3, 1, 1, b8},
      {7, 7, 512, 512, 3, 3, 1, 1, b8},      {224, 224, 3, 64, 7, 7, 3, 2, b16},
      {28, 28, 192, 32, 5, 5, 2, 1, b16},    {28, 28, 192, 64, 1, 1, 0, 1, b16},
      {14, 14, 512, 48, 5, 5, 2, 1, b16},    {14, 14, 512, 192, 1, 1, 0, 1, b16},
      {7, 7, 832, 256, 1, 1, 0, 1, b16},     {7, 7, 832, 128, 5, 5, 2, 1, b16},
      {56, 56, 64, 64, 3, 3, 1, 1, b8},      {56, 56, 64, 256, 1, 1, 0, 2, b8},
      {28, 28, 128, 128, 3, 3, 1, 1, b8},    {28, 28, 128, 512, 1, 1, 0, 2, b8},
      {14, 14, 256, 256, 1, 1, 0, 1, b8},    {14, 14, 256, 256, 3, 3, 1, 1, b8},
      {14, 14, 256, 1024, 1, 1, 0, 2, b8},   {7, 7, 512, 512, 1, 1, 0, 1, b8},
      {7, 7, 2048, 512, 1, 1, 3, 2, b8},     {700, 161, 1, 64, 5, 5, 1, 2, b16},
      {350, 80, 64, 64, 3, 3, 1, 1, b16},    {350, 80, 64, 128, 5, 5, 1, 2, b16},
      {175, 40, 128, 128, 3, 3, 1, 1, b16},  {175, 40, 128, 256, 5, 5, 1, 2, b16},
      {84, 20, 256, 256, 3, 3, 1, 1, b16},   {84, 20, 256, 512, 5, 5, 1, 2, b16},
      {42, 10, 512, 512, 3, 3, 1, 1, b16},   {112, 112, 64, 64, 1, 1, 0, 1, b8},
      {56, 56, 64, 256, 1, 1, 0, 1, b8},     {56, 56, 256, 64, 1, 1, 0, 1, b8},
      {56, 56, 256, 128, 1, 1, 0, 2, b8},    {28, 28, 128, 512, 1, 1, 0, 1, b8},
      {28, 28, 512, 128, 1, 1, 0, 1, b8},    {28, 28, 512, 256, 1, 1, 0, 2, b8},
      {14, 14, 256, 1024, 1, 1, 0, 1, b8},   {28, 28, 512, 1024, 1, 1, 0, 2, b8},
      {14, 14, 1024, 256, 1, 1, 0, 1, b8},   {14, 14, 1024, 512, 1, 1, 0, 2, b8},
      {7, 7, 512, 2048, 1, 1, 0, 1, b8},     {14, 14, 1024, 2048, 1, 1, 0, 2, b8},
      {7, 7, 2048, 512, 1, 1, 0, 1, b8},
  };
  std::vector<Layer> layers;
  for (const Entry& e : entries)
    for (const int N : e.batches) {
      const Conv2dShape s{N, e.H, e.W, e.C, e.K, e.R, e.S, e.stride, e.pad};
      layers.push_back({describe(s), s, {}, false, false, "deepbench", 1});
    }
  return layers;
}

#endif

}  // namespace assay::bench

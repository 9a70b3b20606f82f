// wgrad of few channels or few filters. The result, K filters x R*S*C columns (taps and channels),
// would fill little of a tile. So a thread keeps a *unit* of the result in registers, 4 filters x
// kColumns columns, and walks over the pixels.
//
// In NHWC the taps of a filter row and their channels lie side by side, so a unit's columns are
// neighbouring floats of x, wherever the filter stands:
//
//     x(n, h+r, :)   ... | w: c0 c1 c2 | w+1: c0 c1 c2 | w+2: c0 c1 c2 | ...
//                        |<-------- a row of taps: S*C floats -------->|
//
// Neighbouring threads have neighbouring filters, which read the same x, and then neighbouring
// columns. A block with several threads for each unit has that many *lanes*: each takes every
// lanes-th window of the block's part of z, and at the end their sums are added in order:
//
//     thread    | unit 0 .. U-1   | unit 0 .. U-1   | unit 0 .. U-1   | idle |
//     windows   | 0, 3, 6, ...    | 1, 4, 7, ...    | 2, 5, 8, ...    |
//
// Behind a pool one place of a window has a gradient, a different one for each filter. The kernel
// reads x at that place: one product for each window and filter in place of pool^2.
#include "kernels/conv2d/cuda/algorithms.h"
#include "kernels/conv2d/cuda/sources.cuh"
#include "kernels/conv2d/cuda/weights.cuh"
#include "kernels/runtime/cuda/grid.cuh"

namespace assay::cuda {
namespace {

constexpr int kBlock = 256, kFilters = 4;

/// How the result is divided into units, blocks and lanes.
struct Units {
  int groups;  // of kFilters filters
  int chunks;  // of kColumns columns in a row of taps
  int rows;    // of taps
  int of_block, lanes;
  int pitch;  // floats between sums in shared memory: sum i of unit u is in bank i * of_block + u

  Units(const DenseConv& conv, int columns)
      : groups((conv.K + kFilters - 1) / kFilters),
        chunks((conv.columns.max_taps() * conv.C + columns - 1) / columns),
        rows(conv.rows.max_taps()) {
    of_block = (all() + blocks() - 1) / blocks();
    lanes = kBlock / of_block;
    pitch = of_block + ((lanes - 1) * of_block + 31) / 32 * 32;
  }
  int all() const { return groups * chunks * rows; }
  int blocks() const { return (all() + kBlock - 1) / kBlock; }
};

/// First filter, row of taps and first column of a unit. Past the last unit, row is beyond all
/// taps.
struct Place {
  int k, row, column;
  template <int kColumns>
  static __device__ Place of(const Units& units, int unit) {
    return {unit % units.groups * kFilters, unit / units.groups / units.chunks,
            unit / units.groups % units.chunks * kColumns};
  }
};

/// Every stride-th window of a phase, without a division for each.
class Walk {
 public:
  __device__ Walk(const Phase& phase, int first, int stride)
      : phase_(phase),
        i_(phase.by_columns.quotient(first)),
        j_(first - i_ * phase.columns),
        n_(phase.by_rows.quotient(i_)),
        next_i_(phase.by_columns.quotient(stride)),
        next_j_(stride - next_i_ * phase.columns),
        next_n_(phase.by_rows.quotient(next_i_)) {
    i_ -= n_ * phase.rows;
    next_i_ -= next_n_ * phase.rows;
  }
  __device__ Pixel pixel() const { return phase_.pixel(n_, i_, j_, 0); }
  __device__ void next() {
    j_ += next_j_;
    const int row = j_ >= phase_.columns ? 1 : 0;
    j_ -= row * phase_.columns;
    i_ += next_i_ + row;
    const int image = i_ >= phase_.rows ? 1 : 0;
    i_ -= image * phase_.rows;
    n_ += next_n_ + image;
  }

 private:
  const Phase& phase_;
  int i_, j_, n_, next_i_, next_j_, next_n_;
};

/// dy f'(y) of four filters, and the place in the window that each belongs to.
struct Gradients {
  float d[kFilters];
  int place[kFilters];

  template <class T>
  __device__ Gradients(const GradientOfZFrom<T>& dz, int64_t pixel, int k) {
    const int64_t at = pixel * dz.K + k;
    if (dz.K % kFilters == 0) {
      const float4 v = load_dz<false, false>(dz, true, at, 0);
      const uchar4 chosen =
          dz.argmax != nullptr ? ldv<uchar4>(dz.argmax + at) : make_uchar4(0, 0, 0, 0);
      d[0] = v.x, d[1] = v.y, d[2] = v.z, d[3] = v.w;
      place[0] = chosen.x, place[1] = chosen.y, place[2] = chosen.z, place[3] = chosen.w;
      return;
    }
#pragma unroll
    for (int f = 0; f < kFilters; ++f) {
      const bool inside = k + f < dz.K;
      d[f] = inside ? dz.behind_pool(at + f) : 0.0f;
      place[f] = inside && dz.argmax != nullptr ? dz.argmax[at + f] : 0;
    }
  }
};

/// v = the elements from `column` on, counted from pixel (n,h,w) along its row; 0 outside.
template <int kColumns, bool kByFours, class T>
__device__ void load_columns(const ImageViewOf<T>& x, int n, int h, int w, int column,
                             float (&v)[kColumns]) {
  const int width = x.W * x.C, first = w * x.C + column;
  const bool row_inside = h >= 0 && h < x.H;
  const T* row = x.x + (int64_t{n} * x.H + (row_inside ? h : 0)) * width;
  constexpr int kStep = kByFours ? 4 : 1;
#pragma unroll
  for (int c = 0; c < kColumns; c += kStep) {
    const bool inside = row_inside && first + c >= 0 && first + c < width;
    if constexpr (kByFours) {
      const float4 four = inside ? load_4(row + first + c) : make_float4(0, 0, 0, 0);
      v[c] = four.x, v[c + 1] = four.y, v[c + 2] = four.z, v[c + 3] = four.w;
    } else {
      v[c] = inside ? static_cast<float>(row[first + c]) : 0.0f;
    }
  }
}

/// Grid: blocks of units, 1, parts x phases. partials as WgradPartials; those of dbias may be null.
/// The units of the first row and columns of taps add up dbias.
template <int kColumns, bool kByFours, bool kPooled, class T>
__global__ void __launch_bounds__(kBlock, !std::is_same_v<T, float>   ? 2
                                          : kColumns == 4             ? (kPooled ? 3 : 4)
                                          : kColumns == 8 && !kPooled ? 3
                                                                      : 2)
    conv2d_wgrad_few(const __grid_constant__ PhasedConv conv, WgradCut cut, Units units,
                     ImageViewOf<T> x, GradientOfZFrom<T> dz, float* partials,
                     float* dbias_partials) {
  ASSAY_DYNAMIC_SHARED(float, shared);  // (kFilters * (kColumns + 1), pitch of lanes and units)
  const int thread = static_cast<int>(threadIdx.x), z = static_cast<int>(blockIdx.z);
  const int part = conv.by_phases.quotient(z);
  const Phase phase(conv, z - part * conv.phases());
  const int of_part = cut.pixels >> 2 * phase.pool_log2;  // windows
  const int begin = part * of_part;
  const int end = min(phase.windows(conv.N), begin + of_part);
  const int row_of_taps = phase.taps_s * phase.C;
  const int first_unit = static_cast<int>(blockIdx.x) * units.of_block;
  ASSAY_SHARED(int, kept_phase, [1]);  // so that the loop needs no registers for what follows it
  if (thread == 0) kept_phase[0] = z - part * conv.phases();
  const int lane = thread / units.of_block;

  const Place at = Place::of<kColumns>(units, first_unit + thread % units.of_block);
  float sums[kFilters][kColumns] = {};
  if (lane < units.lanes && at.row < phase.taps_r && at.column < row_of_taps &&
      begin + lane < end) {
    Walk walk(phase, begin + lane, units.lanes);
    for (int m = begin + lane; m < end; m += units.lanes, walk.next()) {
      const Pixel pixel = walk.pixel();
      const Gradients gradients(dz, pixel.out, at.k);
      float v[kColumns];
      if constexpr (!kPooled)
        load_columns<kColumns, kByFours>(x, pixel.n, pixel.h + at.row, pixel.w, at.column, v);
#pragma unroll
      for (int f = 0; f < kFilters; ++f) {
        if constexpr (kPooled)
          load_columns<kColumns, kByFours>(
              x, pixel.n, pixel.h + (gradients.place[f] >> phase.pool_log2) * phase.step + at.row,
              pixel.w + (gradients.place[f] & (phase.pool - 1)) * phase.step, at.column, v);
#pragma unroll
        for (int c = 0; c < kColumns; ++c) sums[f][c] = fmaf(gradients.d[f], v[c], sums[f][c]);
      }
    }
  }
  if (lane < units.lanes)
#pragma unroll
    for (int i = 0; i < kFilters * kColumns; ++i)
      shared[i * units.pitch + thread] = sums[i / kColumns][i % kColumns];
  __syncthreads();
  const Phase same(conv, kept_phase[0]);
  // dbias, again from the cache: in the loop above its sums would cost a block its registers.
  if (dbias_partials != nullptr && lane < units.lanes && at.row == 0 && at.column == 0) {
    float of_bias[kFilters] = {};
    if (begin + lane < end) {
      Walk walk(same, begin + lane, units.lanes);
      for (int m = begin + lane; m < end; m += units.lanes, walk.next()) {
        const Gradients gradients(dz, walk.pixel().out, at.k);
#pragma unroll
        for (int f = 0; f < kFilters; ++f) of_bias[f] += gradients.d[f];
      }
    }
#pragma unroll
    for (int f = 0; f < kFilters; ++f)
      shared[(kFilters * kColumns + f) * units.pitch + thread] = of_bias[f];
  }
  __syncthreads();

  const PartialGradient out(conv, same, partials, z);
  const auto over_lanes = [&](int i, int unit) {
    float sum = 0;
    for (int l = 0; l < units.lanes; ++l)
      sum += shared[i * units.pitch + l * units.of_block + unit];
    return sum;
  };
  if (dbias_partials != nullptr)
    for (int o = thread; o < kFilters * units.of_block; o += static_cast<int>(blockDim.x)) {
      const int unit = o % units.of_block, f = o / units.of_block;
      const Place to = Place::of<kColumns>(units, first_unit + unit);
      if (to.row == 0 && to.column == 0 && to.k + f < conv.K)
        dbias_partials[z * gradient_stride(conv.K) + to.k + f] =
            over_lanes(kFilters * kColumns + f, unit);
    }
  for (int o = thread; o < kFilters * kColumns * units.of_block;
       o += static_cast<int>(blockDim.x)) {
    const int unit = o % units.of_block, i = o / units.of_block;
    const Place to = Place::of<kColumns>(units, first_unit + unit);
    const int k = to.k + i / kColumns, column = to.column + i % kColumns;
    if (to.row >= same.taps_r || k >= conv.K || column >= same.taps_s * same.C) continue;
    out.store(k, to.row * same.taps_s * same.C + column, over_lanes(i, unit));
  }
}

template <int kColumns, bool kByFours, class T>
bool run(Context& ctx, const DenseConv& conv, const ImageViewOf<T>& x, const GradientOfZFrom<T>& dz,
         float* dw, float* dbias) {
  constexpr int64_t kBlocks = 528;  // four for each of an H100's 132 multiprocessors
  const Units units(conv, kColumns);
  const WgradCut cut(conv, units.blocks(), units.lanes * conv.pool * conv.pool, kBlocks);
  const WgradPartials partials(ctx, conv, cut, dw, dbias);
  const auto kernel = conv.pool > 1 ? conv2d_wgrad_few<kColumns, kByFours, true, T>
                                    : conv2d_wgrad_few<kColumns, kByFours, false, T>;
  const int threads = units.lanes * units.of_block;
  launch(kernel,
         dim3(static_cast<unsigned>(units.blocks()), 1,
              static_cast<unsigned>(cut.parts * conv.phases())),
         static_cast<unsigned>((threads + 31) / 32 * 32),
         sizeof(float) * static_cast<size_t>(kFilters * (kColumns + 1) * units.pitch),
         stream_of(ctx), conv, cut, units, x, dz, partials.dw.get(), partials.dbias.get());
  partials.sum();
  return true;
}

template <class T>
bool run_wgrad(Context& ctx, const Conv2dShape& s, const Conv2dEpilogue& e, const T* x,
               Conv2dGrad<T> g, float* dw, float* dbias) {
  const DenseConv conv = fprop_conv(s, e.pool);
  const ImageViewOf<T> image{x, s.H, s.W, s.C};
  const GradientOfZFrom<T> dz(s, e, g);
  if (s.K % 4 == 0) check_aligned(g);
  if (s.C % 4 == 0) {
    check_aligned("x", x);
    return run<8, true>(ctx, conv, image, dz, dw, dbias);
  }
  // 3x3 filters: 3 columns of one channel, 9 of three.
  if (s.C == 1) return run<4, false>(ctx, conv, image, dz, dw, dbias);
  return run<12, false>(ctx, conv, image, dz, dw, dbias);
}

}  // namespace

namespace direct {

bool wgrad(Context& ctx, const Conv2dShape& s, const Conv2dEpilogue& e, const float* x,
           Conv2dGrad<float> g, float* dw, float* dbias) {
  return run_wgrad(ctx, s, e, x, g, dw, dbias);
}

bool bf16_tensors::wgrad(Context& ctx, const Conv2dShape& s, const Conv2dEpilogue& e, const bf16* x,
                         Conv2dGrad<bf16> g, float* dw, float* dbias) {
  return run_wgrad(ctx, s, e, x, g, dw, dbias);
}

}  // namespace direct
}  // namespace assay::cuda

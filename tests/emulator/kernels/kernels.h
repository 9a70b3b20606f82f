// Ten kernels that together use everything that the emulator has, and the bugs that can be planted
// in them. Each run_* launches on the default stream; `bug` must be one of the kernel's list.
#pragma once

#include <cstdint>

namespace assay::testing {

enum class Bug {
  none,
  // sgemm
  sgemm_missing_sync,  ///< tiles are refilled while others still read them
  // conv_tf32
  conv_waits_for_too_few_groups,
  conv_missing_sync,
  conv_writes_out_of_bounds,
  // batchnorm_statistics
  statistics_divergent_barrier,
  statistics_missing_sync,
  statistics_shuffle_with_absent_lanes,
  statistics_two_blocks_write_one_word,
  statistics_local_array_overrun,
  // kde
  kde_missing_sync,
  kde_shared_memory_too_small,
  // gemm_bf16
  bf16_reads_unfinished_copy,
  // wgmma_gemm
  wgmma_no_wait_for_full,
  wgmma_no_wait_for_empty,
  wgmma_wrong_expected_bytes,
  wgmma_no_wait_for_products,
  wgmma_no_fence,
  wgmma_overwritten_barrier,
  // wgmma_generic
  wgmma_no_proxy_fence,
  // wgmma_conv
  conv_boxes_one_warp_asks,  ///< setmaxnreg by one warp of four
  conv_boxes_no_wait_for_empty,
  conv_boxes_read_early,  ///< A is read before the box has landed
  conv_boxes_no_commit,
  conv_boxes_registers_overwritten,  ///< of A, before the wait
  conv_boxes_map_beyond_tensor,
};

/// C (M,N) = A (M,K) B (K,N), row-major. K and N are multiples of 4.
void run_sgemm(const float* a, const float* b, float* c, int M, int N, int K, Bug bug = Bug::none);

struct ConvShape {
  int N, H, W, C, K, R, S, pad, stride, P, Q;
};
/// y (N,P,Q,K) = x (N,H,W,C) * w (K,R,S,C), C a multiple of 32.
void run_conv_tf32(const float* x, const float* w, float* y, const ConvShape& s,
                   Bug bug = Bug::none);

/// Mean and biased variance of each column of x (rows, C).
void run_batchnorm_statistics(const float* x, float* mean, float* variance, int rows, int C,
                              Bug bug = Bug::none);

/// y, argmax (N, H/2, W/2, C): 2x2 maxima and which of the four they are. C a multiple of 4.
void run_maxpool(const float* x, float* y, uint8_t* argmax, int N, int H, int W, int C);

/// Log density at q (queries, D) of the Gaussian mixture at p (points, D), bandwidth h.
void run_kde(const float* q, const float* p, float* out, int queries, int points, int D, float h,
             Bug bug = Bug::none);

/// C (M,N) = A (M,K) B (K,N), bf16 bits. M, N multiples of 64, K of 32.
void run_gemm_bf16(const uint16_t* a, const uint16_t* b, float* c, int M, int N, int K,
                   Bug bug = Bug::none);

/// C (M,N) = A (M,K) B (N,K)^T in TF32 by TMA and wgmma. K a multiple of 32. sm_90a.
void run_wgmma_gemm(const float* a, const float* b, float* c, int M, int N, int K,
                    Bug bug = Bug::none);
/// C (64,64) = A (64,32) B (64,32)^T by wgmma; ordinary stores swizzle the operands. sm_90a.
void run_wgmma_generic(const float* a, const float* b, float* c, Bug bug = Bug::none);

/// y (N,P,Q,64) = x (N,H,W,32) * w (64,3,3,32), stride 2, pad 1, in TF32 by TMA boxes of four
/// dimensions and wgmma. sm_90a.
void run_wgmma_conv(const float* x, const float* w, float* y, int N, int H, int W,
                    Bug bug = Bug::none);

/// sum[0] = sum of x (n): each block adds its part, the last block adds the parts. `counter` is 0
/// before and after. With `annotated` false nothing orders the parts.
void run_last_block_sum(const float* x, float* parts, unsigned* counter, float* sum, int n,
                        bool annotated = true);

// ---- bugs.cu: kernels that are nothing but a bug
enum class Wrong {
  reads_uninitialised_shared,
  misaligned_vector,
  misaligned_copy,
  reads_out_of_bounds,
  reads_null,
  too_much_static_shared,
  stack_overflow,
  shuffles_at_two_places,
  lane_outside_of_its_mask,
  missing_sync_warp,
  named_barrier_of_wrong_count,
  others_local_memory,
  signed_overflow,
  shift_too_far,
  trap,
};
constexpr int kWrongs = static_cast<int>(Wrong::trap) + 1;
/// One block of 64 threads; `data` has 64 floats.
void run_wrong(Wrong wrong, float* data);

/// Transposes through a 32x32 tile whose rows are `pitch` = 32 or 33 floats apart: with 32 all
/// lanes of a column fall in one bank.
void run_transpose(const float* x, float* y, int pitch);
/// y[i] = x[i * stride] of one warp.
void run_gather(const float* x, float* y, int stride);

/// x[i] += 1 and x[i] *= 2, on a stream.
void run_add_one(float* x, int n, void* stream);
void run_double(float* x, int n, void* stream);

}  // namespace assay::testing

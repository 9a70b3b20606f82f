// cuBLASLt behind the interface of baseline.h.
#include <cublasLt.h>
#include <cuda_runtime.h>

#include "bench/baselines/baseline.h"
#include "kernels/runtime/error.h"

namespace assay::bench {
namespace {

void check_cublas(cublasStatus_t status, const char* call) {
  ASSAY_CHECK(status == CUBLAS_STATUS_SUCCESS, "cuBLASLt: {} from {}",
              cublasLtGetStatusString(status), call);
}
#define ASSAY_CUBLAS_CHECK(call) check_cublas((call), #call)

constexpr size_t kWorkspace = size_t{32} << 20;  // bytes; what NVIDIA recommends for Hopper

template <class T>
using Owned = std::unique_ptr<std::remove_pointer_t<T>, cublasStatus_t (*)(T)>;

using Layout_ = Owned<cublasLtMatrixLayout_t>;

/// Row-major (rows, columns) matrices, one after another.
Layout_ row_major(cudaDataType_t type, int rows, int columns, int batches) {
  cublasLtMatrixLayout_t made = nullptr;
  ASSAY_CUBLAS_CHECK(cublasLtMatrixLayoutCreate(&made, type, static_cast<uint64_t>(rows),
                                                static_cast<uint64_t>(columns), columns));
  Layout_ layout(made, cublasLtMatrixLayoutDestroy);
  const cublasLtOrder_t order = CUBLASLT_ORDER_ROW;
  ASSAY_CUBLAS_CHECK(
      cublasLtMatrixLayoutSetAttribute(made, CUBLASLT_MATRIX_LAYOUT_ORDER, &order, sizeof order));
  const int64_t stride = int64_t{rows} * columns;
  ASSAY_CUBLAS_CHECK(cublasLtMatrixLayoutSetAttribute(made, CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT,
                                                      &batches, sizeof batches));
  ASSAY_CUBLAS_CHECK(cublasLtMatrixLayoutSetAttribute(
      made, CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET, &stride, sizeof stride));
  return layout;
}

/// One product: descriptors that all its algorithms share.
struct Product {
  Owned<cublasLtMatmulDesc_t> operation{nullptr, cublasLtMatmulDescDestroy};
  Layout_ a, b, c;

  Product(const GemmShape& s, int batches, MathMode mode)
      : a(row_major(type_of(mode), s.transpose_a ? s.K : s.M, s.transpose_a ? s.M : s.K, batches)),
        b(row_major(type_of(mode), s.transpose_b ? s.N : s.K, s.transpose_b ? s.K : s.N, batches)),
        c(row_major(CUDA_R_32F, s.M, s.N, batches)) {
    cublasLtMatmulDesc_t made = nullptr;
    ASSAY_CUBLAS_CHECK(cublasLtMatmulDescCreate(
        &made, mode.tf32 ? CUBLAS_COMPUTE_32F_FAST_TF32 : CUBLAS_COMPUTE_32F, CUDA_R_32F));
    operation.reset(made);
    set_transpose(CUBLASLT_MATMUL_DESC_TRANSA, s.transpose_a);
    set_transpose(CUBLASLT_MATMUL_DESC_TRANSB, s.transpose_b);
  }
  static cudaDataType_t type_of(MathMode mode) {
    return mode.element == Element::f32 ? CUDA_R_32F : CUDA_R_16BF;
  }
  void set_transpose(cublasLtMatmulDescAttributes_t which, bool transpose) {
    const cublasOperation_t op = transpose ? CUBLAS_OP_T : CUBLAS_OP_N;
    ASSAY_CUBLAS_CHECK(cublasLtMatmulDescSetAttribute(operation.get(), which, &op, sizeof op));
  }
};

class CublasLibrary final : public BlasLibrary {
 public:
  explicit CublasLibrary(void* stream) : stream_(static_cast<cudaStream_t>(stream)) {
    ASSAY_CUBLAS_CHECK(cublasLtCreate(&handle_));
    if (cudaMalloc(&workspace_, kWorkspace) != cudaSuccess) {
      cublasLtDestroy(handle_);
      throw Error("cuBLASLt: no memory for its workspace");
    }
  }
  ~CublasLibrary() override {
    cudaFree(workspace_);
    cublasLtDestroy(handle_);
  }

  std::string name() const override {
    const size_t v = cublasLtGetVersion();
    return fmt::format("cuBLASLt {}.{}.{}", v / 10000, v / 100 % 100, v % 100);
  }

  std::vector<GemmPlan> gemm(const GemmShape& s, int batches, MathMode mode,
                             int max_plans) override {
    const auto product = std::make_shared<Product>(s, batches, mode);
    cublasLtMatmulPreference_t preference = nullptr;
    ASSAY_CUBLAS_CHECK(cublasLtMatmulPreferenceCreate(&preference));
    const Owned<cublasLtMatmulPreference_t> owner(preference, cublasLtMatmulPreferenceDestroy);
    ASSAY_CUBLAS_CHECK(cublasLtMatmulPreferenceSetAttribute(
        preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &kWorkspace, sizeof kWorkspace));
    std::vector<cublasLtMatmulHeuristicResult_t> found(static_cast<size_t>(max_plans));
    int n = 0;
    ASSAY_CUBLAS_CHECK(cublasLtMatmulAlgoGetHeuristic(
        handle_, product->operation.get(), product->a.get(), product->b.get(), product->c.get(),
        product->c.get(), preference, max_plans, found.data(), &n));
    std::vector<GemmPlan> plans;
    for (int i = 0; i < n; ++i) {
      const auto& result = found[static_cast<size_t>(i)];
      if (result.state != CUBLAS_STATUS_SUCCESS) continue;
      plans.push_back({fmt::format("algorithm {}, choice {}", id_of(result.algo), i),
                       [this, product, result](const void* a, const void* b, void* c) {
                         run(*product, result, a, b, c);
                       }});
    }
    return plans;
  }

 private:
  static int id_of(const cublasLtMatmulAlgo_t& algo) {
    int id = -1;
    size_t written = 0;
    ASSAY_CUBLAS_CHECK(cublasLtMatmulAlgoConfigGetAttribute(&algo, CUBLASLT_ALGO_CONFIG_ID, &id,
                                                            sizeof id, &written));
    return id;
  }
  void run(const Product& p, const cublasLtMatmulHeuristicResult_t& r, const void* a, const void* b,
           void* c) {
    const float one = 1, zero = 0;
    ASSAY_CUBLAS_CHECK(cublasLtMatmul(handle_, p.operation.get(), &one, a, p.a.get(), b, p.b.get(),
                                      &zero, c, p.c.get(), c, p.c.get(), &r.algo, workspace_,
                                      kWorkspace, stream_));
  }

  cublasLtHandle_t handle_ = nullptr;
  cudaStream_t stream_;
  void* workspace_ = nullptr;
};

}  // namespace

std::unique_ptr<BlasLibrary> open_blas(void* stream) {
  return std::make_unique<CublasLibrary>(stream);
}

}  // namespace assay::bench

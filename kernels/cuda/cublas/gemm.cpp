#include "kernels/cuda/cublas/gemm.h"

#include <map>
#include <utility>

#include <cublasLt.h>
#include <cublas_api.h>

#include "kernels/cuda/dlopened_library.h"
#include "kernels/error.h"

namespace scene::cuda {
namespace {

constexpr uint32_t alignment = 16; ///< bytes, of every matrix

/// The cuBLASLt functions that are used here, from dlopen.
struct CublasLibrary {
    decltype(&cublasLtGetVersion) get_version;
    decltype(&cublasLtGetStatusString) get_status_string;
    decltype(&cublasLtCreate) create;
    decltype(&cublasLtDestroy) destroy;
    decltype(&cublasLtMatmulDescCreate) create_product;
    decltype(&cublasLtMatmulDescDestroy) destroy_product;
    decltype(&cublasLtMatmulDescSetAttribute) set_product;
    decltype(&cublasLtMatrixLayoutCreate) create_layout;
    decltype(&cublasLtMatrixLayoutDestroy) destroy_layout;
    decltype(&cublasLtMatmulPreferenceCreate) create_preference;
    decltype(&cublasLtMatmulPreferenceDestroy) destroy_preference;
    decltype(&cublasLtMatmulPreferenceSetAttribute) set_preference;
    decltype(&cublasLtMatmulAlgoGetHeuristic) get_heuristic;
    decltype(&cublasLtMatmul) multiply;
};

CublasLibrary load() {
    const DlopenedLibrary library(fmt::format("libcublasLt.so.{}", CUBLAS_VER_MAJOR),
                                  fmt::format("cuBLASLt {}", CUBLAS_VER_MAJOR));
    CublasLibrary out;
    out.get_version = library.function<decltype(cublasLtGetVersion)>("cublasLtGetVersion");
    out.get_status_string = library.function<decltype(cublasLtGetStatusString)>("cublasLtGetStatusString");
    out.create = library.function<decltype(cublasLtCreate)>("cublasLtCreate");
    out.destroy = library.function<decltype(cublasLtDestroy)>("cublasLtDestroy");
    out.create_product = library.function<decltype(cublasLtMatmulDescCreate)>("cublasLtMatmulDescCreate");
    out.destroy_product = library.function<decltype(cublasLtMatmulDescDestroy)>("cublasLtMatmulDescDestroy");
    out.set_product = library.function<decltype(cublasLtMatmulDescSetAttribute)>("cublasLtMatmulDescSetAttribute");
    out.create_layout = library.function<decltype(cublasLtMatrixLayoutCreate)>("cublasLtMatrixLayoutCreate");
    out.destroy_layout = library.function<decltype(cublasLtMatrixLayoutDestroy)>("cublasLtMatrixLayoutDestroy");
    out.create_preference =
        library.function<decltype(cublasLtMatmulPreferenceCreate)>("cublasLtMatmulPreferenceCreate");
    out.destroy_preference =
        library.function<decltype(cublasLtMatmulPreferenceDestroy)>("cublasLtMatmulPreferenceDestroy");
    out.set_preference =
        library.function<decltype(cublasLtMatmulPreferenceSetAttribute)>("cublasLtMatmulPreferenceSetAttribute");
    out.get_heuristic = library.function<decltype(cublasLtMatmulAlgoGetHeuristic)>("cublasLtMatmulAlgoGetHeuristic");
    out.multiply = library.function<decltype(cublasLtMatmul)>("cublasLtMatmul");
    return out;
}

const CublasLibrary& cublas() {
    static const CublasLibrary library = load();
    return library;
}

void check(cublasStatus_t status, const char* what) {
    if (status != CUBLAS_STATUS_SUCCESS) fail("cuBLASLt: {}: {}", what, cublas().get_status_string(status));
}

cudaDataType_t data_type(DType type) {
    switch (type) {
    case DType::F16: return CUDA_R_16F;
    case DType::BF16: return CUDA_R_16BF;
    default: return CUDA_R_32F;
    }
}

/// A column-major matrix, as cuBLASLt has them: the transpose of the row-major matrix in the same memory.
class Layout {
public:
    Layout(DType type, int64_t rows, int64_t columns) {
        check(cublas().create_layout(&layout_, data_type(type), static_cast<uint64_t>(rows),
                                     static_cast<uint64_t>(columns), rows),
              "describing a matrix");
    }
    Layout(Layout&& other) noexcept : layout_(std::exchange(other.layout_, nullptr)) {}
    ~Layout() {
        if (layout_) (void)cublas().destroy_layout(layout_);
    }
    cublasLtMatrixLayout_t get() const { return layout_; }

private:
    cublasLtMatrixLayout_t layout_ = nullptr;
};

class Description {
public:
    Description(cublasComputeType_t compute, cublasOperation_t a, cublasOperation_t b) {
        check(cublas().create_product(&description_, compute, CUDA_R_32F), "describing a product");
        check(cublas().set_product(description_, CUBLASLT_MATMUL_DESC_TRANSA, &a, sizeof a), "transposing a matrix");
        check(cublas().set_product(description_, CUBLASLT_MATMUL_DESC_TRANSB, &b, sizeof b), "transposing a matrix");
    }
    Description(Description&& other) noexcept : description_(std::exchange(other.description_, nullptr)) {}
    ~Description() {
        if (description_) (void)cublas().destroy_product(description_);
    }
    cublasLtMatmulDesc_t get() const { return description_; }

private:
    cublasLtMatmulDesc_t description_ = nullptr;
};

/// What is prepared once for all products of a shape.
struct ProductPlan {
    Description description;
    Layout first, second, result;
    cublasLtMatmulAlgo_t algorithm;
};

class CublasGemm final : public Gemm {
public:
    explicit CublasGemm(bool tensor_cores)
        : compute_(tensor_cores ? CUBLAS_COMPUTE_32F_FAST_TF32 : CUBLAS_COMPUTE_32F) {
        check(cublas().create(&handle_), "creating a handle");
    }
    ~CublasGemm() override { (void)cublas().destroy(handle_); }
    CublasGemm(const CublasGemm&) = delete;
    CublasGemm& operator=(const CublasGemm&) = delete;

    std::string version() const override {
        const size_t v = cublas().get_version();
        return fmt::format("cuBLASLt {}.{}.{}", v / 10000, v / 100 % 100, v % 100);
    }

    /// Row-major c = a b is column-major c^T = b^T a^T, and row-major memory, read as column-major, is the transpose.
    void multiply(const Product& product, void* c, const void* a, const void* b, void* workspace,
                  cudaStream_t stream) override {
        auto known = plans_.find(product);
        if (known == plans_.end()) known = plans_.emplace(product, plan(product)).first;
        const ProductPlan& plan = known->second;
        const float alpha = 1, beta = product.accumulate ? 1.0f : 0.0f;
        check(cublas().multiply(handle_, plan.description.get(), &alpha, b, plan.first.get(), a, plan.second.get(),
                                &beta, c, plan.result.get(), c, plan.result.get(), &plan.algorithm, workspace,
                                cublas_workspace_bytes, stream),
              "running a product");
    }

private:
    ProductPlan plan(const Product& p) const {
        ProductPlan out{Description(is_half_width(p.type) ? CUBLAS_COMPUTE_32F : compute_,
                                    p.transpose_b ? CUBLAS_OP_T : CUBLAS_OP_N,
                                    p.transpose_a ? CUBLAS_OP_T : CUBLAS_OP_N),
                        p.transpose_b ? Layout(p.type, p.k, p.columns) : Layout(p.type, p.columns, p.k),
                        p.transpose_a ? Layout(p.type, p.rows, p.k) : Layout(p.type, p.k, p.rows),
                        Layout(p.type, p.columns, p.rows),
                        {}};
        cublasLtMatmulPreference_t preference = nullptr;
        check(cublas().create_preference(&preference), "asking for an algorithm");
        const std::unique_ptr<std::remove_pointer_t<cublasLtMatmulPreference_t>,
                              cublasStatus_t (*)(cublasLtMatmulPreference_t)>
            owner(preference, cublas().destroy_preference);
        const auto prefer = [&](cublasLtMatmulPreferenceAttributes_t name, const auto& value) {
            check(cublas().set_preference(preference, name, &value, sizeof value), "asking for an algorithm");
        };
        prefer(CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, cublas_workspace_bytes);
        for (const auto matrix :
             {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES,
              CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES})
            prefer(matrix, alignment);
        cublasLtMatmulHeuristicResult_t result{};
        int found = 0;
        check(cublas().get_heuristic(handle_, out.description.get(), out.first.get(), out.second.get(),
                                     out.result.get(), out.result.get(), preference, 1, &result, &found),
              "asking for an algorithm");
        if (found == 0) fail("cuBLASLt has no algorithm for a product of {} x {} and k {}", p.rows, p.columns, p.k);
        out.algorithm = result.algo;
        return out;
    }

    cublasComputeType_t compute_;
    cublasLtHandle_t handle_ = nullptr;
    std::map<Product, ProductPlan> plans_;
};

} // namespace

void load_cublas() { cublas(); }

std::unique_ptr<Gemm> make_cublas_gemm(bool tensor_cores) { return std::make_unique<CublasGemm>(tensor_cores); }

} // namespace scene::cuda

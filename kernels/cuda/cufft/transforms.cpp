#include "kernels/cuda/cufft/transforms.h"

#include "kernels/error.h"

#if __has_include(<cufft.h>)

#include <map>
#include <utility>

#include <cufft.h>

#include "kernels/cuda/dlopened_library.h"

namespace scene::cuda {
namespace {

/// The cuFFT functions that are used here, from dlopen.
struct CufftLibrary {
    decltype(&cufftGetVersion) get_version;
    decltype(&cufftCreate) create;
    decltype(&cufftDestroy) destroy;
    decltype(&cufftSetAutoAllocation) set_auto_allocation;
    decltype(&cufftMakePlanMany) make_plan;
    decltype(&cufftSetWorkArea) set_work_area;
    decltype(&cufftSetStream) set_stream;
    decltype(&cufftExecD2Z) execute;
};

CufftLibrary load() {
    const DlopenedLibrary library(fmt::format("libcufft.so.{}", CUFFT_VER_MAJOR),
                                  fmt::format("cuFFT {}", CUFFT_VER_MAJOR));
    CufftLibrary out;
    out.get_version = library.function<decltype(cufftGetVersion)>("cufftGetVersion");
    out.create = library.function<decltype(cufftCreate)>("cufftCreate");
    out.destroy = library.function<decltype(cufftDestroy)>("cufftDestroy");
    out.set_auto_allocation = library.function<decltype(cufftSetAutoAllocation)>("cufftSetAutoAllocation");
    out.make_plan = library.function<decltype(cufftMakePlanMany)>("cufftMakePlanMany");
    out.set_work_area = library.function<decltype(cufftSetWorkArea)>("cufftSetWorkArea");
    out.set_stream = library.function<decltype(cufftSetStream)>("cufftSetStream");
    out.execute = library.function<decltype(cufftExecD2Z)>("cufftExecD2Z");
    return out;
}

const CufftLibrary& cufft() {
    static const CufftLibrary library = load();
    return library;
}

void check(cufftResult status, const char* what) {
    if (status != CUFFT_SUCCESS) fail("cuFFT: {}: error {}", what, int{status});
}

class Plan {
public:
    Plan(int points, int64_t rows) {
        check(cufft().create(&plan_), "creating a plan");
        try {
            check(cufft().set_auto_allocation(plan_, 0), "leaving the work area to the caller");
            const int bins = points / 2 + 1;
            check(cufft().make_plan(plan_, 1, &points, &points, 1, points, const_cast<int*>(&bins), 1, bins, CUFFT_D2Z,
                                    static_cast<int>(rows), &scratch_bytes_),
                  "planning a transform");
        } catch (...) {
            (void)cufft().destroy(plan_);
            throw;
        }
    }
    ~Plan() { (void)cufft().destroy(plan_); }
    Plan(const Plan&) = delete;
    Plan& operator=(const Plan&) = delete;

    size_t scratch_bytes() const { return scratch_bytes_; }
    void run(double2* spectra, double* x, void* scratch, cudaStream_t stream) const {
        check(cufft().set_work_area(plan_, scratch), "setting the work area");
        check(cufft().set_stream(plan_, stream), "choosing a stream");
        check(cufft().execute(plan_, x, spectra), "running a transform");
    }

private:
    cufftHandle plan_ = 0;
    size_t scratch_bytes_ = 0;
};

class CufftTransforms final : public FourierTransforms {
public:
    std::string version() const override {
        int v = 0;
        check(cufft().get_version(&v), "asking for its version");
        return fmt::format("cuFFT {}.{}.{}", v / 1000, v / 100 % 10, v % 100);
    }
    size_t scratch_bytes(int points, int64_t rows) override { return plan_of(points, rows).scratch_bytes(); }
    void run(int points, int64_t rows, double2* spectra, double* x, void* scratch, cudaStream_t stream) override {
        plan_of(points, rows).run(spectra, x, scratch, stream);
    }

private:
    const Plan& plan_of(int points, int64_t rows) {
        SCENE_CHECK(rows > 0 && rows <= 0x7FFFFFFF, "rows of a transform fit into an int");
        return plans_.try_emplace({points, rows}, points, rows).first->second;
    }

    std::map<std::pair<int, int64_t>, Plan> plans_;
};

} // namespace

std::unique_ptr<FourierTransforms> make_cufft_transforms() {
    cufft();
    return std::make_unique<CufftTransforms>();
}

} // namespace scene::cuda

#else

namespace scene::cuda {

std::unique_ptr<FourierTransforms> make_cufft_transforms() {
    fail("this scene was built without cuFFT, which only a comparison needs; build it where cufft.h is");
}

} // namespace scene::cuda

#endif

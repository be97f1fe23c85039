#include "kernels/convert/convert.h"

#include "kernels/reference.h"

namespace scene::reference {

/// A plain copy, since a reference's floating-point operands are all of one type. The rounding is in storing y.
void run(const Convert<Tensor>& op) {
    with_real(op.x, [&](auto real) {
        using Real = decltype(real);
        for (int64_t i = 0; i < op.x.elements(); ++i) values<Real>(op.y)[i] = values<Real>(op.x)[i];
    });
}

} // namespace scene::reference

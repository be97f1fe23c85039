#pragma once

// Static reflection of op records, so that their members are listed only once: a record is taken apart by a structured
// binding with as many names as it has members. nvcc's front end rejects the counting of members; no .cu file needs it.

#include <array>
#include <concepts>
#include <cstddef>
#include <utility>

#include "kernels/op.h"

namespace scene {

constexpr size_t most_fields = 16; ///< of a record

template <class Field>
concept Operand = requires {
    { Field::scratch } -> std::convertible_to<bool>;
    { Field::optional } -> std::convertible_to<bool>;
};

namespace fields {

/// Converts to the type of any member, in unevaluated code.
struct Any {
    template <class Member> operator Member() const; // NOLINT: never defined, never called
};

template <class Record, size_t... Index> constexpr bool takes(std::index_sequence<Index...>) {
    return requires { Record{(static_cast<void>(Index), Any{})...}; };
}

/// The number of members: the most initialisers that the aggregate takes. Tries a few more than most_fields, so that
/// with_fields can reject a record that has too many.
template <class Record, size_t Tried = most_fields + 4> constexpr size_t count() {
    if constexpr (takes<Record>(std::make_index_sequence<Tried>())) {
        return Tried;
    } else {
        return count<Record, Tried - 1>();
    }
}

} // namespace fields

/// Returns visit(members...), in the order of declaration.
template <class Record, class Visit> decltype(auto) with_fields(Record& r, Visit&& visit) {
    constexpr size_t n = fields::count<std::remove_const_t<Record>>();
    static_assert(n <= most_fields, "a record has at most 16 members: raise most_fields and add a case here");
    // clang-format off
    if constexpr (n == 1) { auto& [a] = r; return visit(a); }
    else if constexpr (n == 2) { auto& [a, b] = r; return visit(a, b); }
    else if constexpr (n == 3) { auto& [a, b, c] = r; return visit(a, b, c); }
    else if constexpr (n == 4) { auto& [a, b, c, d] = r; return visit(a, b, c, d); }
    else if constexpr (n == 5) { auto& [a, b, c, d, e] = r; return visit(a, b, c, d, e); }
    else if constexpr (n == 6) { auto& [a, b, c, d, e, f] = r; return visit(a, b, c, d, e, f); }
    else if constexpr (n == 7) { auto& [a, b, c, d, e, f, g] = r; return visit(a, b, c, d, e, f, g); }
    else if constexpr (n == 8) { auto& [a, b, c, d, e, f, g, h] = r; return visit(a, b, c, d, e, f, g, h); }
    else if constexpr (n == 9) { auto& [a, b, c, d, e, f, g, h, i] = r; return visit(a, b, c, d, e, f, g, h, i); }
    else if constexpr (n == 10) { auto& [a, b, c, d, e, f, g, h, i, j] = r; return visit(a, b, c, d, e, f, g, h, i, j); }
    else if constexpr (n == 11) { auto& [a, b, c, d, e, f, g, h, i, j, k] = r; return visit(a, b, c, d, e, f, g, h, i, j, k); }
    else if constexpr (n == 12) { auto& [a, b, c, d, e, f, g, h, i, j, k, l] = r; return visit(a, b, c, d, e, f, g, h, i, j, k, l); }
    else if constexpr (n == 13) { auto& [a, b, c, d, e, f, g, h, i, j, k, l, m] = r; return visit(a, b, c, d, e, f, g, h, i, j, k, l, m); }
    else if constexpr (n == 14) { auto& [a, b, c, d, e, f, g, h, i, j, k, l, m, o] = r; return visit(a, b, c, d, e, f, g, h, i, j, k, l, m, o); }
    else if constexpr (n == 15) { auto& [a, b, c, d, e, f, g, h, i, j, k, l, m, o, p] = r; return visit(a, b, c, d, e, f, g, h, i, j, k, l, m, o, p); }
    else if constexpr (n == 16) { auto& [a, b, c, d, e, f, g, h, i, j, k, l, m, o, p, q] = r; return visit(a, b, c, d, e, f, g, h, i, j, k, l, m, o, p, q); }
    // clang-format on
}

/// Calls visit(operand) for each operand of a record, in the order of declaration. The operands of a std::array are
/// visited one by one.
template <class Record, class Visit> void for_each_operand(Record& record, Visit&& visit) {
    const auto one = [&]<class Field>(Field& field) {
        if constexpr (Operand<Field>) {
            visit(field);
        } else if constexpr (requires { requires Operand<typename Field::value_type>; }) {
            for (auto& operand : field) visit(operand);
        }
    };
    with_fields(record, [&](auto&... field) { (one(field), ...); });
}

namespace fields {

template <class To, class Convert> struct Rebind {
    const Convert& convert;

    template <class Setting> const Setting& operator()(const Setting& setting) const { return setting; }
    template <template <class> class Role, class From>
    requires Operand<Role<From>> Role<To>
    operator()(const Role<From>& operand) const { return Role<To>(convert(operand)); }
    template <template <class> class Role, class From, size_t N>
    requires Operand<Role<From>> std::array<Role<To>, N>
    operator()(const std::array<Role<From>, N>& operands) const {
        return [&]<size_t... I>(std::index_sequence<I...>) { return std::array<Role<To>, N>{(*this)(operands[I])...}; }
        (std::make_index_sequence<N>());
    }
};

} // namespace fields

/// A copy of the record with each operand replaced by To convert(operand). Settings are copied.
template <class To, template <class> class Op, class From, class Convert>
Op<To> rebound(const Op<From>& record, const Convert& convert) {
    const fields::Rebind<To, Convert> rebind{convert};
    return with_fields(record, [&](const auto&... field) { return Op<To>{rebind(field)...}; });
}

/// Memory traffic of an op without caches, in bytes: the record's own bytes(), else one read of each operand that is
/// read and one write of each that is written, scratch excepted.
template <template <class> class Op> double bytes_of(const Op<TensorSpec>& record) {
    if constexpr (requires { record.bytes(); }) {
        return record.bytes();
    } else {
        double bytes = 0;
        for_each_operand(record, [&]<class Field>(const Field& field) {
            if (!Field::scratch)
                bytes += static_cast<double>((Field::reads ? 1 : 0) + (Field::writes ? 1 : 0)) *
                         static_cast<double>(field.bytes());
        });
        return bytes;
    }
}

/// The record's own flops(), else 0.
template <template <class> class Op> double flops_of(const Op<TensorSpec>& record) {
    if constexpr (requires { record.flops(); }) {
        return record.flops();
    } else {
        return 0;
    }
}

} // namespace scene

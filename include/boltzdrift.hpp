// boltzdrift for C++17: one-step Boltzmann samplers of molecules, for molecular dynamics codes.
//
//     auto frames = boltzdrift::Dataset::read("run.lammpstrj");
//     auto field = boltzdrift::fit(frames);
//     auto pool = boltzdrift::equilibrate(frames, field, {{"temperature", 500.0}});
//     auto sampler = boltzdrift::train(pool.states, {{"temperature", 500.0}});
//     auto positions = sampler.sample({seed, first, count});
//
// Units: angstrom, kcal/mol, femtosecond, amu, kelvin. Arrays are row-major. Errors are exceptions of class
// boltzdrift::Error; an exception of a callback of yours comes back to you as it was. Objects that were moved from may only
// be destroyed or assigned to.
//
// Link with CMake's boltzdrift::cxx, or with -lboltzdrift_cxx -lboltzdrift.
//
// SPDX-License-Identifier: BSD-3-Clause
#ifndef BOLTZDRIFT_HPP
#define BOLTZDRIFT_HPP

#include <boltzdrift.h>

#include <array>
#include <functional>
#include <memory>
#include <mutex>
#include <string_view>

#include <boltzdrift/dataset.hpp>
#include <boltzdrift/error.hpp>
#include <boltzdrift/potential.hpp>
#include <boltzdrift/sampler.hpp>
#include <boltzdrift/settings.hpp>
#include <boltzdrift/view.hpp>

namespace boltzdrift {

/// Version of the library, as "0.1.0".
inline std::string_view version() noexcept { return bzd_version(); }

/// Whether the library can fit and train; the sampler-only build cannot.
inline bool can_train() noexcept { return bzd_can_train() != 0; }

/// How many of the library's own units one `unit` is; `quantity` is "length", "energy", "force", "time", "mass",
/// "velocity" or "temperature".
inline double unit(std::string_view unit, std::string_view quantity) {
    return detail::call([&] { return bridge::unit(detail::to_rust(unit), detail::to_rust(quantity)); });
}

/// The units of a LAMMPS style: length, energy, time, force, velocity.
inline std::array<double, 5> lammps_units(std::string_view style) {
    std::array<double, 5> out{};
    detail::call([&] { bridge::lammps_units(detail::to_rust(style), rust::Slice<double>(out.data(), out.size())); });
    return out;
}

/// Takes one line of the log: level 1 error, 2 warning, 3 information, 4 details. It must not throw, nor call the library.
using Log = std::function<void(int level, std::string_view message)>;

/// Sends the log up to `level` to a function, which may be called from any thread, one call at a time; an empty one stops
/// it. Status::unsupported where the process has another logger in this library.
inline void set_log(Log log, int level = 3) {
    // Kept until it is replaced: the library holds its address, also while the program ends. So these two live on.
    static auto &mutex = *new std::mutex;
    static auto &kept = *new std::unique_ptr<Log>;
    const std::lock_guard<std::mutex> lock(mutex);
    auto next = log ? std::make_unique<Log>(std::move(log)) : nullptr;
    const auto forward = [](void *function, std::int32_t at, const char *message) {
        (*static_cast<Log *>(function))(at, message);
    };
    const bzd_status_t status = bzd_set_log(next ? +forward : nullptr, next.get(), next ? level : 0);
    if (status != BZD_OK) {
        throw Error(static_cast<Status>(status), 0, bzd_last_error());
    }
    kept = std::move(next);
}

} // namespace boltzdrift

#endif

// Frames of one molecule, and what is made of them.
// SPDX-License-Identifier: BSD-3-Clause
#ifndef BOLTZDRIFT_DATASET_HPP
#define BOLTZDRIFT_DATASET_HPP

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <boltzdrift/potential.hpp>
#include <boltzdrift/settings.hpp>

namespace boltzdrift {

/// Frames of one molecule: N frames of n atoms. Angstrom, kcal/mol, fs, amu. Move-only. May be read from many threads at
/// once while nothing changes it.
class Dataset {
public:
    /// Reads a trajectory; `reading` has the command line's options, for example {{"units", "real"}}.
    static Dataset read(std::string_view path, const Settings &reading = {}, const Listener &listener = {}) {
        detail::Ear ear(listener);
        const auto heard = ear.bridge();
        return Dataset(detail::call(
            [&] { return bridge::dataset_read(detail::to_rust(path), detail::to_rust(reading.json()), heard); }, ear));
    }

    /// Copies arrays: species (n) as atomic numbers, positions (N, n, 3), forces (N, n, 3), energies (N), masses (n), the
    /// last three may be empty. The molecule must be whole.
    static Dataset from_arrays(View<const std::int32_t> species, View<const double> positions,
                               View<const double> forces = {}, View<const double> energies = {},
                               View<const double> masses = {}) {
        return Dataset(detail::call([&] {
            return bridge::dataset_from_arrays(detail::slice(species), detail::slice(positions), detail::slice(forces),
                                               detail::slice(energies), detail::slice(masses));
        }));
    }

    /// Number of frames N.
    std::size_t size() const noexcept { return bridge::dataset_frames(*box_); }
    /// Number of atoms n.
    std::size_t atoms() const noexcept { return bridge::dataset_masses(*box_).size(); }
    /// Atomic numbers (n).
    std::vector<std::int32_t> species() const {
        const auto all = bridge::dataset_species(*box_);
        return {all.begin(), all.end()};
    }
    /// Masses (n). This and the next ones are views without a copy, valid until the dataset is changed or destroyed.
    View<const double> masses() const noexcept { return detail::view(bridge::dataset_masses(*box_)); }
    /// Positions (N, n, 3).
    View<const double> positions() const {
        return detail::view(detail::call([&] { return bridge::dataset_positions(*box_); }));
    }
    /// Forces (N, n, 3); Status::unsupported where there are none.
    View<const double> forces() const {
        return detail::view(detail::call([&] { return bridge::dataset_forces(*box_); }));
    }
    /// Energies (N); Status::unsupported where there are none.
    View<const double> energies() const {
        return detail::view(detail::call([&] { return bridge::dataset_energies(*box_); }));
    }
    /// Velocities (N, n, 3); Status::unsupported where there are none.
    View<const double> velocities() const {
        return detail::view(detail::call([&] { return bridge::dataset_velocities(*box_); }));
    }

    /// Gives the frames velocities (N, n, 3), for write().
    void set_velocities(View<const double> velocities) {
        detail::call([&] { bridge::dataset_set_velocities(*box_, detail::slice(velocities)); });
    }

    /// Energies and forces of all frames from a potential, in place of those they have. After a failure the dataset is as it
    /// was, and `potential` keeps what is done: the next call with the same AnyPotential goes on there, labelled() gives it.
    void label(const AnyPotential &potential, const Listener &listener = {}) {
        detail::Ear ear(listener);
        const auto heard = ear.bridge();
        detail::call([&] { bridge::dataset_label(*box_, potential.handle(), heard); }, potential, ear);
    }

    /// The frames that the last label() with this AnyPotential had done when it failed or was stopped, with their labels.
    /// Status::unsupported where there are none.
    Dataset labelled(const AnyPotential &potential) const {
        return Dataset(detail::call([&] { return bridge::dataset_labelled(*box_, potential.handle()); }));
    }

    /// Writes the frames with energies and forces from a potential to a file, as `boltzdrift label`: .npz, .xyz, or .lammpstrj
    /// without energies. What is done lies in PATH.partial until the file is whole; after a failure or a kill the next call
    /// with the same frames and a potential of the same identity goes on there. Settings: batch (64), skip_failing (false).
    /// Returns JSON: "frames" written, "kept_before" by earlier calls, those "left_out", "difference" from labels they had.
    std::string label_to(std::string_view path, const AnyPotential &potential, const Settings &settings = {},
                         const Listener &listener = {}) const {
        detail::Ear ear(listener);
        const auto heard = ear.bridge();
        return detail::to_std(detail::call(
            [&] {
                auto report = bridge::dataset_label_to(*box_, potential.handle(), detail::to_rust(path),
                                                       detail::to_rust(settings.json()), heard);
                // What it threw for frames that were left out.
                potential.forget();
                return report;
            },
            potential, ear));
    }

    /// Writes the frames, through a temporary file; the extension tells the format.
    void write(std::string_view path) const {
        detail::call([&] { bridge::dataset_write(*box_, detail::to_rust(path)); });
    }

    /// Atoms, bonds, symmetry, thermometer and warnings as JSON; `kelvin` is the temperature that the run was meant to have,
    /// 0 where that is not known.
    std::string inspect(double kelvin = 0.0) const {
        return detail::to_std(detail::call([&] { return bridge::dataset_inspect(*box_, kelvin); }));
    }

    // For the library's own classes.
    explicit Dataset(rust::Box<bridge::Dataset> box) : box_(std::move(box)) {}
    const bridge::Dataset &box() const noexcept { return *box_; }

private:
    rust::Box<bridge::Dataset> box_;
};

/// Compares samples with a reference, as JSON: the figures of `boltzdrift evaluate --json`.
inline std::string evaluate(const Dataset &samples, const Dataset &reference) {
    return detail::to_std(detail::call([&] { return bridge::evaluate(samples.box(), reference.box()); }));
}

/// A force field fitted to the forces of a trajectory. Settings: frames, sigma, ridge, memory_gb, plain.
/// Status::unsupported in the sampler-only build.
inline AnyPotential fit(const Dataset &dataset, const Settings &settings = {}, const Listener &listener = {}) {
    detail::Ear ear(listener);
    const auto heard = ear.bridge();
    return AnyPotential(
        detail::call([&] { return bridge::fit(dataset.box(), detail::to_rust(settings.json()), heard); }, ear));
}

/// Equilibrated states, and the report of how they were made, as JSON.
struct Equilibrated {
    Dataset states;
    std::string report;
};

/// States equilibrated with a potential, by Monte Carlo chains that start from the frames of a trajectory and run until
/// they have proved to forget them. Settings: temperature in kelvin, which is needed; frames, chains, seed, effective, ...
inline Equilibrated equilibrate(const Dataset &dataset, const AnyPotential &potential, const Settings &settings,
                                const Listener &listener = {}) {
    detail::Ear ear(listener);
    const auto heard = ear.bridge();
    auto made = detail::call(
        [&] {
            return bridge::equilibrate(dataset.box(), potential.handle(), detail::to_rust(settings.json()), heard);
        },
        potential, ear);
    return {Dataset(std::move(made.states)), detail::to_std(made.report)};
}

} // namespace boltzdrift

#endif

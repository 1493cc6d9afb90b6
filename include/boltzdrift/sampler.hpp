// Samplers: trained, loaded, asked, drawn from, put into a simulation.
// SPDX-License-Identifier: BSD-3-Clause
#ifndef BOLTZDRIFT_SAMPLER_HPP
#define BOLTZDRIFT_SAMPLER_HPP

#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <boltzdrift/dataset.hpp>

namespace boltzdrift {

/// Samples first ... first + count of the ensemble of a seed. Sample i of a seed is the same bytes whatever the range and
/// the number of threads, so that ranks can draw disjoint parts of one ensemble.
struct Samples {
    std::uint64_t seed = 0;
    std::uint64_t first = 0;
    std::size_t count = 1;
};

/// How a sample is turned that is put into a simulation.
enum class Orientation : std::int32_t {
    keep = BZD_ORIENT_KEEP,     ///< as the molecule that it replaces
    random = BZD_ORIENT_RANDOM, ///< uniformly at random
};

/// Refined samples.
struct Refined {
    std::vector<double> positions; ///< (count, n, 3) in angstrom
    std::vector<double> energies;  ///< (count) in kcal/mol
    std::string report;            ///< acceptance, what was drawn again, energies before and after, as JSON
};

/// A trained sampler. Move-only; may be used from many threads at once.
class Sampler {
public:
    /// Loads what `boltzdrift train` or save() wrote; Status::failed where the file cannot be read or is no sampler.
    static Sampler load(std::string_view path) {
        return Sampler(detail::call([&] { return bridge::sampler_load(detail::to_rust(path)); }));
    }
    /// Writes the sampler, through a temporary file.
    void save(std::string_view path) const {
        detail::call([&] { bridge::sampler_save(*box_, detail::to_rust(path)); });
    }

    /// Number of atoms n.
    std::size_t atoms() const noexcept { return bridge::sampler_masses(*box_).size(); }
    /// Atomic numbers (n).
    std::vector<std::int32_t> species() const {
        const auto all = bridge::sampler_species(*box_);
        return {all.begin(), all.end()};
    }
    /// Masses (n) in amu, a view without a copy.
    View<const double> masses() const noexcept { return detail::view(bridge::sampler_masses(*box_)); }
    /// Temperature in kelvin that it was trained for, where it records one.
    std::optional<double> temperature() const {
        const double kelvin = bridge::sampler_temperature(*box_);
        return std::isnan(kelvin) ? std::nullopt : std::optional<double>(kelvin);
    }
    /// Pairs of bonded atoms.
    std::vector<std::array<std::int32_t, 2>> bonds() const {
        const auto all = detail::call([&] { return bridge::sampler_bonds(*box_); });
        std::vector<std::array<std::int32_t, 2>> pairs;
        for (std::size_t k = 0; k + 1 < all.size(); k += 2) {
            pairs.push_back({all[k], all[k + 1]});
        }
        return pairs;
    }
    /// All it says of itself, as JSON: species, bonds, symmetry, settings, figures, calibration.
    std::string info() const {
        return detail::to_std(detail::call([&] { return bridge::sampler_info(*box_); }));
    }

    /// Positions (count, n, 3) in angstrom, the center of mass at the origin.
    std::vector<double> sample(const Samples &samples) const {
        std::vector<double> positions(room(samples.count));
        sample(samples, positions);
        return positions;
    }
    /// The same into the caller's array.
    void sample(const Samples &samples, View<double> positions) const {
        detail::call([&] { bridge::sampler_sample(*box_, range(samples), detail::slice(positions)); });
    }

    /// The same samples, refined by Monte Carlo steps that keep the Boltzmann distribution of the potential exactly; those
    /// that are no states of the molecule are drawn again, so exactly `count` come back. Settings: steps (20), temperature,
    /// time_step (1 fs), leapfrog (20).
    Refined refined(const AnyPotential &potential, const Samples &samples, const Settings &settings = {},
                    const Listener &listener = {}) const {
        detail::Ear ear(listener);
        const auto heard = ear.bridge();
        Refined out{std::vector<double>(room(samples.count)), std::vector<double>(samples.count), {}};
        out.report = detail::to_std(detail::call(
            [&] {
                return bridge::sampler_refined(*box_, potential.handle(), range(samples),
                                               detail::to_rust(settings.json()), heard,
                                               rust::Slice<double>(out.positions.data(), out.positions.size()),
                                               rust::Slice<double>(out.energies.data(), out.energies.size()));
            },
            potential, ear));
        return out;
    }

    /// Maxwell velocities (count, n, 3) in angstrom/fs at `kelvin` for the positions of those samples, without momentum and
    /// angular momentum: 3n - 6 degrees of freedom move.
    std::vector<double> velocities(const Samples &samples, double kelvin, View<const double> positions) const {
        std::vector<double> out(positions.size());
        detail::call([&] {
            bridge::maxwell(bridge::sampler_masses(*box_), range(samples), kelvin, detail::slice(positions),
                            rust::Slice<double>(out.data(), out.size()));
        });
        return out;
    }

    /// For every atom of the sampler its number in a molecule of the caller's: species (n), positions (n, 3) in angstrom, made
    /// whole; bonds (m, 2), or empty: found from the distances. Status::invalid where the molecules differ.
    std::vector<std::int32_t> match(View<const std::int32_t> species, View<const double> positions,
                                    View<const std::int32_t> bonds = {}) const {
        std::vector<std::int32_t> order(atoms());
        detail::call([&] {
            bridge::sampler_match(*box_, detail::slice(species), detail::slice(positions), detail::slice(bonds),
                                  rust::Slice<std::int32_t>(order.data(), order.size()));
        });
        return order;
    }

    /// Moves samples (count, n, 3) to the centers of mass of `onto` (count, n, 3) and turns them. masses (n) in amu, or empty
    /// for the sampler's.
    void place(const Samples &samples, View<const double> onto, Orientation orientation, View<double> positions,
               View<const double> masses = {}) const {
        detail::call([&] {
            bridge::sampler_place(*box_, range(samples), detail::slice(masses), detail::slice(onto),
                                  static_cast<std::int32_t>(orientation), detail::slice(positions));
        });
    }

    // For the library's own functions.
    explicit Sampler(rust::Box<bridge::Sampler> box) : box_(std::move(box)) {}

private:
    static bridge::Range range(const Samples &samples) noexcept {
        return {samples.seed, samples.first, samples.count};
    }
    std::size_t room(std::size_t count) const {
        const std::size_t each = 3 * atoms();
        if (count > PTRDIFF_MAX / sizeof(double) / (each == 0 ? 1 : each)) {
            throw Error(Status::invalid, 0, std::to_string(count) + " samples do not fit in memory");
        }
        return count * each;
    }
    rust::Box<bridge::Sampler> box_;
};

/// A sampler trained on the frames of a trajectory, better: on equilibrated states. Settings: those of `boltzdrift train
/// --config`, and device. Status::unsupported in the sampler-only build.
inline Sampler train(const Dataset &dataset, const Settings &settings = {}, const Listener &listener = {}) {
    detail::Ear ear(listener);
    const auto heard = ear.bridge();
    return Sampler(
        detail::call([&] { return bridge::train(dataset.box(), detail::to_rust(settings.json()), heard); }, ear));
}

/// Maxwell velocities (count, n, 3) in angstrom/fs for masses (n) in amu of the caller's own.
inline std::vector<double> maxwell_velocities(View<const double> masses, const Samples &samples, double kelvin,
                                              View<const double> positions) {
    std::vector<double> out(positions.size());
    detail::call([&] {
        bridge::maxwell(detail::slice(masses), {samples.seed, samples.first, samples.count}, kelvin,
                        detail::slice(positions), rust::Slice<double>(out.data(), out.size()));
    });
    return out;
}

} // namespace boltzdrift

#endif

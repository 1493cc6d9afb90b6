// Replicas of a molecule in vacuum: velocity Verlet and Langevin dynamics. Angstrom, kcal/mol, fs, amu, kelvin.
// SPDX-License-Identifier: BSD-3-Clause
#ifndef DYNAMICS_HPP
#define DYNAMICS_HPP

#include "ethanol.hpp"

#include <cstdint>
#include <functional>
#include <random>
#include <vector>

constexpr double boltzmann = 0.0019872042586; // kcal/mol/K
constexpr double to_acceleration = 4.184e-4;  // angstrom/fs^2 per kcal/mol/angstrom/amu

/// One molecule each. The same numbers come out whatever the number of threads.
class Replicas {
public:
    /// Positions (replicas, n, 3); the velocities are 0.
    Replicas(const Ethanol &potential, std::vector<double> positions, std::uint64_t seed);

    std::size_t size() const noexcept { return energies_.size(); }
    const std::vector<double> &positions() const noexcept { return x_; }
    /// Potential energies.
    const std::vector<double> &energies() const noexcept { return energies_; }
    const std::vector<double> &forces() const noexcept { return f_; }

    /// Maxwell velocities without momentum: 3n - 3 degrees of freedom. The molecules turn, as they do in a gas; so the
    /// canonical distribution stays what it is at constant energy.
    void thermalize(double kelvin);
    /// Velocity Verlet at constant energy.
    void verlet(std::size_t steps, double dt);
    /// BAOAB (B. Leimkuhler and C. Matthews, Appl. Math. Res. Express 2013, 34): `friction` in 1/fs.
    void langevin(std::size_t steps, double dt, double friction, double kelvin);
    /// Downhill to a minimum.
    void minimize(std::size_t steps);
    /// Kinetic temperature of all replicas, over 3n degrees of freedom each: Langevin dynamics moves the center of mass too.
    double temperature() const;

private:
    void each(const std::function<void(std::size_t)> &work);
    void kick(std::size_t replica, double dt);
    void drift(std::size_t replica, double dt);
    void force(std::size_t replica);

    const Ethanol &potential_;
    std::vector<double> x_, v_, f_, energies_;
    std::vector<std::mt19937_64> random_;
};

#endif

// Ethanol in vacuum with the OPLS-AA force field: W. L. Jorgensen, D. S. Maxwell, J. Tirado-Rives, J. Am. Chem. Soc. 118,
// 11225 (1996). Bonds and angles are harmonic, torsions are Fourier series, 1-4 interactions are halved.
// SPDX-License-Identifier: BSD-3-Clause
#ifndef ETHANOL_HPP
#define ETHANOL_HPP

#include <boltzdrift.hpp>

#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

/// Angstrom and kcal/mol. CH3 is atoms 0, 3, 4, 5; CH2 is 1, 6, 7; OH is 2, 8.
class Ethanol : public boltzdrift::Potential {
public:
    static constexpr std::size_t atoms = 9;
    static constexpr std::array<std::int32_t, atoms> species{6, 6, 8, 1, 1, 1, 1, 1, 1};
    static constexpr std::array<double, atoms> masses{12.011, 12.011, 15.999, 1.008, 1.008, 1.008, 1.008, 1.008, 1.008};

    Ethanol();

    /// A start that is near a minimum.
    static std::vector<double> start();

    /// Energy, and forces (n, 3), of positions (n, 3).
    double energy_forces(const double *x, double *f) const;

    void evaluate(const boltzdrift::Batch &batch) override {
        for (std::size_t k = 0; k < batch.systems; k++) {
            batch.energies[k] = energy_forces(&batch.positions[3 * atoms * k], &batch.forces[3 * atoms * k]);
        }
    }
    std::string name() const override { return "OPLS-AA ethanol"; }
    // Nothing is written but what the batch points to.
    bool concurrent() const override { return true; }

private:
    struct Bond {
        std::size_t i, j;
        double k, r;
    };
    struct Angle {
        std::size_t i, j, k;
        double stiffness, angle;
    };
    struct Torsion {
        std::size_t i, j, k, l;
        std::array<double, 3> v;
    };
    struct Pair {
        std::size_t i, j;
        double charges, epsilon, sigma;
    };
    std::vector<Bond> bonds_;
    std::vector<Angle> angles_;
    std::vector<Torsion> torsions_;
    std::vector<Pair> pairs_;
};

#endif

/* SPDX-License-Identifier: GPL-2.0-only */
#include "maxwell.h"

#include <cmath>
#include <random>

namespace boltzdrift_lammps {

std::vector<Vec3> maxwell(uint64_t seed, uint64_t sample, const std::vector<double> &mass, double thermal)
{
  // The engine and its seeding are fixed by the C++ standard, normal_distribution is not: hence Box and Muller's.
  constexpr uint32_t PURPOSE = 0x76656c6fU;
  std::seed_seq start{static_cast<uint32_t>(seed), static_cast<uint32_t>(seed >> 32), static_cast<uint32_t>(sample),
                      static_cast<uint32_t>(sample >> 32), PURPOSE};
  std::mt19937_64 engine(start);
  // In (0, 1]: 53 bits, and never the logarithm of 0.
  const auto uniform = [&]() { return (static_cast<double>(engine() >> 11) + 1.0) * 0x1p-53; };
  std::vector<Vec3> velocities;
  velocities.reserve(mass.size());
  for (const double one : mass) {
    const double width = std::sqrt(thermal / one);
    double normal[4];
    for (size_t k = 0; k < 4; k += 2) {
      const double radius = std::sqrt(-2.0 * std::log(uniform()));
      const double angle = 2.0 * 3.14159265358979323846 * uniform();
      normal[k] = radius * std::cos(angle);
      normal[k + 1] = radius * std::sin(angle);
    }
    velocities.push_back({width * normal[0], width * normal[1], width * normal[2]});
  }
  return velocities;
}

}    // namespace boltzdrift_lammps

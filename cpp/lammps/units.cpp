/* SPDX-License-Identifier: GPL-2.0-only */
#include "units.h"

#include "boltzdrift.h"
#include "problem.h"

#include <array>
#include <map>

namespace boltzdrift_lammps {

Units Units::of(const std::string &style)
{
  std::array<double, 5> factors{};
  check(bzd_lammps_units(style.c_str(), factors.data(), factors.size()));
  // LAMMPS names its masses in the page of its command `units`; those not here are grams per mole.
  static const std::map<std::string, const char *> masses = {
      {"si", "kg"}, {"cgs", "g"}, {"micro", "pg"}, {"nano", "ag"}};
  const auto found = masses.find(style);
  double mass = 1.0;
  check(bzd_unit(found == masses.end() ? "amu" : found->second, "mass", &mass));
  return {factors[0], factors[1], factors[2], factors[3], factors[4], mass};
}

}    // namespace boltzdrift_lammps

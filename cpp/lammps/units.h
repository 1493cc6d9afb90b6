/* The units of the running LAMMPS in those of the library.
 *
 * SPDX-License-Identifier: GPL-2.0-only
 */
#ifndef BOLTZDRIFT_LAMMPS_UNITS_H
#define BOLTZDRIFT_LAMMPS_UNITS_H

#include <string>

namespace boltzdrift_lammps {

/* How many of the library's units (angstrom, kcal/mol, fs, kcal/mol/angstrom, angstrom/fs, amu) one of LAMMPS's is. */
struct Units {
  double length, energy, time, force, velocity, mass;

  /* Throws Problem for lj, which has no such units. */
  static Units of(const std::string &style);
};

}    // namespace boltzdrift_lammps

#endif

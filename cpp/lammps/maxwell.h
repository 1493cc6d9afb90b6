/* Velocities of atoms that all move freely.
 *
 * SPDX-License-Identifier: GPL-2.0-only
 */
#ifndef BOLTZDRIFT_LAMMPS_MAXWELL_H
#define BOLTZDRIFT_LAMMPS_MAXWELL_H

#include "gather.h"

#include <cstdint>
#include <vector>

namespace boltzdrift_lammps {

/* Normal numbers of variance `thermal` / mass for every component: kT / m in units of velocity squared. Sample by sample
 * the same on every machine and rank, and independent of the noise that the positions of the sample come from. */
std::vector<Vec3> maxwell(uint64_t seed, uint64_t sample, const std::vector<double> &mass, double thermal);

}    // namespace boltzdrift_lammps

#endif

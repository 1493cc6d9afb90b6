/* The molecules of the group, and those of them that are the sampler's.
 *
 * SPDX-License-Identifier: GPL-2.0-only
 */
#ifndef BOLTZDRIFT_LAMMPS_MOLECULES_H
#define BOLTZDRIFT_LAMMPS_MOLECULES_H

#include "elements.h"
#include "gather.h"
#include "model.h"
#include "units.h"

#include <string>
#include <vector>

namespace boltzdrift_lammps {

/* One molecule, its atoms in the sampler's order. */
struct Molecule {
  std::vector<LAMMPS_NS::tagint> tag;
  std::vector<double> mass;        // LAMMPS's own, in its unit
  std::vector<double> amu;         // the same in amu
  std::vector<double> angstrom;    // (n, 3), made whole, at the image of its atom with the lowest id
};

struct Found {
  std::vector<Molecule> molecules;    // in the order of their lowest atom ids
  size_t others = 0;                  // molecules of the group that are not the sampler's
  std::string why;                    // of the first of those
};

/* Molecules are atoms with one molecule id, or that are joined by LAMMPS's bonds, or by distances below 1.25 times the
 * sum of covalent radii: the first of these that the system has. Throws Problem where none is the sampler's, or where a
 * molecule is partly in the group. */
Found find_molecules(LAMMPS_NS::LAMMPS *lmp, const Atoms &atoms, const Model &model, const Elements &elements,
                     const Units &units);

}    // namespace boltzdrift_lammps

#endif

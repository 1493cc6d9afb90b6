/* LAMMPS as the potential of the library's Monte Carlo: pair, bond, angle, dihedral, improper and kspace styles, and the
 * charges that fixes set before the forces.
 *
 * SPDX-License-Identifier: GPL-2.0-only
 */
#ifndef BOLTZDRIFT_LAMMPS_REFINE_H
#define BOLTZDRIFT_LAMMPS_REFINE_H

#include "model.h"
#include "molecules.h"
#include "units.h"

#include "pointers.h"

#include <string>
#include <vector>

namespace boltzdrift_lammps {

struct Refinement {
  uint64_t seed;
  uint64_t sample;
  int steps;         // Monte Carlo steps
  double kelvin;
  bool running;      // within a step of a run, by a fix: LAMMPS has been set up
};

/* Positions (n, 3) in angstrom of one refined sample of a molecule that is alone in its box. All ranks call it, and take
 * every step together. LAMMPS's atoms are left where the last trial was: positions must be set afterwards. `told` says
 * how it went. Throws Problem. */
void refine(LAMMPS_NS::LAMMPS *lmp, const Model &model, const Molecule &molecule, const Units &units,
            const Refinement &asked, std::vector<double> &angstrom, std::string *told);

}    // namespace boltzdrift_lammps

#endif

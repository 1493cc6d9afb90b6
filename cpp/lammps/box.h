/* What the simulation box asks of new positions.
 *
 * SPDX-License-Identifier: GPL-2.0-only
 */
#ifndef BOLTZDRIFT_LAMMPS_BOX_H
#define BOLTZDRIFT_LAMMPS_BOX_H

#include "gather.h"

#include "pointers.h"

#include <vector>

namespace boltzdrift_lammps {

/* Throws Problem where a molecule, (n, 3) unwrapped, would touch its own periodic image, that is, come within 2 angstrom
 * of it along a box vector, or where an atom would be outside a fixed boundary. */
void check_box(LAMMPS_NS::LAMMPS *lmp, const std::vector<LAMMPS_NS::tagint> &tag, const std::vector<Vec3> &molecule,
               double angstrom);

/* Whether an atom of the molecule, (n, 3) unwrapped, is outside a fixed boundary: LAMMPS would lose it. */
bool outside_fixed(LAMMPS_NS::LAMMPS *lmp, const std::vector<Vec3> &molecule);

/* Throws Problem where a periodic box is less than 4 angstrom wide: no bond has a nearest image then. */
void check_width(LAMMPS_NS::LAMMPS *lmp, double angstrom);

/* Wraps atoms that have been moved, however far, and sends them to the ranks they belong to. Every rank calls it. */
void migrate(LAMMPS_NS::LAMMPS *lmp);

/* Keeps LAMMPS's own commands from writing to the screen and the log while it lives. */
class Quiet {
 public:
  explicit Quiet(LAMMPS_NS::LAMMPS *host);
  ~Quiet();
  Quiet(const Quiet &) = delete;
  Quiet &operator=(const Quiet &) = delete;

 private:
  LAMMPS_NS::LAMMPS *lmp;
  FILE *screen;
  FILE *logfile;
};

}    // namespace boltzdrift_lammps

#endif

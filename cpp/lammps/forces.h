/* Energies and forces of the running LAMMPS for positions of some of its atoms; the others are where they are.
 *
 * SPDX-License-Identifier: GPL-2.0-only
 */
#ifndef BOLTZDRIFT_LAMMPS_FORCES_H
#define BOLTZDRIFT_LAMMPS_FORCES_H

#include "gather.h"

#include "pointers.h"

#include <unordered_map>
#include <vector>

namespace boltzdrift_lammps {

class Forces : protected LAMMPS_NS::Pointers {
 public:
  /* `running`: within a step, so that LAMMPS need not be set up. */
  Forces(LAMMPS_NS::LAMMPS *lmp, const std::vector<LAMMPS_NS::tagint> &tag, bool running);
  ~Forces() override;

  /* Energy, and forces in the order of the ids, of unwrapped positions, in LAMMPS's units and the same bits on every
   * rank. Every rank calls it, with the same positions. */
  double of(const std::vector<Vec3> &positions, std::vector<Vec3> &forces);

 private:
  void set(const std::vector<Vec3> &positions);
  void set_up();
  void rebuild();
  void compute();
  double energy();

  std::unordered_map<LAMMPS_NS::tagint, size_t> row;
  std::vector<Vec3> built_at;    // positions that the neighbor lists are of
  bool ready;
  LAMMPS_NS::bigint tallied;     // the step that LAMMPS tallies energies of
};

}    // namespace boltzdrift_lammps

#endif

/* The atoms of the group, and what belongs to their molecules, on every rank.
 *
 * SPDX-License-Identifier: GPL-2.0-only
 */
#ifndef BOLTZDRIFT_LAMMPS_GATHER_H
#define BOLTZDRIFT_LAMMPS_GATHER_H

#include "pointers.h"

#include <array>
#include <string>
#include <utility>
#include <vector>

namespace boltzdrift_lammps {

using Vec3 = std::array<double, 3>;

/* Sorted by id, so that they are the same on any number of ranks. In LAMMPS's units. */
struct Atoms {
  std::vector<LAMMPS_NS::tagint> tag;
  std::vector<LAMMPS_NS::tagint> molecule;    // 0 where there are no molecule ids
  std::vector<int> type;
  std::vector<int> in_group;
  std::vector<double> mass;
  std::vector<Vec3> wrapped;      // in the box
  std::vector<Vec3> unwrapped;    // by the image flags
  std::vector<std::pair<size_t, size_t>> bonds;
  std::vector<size_t> bonded_away;    // atoms with a bond to an atom that is not here
  bool has_molecules = false;         // every atom of the group has a molecule id
  bool has_bonds = false;             // LAMMPS has a list of bonds

  size_t size() const { return tag.size(); }
};

/* With molecule ids: the atoms of every molecule that has an atom in the group; without: all atoms. Every rank calls
 * it. Throws Problem. */
Atoms gather(LAMMPS_NS::LAMMPS *lmp, const std::string &group);

}    // namespace boltzdrift_lammps

#endif

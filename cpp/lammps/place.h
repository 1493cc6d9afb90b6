/* Where a sample is in the box: how its frame is turned, and where its center of mass is.
 *
 * SPDX-License-Identifier: GPL-2.0-only
 */
#ifndef BOLTZDRIFT_LAMMPS_PLACE_H
#define BOLTZDRIFT_LAMMPS_PLACE_H

#include "gather.h"

#include <array>
#include <vector>

namespace boltzdrift_lammps {

/* x -> turn (x - its center of mass) + center, in angstrom; whatever x is, its center of mass comes to `center`. */
class Place {
 public:
  /* The one that brings a sample (n, 3) to where it was placed (n, 3), by a rotation and a translation; masses (n). */
  Place(const std::vector<double> &amu, const std::vector<double> &sample, const std::vector<double> &placed);

  /* Atoms (n, 3) of the sample's frame, in the box. */
  std::vector<Vec3> of(const double *sample) const;

  /* Whether an atom is so far from the center of mass, in the sample's frame, that it has left the molecule: three times
   * as far as any atom of the sample, and 5 angstrom. */
  bool torn(const double *sample) const;

  /* Forces (n) of the box on the atoms so placed, as the slope of the energy in the sample's frame, (n, 3). The center of
   * mass does not move, so they sum to zero. */
  void back(const std::vector<Vec3> &forces, double *on_sample) const;

 private:
  std::vector<double> share;    // masses over their sum
  std::array<Vec3, 3> turn;
  Vec3 center;
  double reach = 0.0;           // squared
};

}    // namespace boltzdrift_lammps

#endif

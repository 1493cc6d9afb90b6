/* LAMMPS as the potential of the library's Monte Carlo: pair, bond, angle, dihedral, improper and kspace styles, and the
 * charges that fixes set before the forces.
 *
 * SPDX-License-Identifier: GPL-2.0-only
 */
#ifndef BOLTZDRIFT_LAMMPS_REFINE_H
#define BOLTZDRIFT_LAMMPS_REFINE_H

#include "forces.h"
#include "model.h"
#include "place.h"
#include "units.h"

#include "pointers.h"

#include <cstdint>
#include <string>
#include <vector>

namespace boltzdrift_lammps {

struct Refinement {
  uint64_t seed;
  int steps;    // Monte Carlo steps of every molecule
  double kelvin;
  double femtoseconds;    // the time step
  bool running;           // within a step of a run, by a fix: LAMMPS has been set up
};

/* Refines molecules one after the other, each in the field of all other atoms, which keep still meanwhile. A step moves
 * the atoms of one molecule and turns it; its center of mass stays. It is taken or not by the total energy, so it keeps the
 * Boltzmann distribution of the whole system for given centers of mass. */
class Refiner {
 public:
  /* For the atoms of these ids. Throws Problem, as all that follows; every rank calls everything. */
  Refiner(LAMMPS_NS::LAMMPS *lmp, const Model &model, const Units &units, const std::vector<LAMMPS_NS::tagint> &tag,
          const Refinement &asked);

  /* Refines a sample whose atoms are rows first, first + 1, ... of `positions`: unwrapped positions of all ids, in LAMMPS's
   * units, which are brought up to date. LAMMPS's own atoms are left where the last trial was. */
  void refine(uint64_t sample, const Place &place, size_t first, std::vector<Vec3> &positions);

  /* Throws Problem where many steps were tried and none was taken. */
  void refuse_if_none_moved() const;

  /* How it went, for the log. */
  std::string report() const;

  /* Which molecules were hardly refined; empty where none. */
  std::string warning() const;

 private:
  std::string molecule(size_t first) const;
  double share() const { return accepted / static_cast<double>(refined); }

  LAMMPS_NS::LAMMPS *lmp;
  const Model &model;
  const Units &units;
  Refinement asked;
  std::vector<LAMMPS_NS::tagint> tag;
  Forces forces;
  size_t refined = 0;       // molecules
  size_t unmoved = 0;       // those of them that took no step
  size_t poor = 0;          // those that took few
  double accepted = 0.0;    // sum of shares
  double least = 2.0;       // share
  size_t least_row = 0;     // first row of the molecule with that share
};

}    // namespace boltzdrift_lammps

#endif

/* Draws states for the molecules of a group and puts them into LAMMPS: what the command and the fix share.
 *
 * SPDX-License-Identifier: GPL-2.0-only
 */
#ifndef BOLTZDRIFT_LAMMPS_SEEDER_H
#define BOLTZDRIFT_LAMMPS_SEEDER_H

#include "gather.h"
#include "model.h"
#include "molecules.h"
#include "options.h"
#include "units.h"

#include "pointers.h"

#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

namespace boltzdrift_lammps {

/* New positions and velocities by atom id, in LAMMPS's units. Positions are unwrapped. */
struct Drawn {
  std::unordered_map<LAMMPS_NS::tagint, size_t> row;
  std::vector<Vec3> position;
  std::vector<Vec3> velocity;    // empty where velocities stay
};

class Seeder : protected LAMMPS_NS::Pointers {
 public:
  /* Loads the model. Throws Problem, as all that follows; every rank calls everything. */
  Seeder(LAMMPS_NS::LAMMPS *lmp, Options options);

  /* That the group has molecules of the sampler now, and nothing forbids to move them. */
  void look();

  /* Draws for the molecules that the group has now. Molecule m of replica k of K takes sample
   * index + k + K (m + molecules * event). `running` is for a fix, within a step. */
  Drawn draw(uint64_t event, bool running);

  void set_positions(const Drawn &drawn);
  void set_velocities(const Drawn &drawn);

  /* One line for the log on what the last draw did. */
  const std::string &report() const { return said; }

  /* What the last draw left to be desired; empty where nothing. */
  const std::string &warning() const { return warned; }

  /* Warns of fixes and computes that go on from where the atoms of the group were. */
  void warn_of_memories() const;

  /* Warns where compute thermo_temp counts other degrees of freedom than now move. */
  void warn_of_degrees_of_freedom() const;

  double kelvin() const { return temperature; }
  size_t molecules() const { return count; }

 private:
  void refuse_what_cannot_be() const;
  bool shares_atoms(int groupbit) const;
  Found find(std::string *types) const;
  uint64_t sample(uint64_t event, size_t molecule) const;
  std::vector<double> sampled(uint64_t number) const;
  std::vector<double> placed(const Molecule &molecule, uint64_t number, std::vector<double> angstrom) const;
  std::string refine(const std::vector<Molecule> &found, uint64_t event, bool running, Drawn &drawn);
  std::vector<Vec3> velocities(const Molecule &molecule, uint64_t sample, const std::vector<double> &angstrom) const;
  void stop_drift(Drawn &drawn, const std::vector<Molecule> &found) const;

  Options options;
  Units units;
  std::shared_ptr<const Model> model;
  double temperature = 0.0;
  double femtoseconds = 1.0;    // time step of refine
  bool alone = false;      // the molecule is all there is
  bool all_are = false;    // the molecules are all there is
  size_t count = 0;        // molecules of the last draw
  std::string said;
  std::string warned;
};

}    // namespace boltzdrift_lammps

#endif

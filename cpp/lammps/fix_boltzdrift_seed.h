/* fix ID group boltzdrift/seed N MODEL seed S ...: new states every N steps.
 *
 * SPDX-License-Identifier: GPL-2.0-only
 */
#ifndef BOLTZDRIFT_LAMMPS_FIX_SEED_H
#define BOLTZDRIFT_LAMMPS_FIX_SEED_H

#include "seeder.h"

#include "fix.h"

#include <memory>

namespace boltzdrift_lammps {

class FixBoltzdriftSeed : public LAMMPS_NS::Fix {
 public:
  FixBoltzdriftSeed(LAMMPS_NS::LAMMPS *lmp, int count, char **words);

  int setmask() override;
  void init() override;
  void pre_exchange() override;
  void end_of_step() override;
  double compute_scalar() override;

 private:
  void plan();

  std::unique_ptr<Seeder> seeder;
  Drawn drawn;
  bool pending = false;              // positions are set, velocities are not yet
  LAMMPS_NS::bigint events = 0;      // for output
};

}    // namespace boltzdrift_lammps

#endif

/* SPDX-License-Identifier: GPL-2.0-only */
#include "command_boltzdrift.h"

#include "problem.h"
#include "seeder.h"

#include "comm.h"
#include "domain.h"
#include "error.h"
#include "lammps.h"
#include "update.h"

namespace boltzdrift_lammps {

namespace {

const std::string USAGE = "boltzdrift seed MODEL group G seed S [index I] [temp T] [orient random|keep] "
                          "[refine K [timestep DT]] [velocities auto|internal|full|no] [types C H O ...]";

}    // namespace

void CommandBoltzdrift::command(int count, char **words)
{
  // LAMMPS commands that are called on the way write over these.
  std::vector<std::string> copied(words, words + count);
  std::string trouble;
  try {
    if (copied.empty() || copied.front() != "seed")
      throw Problem((copied.empty() ? "what to do is missing" : "'" + copied.front() + "' is not known") + "; use: " + USAGE);
    if (!domain->box_exist) throw Problem("there is no simulation box yet: read or create the atoms first");
    copied.erase(copied.begin());
    Seeder seeder(lmp, parse_options(lmp, copied, true, USAGE));
    const Drawn drawn = seeder.draw(0, false);
    seeder.set_positions(drawn);
    seeder.set_velocities(drawn);
    // Else `run N pre no` would go on with the neighbor lists and forces of the old positions.
    update->first_update = 0;
    if (comm->me == 0) LAMMPS_NS::utils::logmesg(lmp, seeder.report());
    if (comm->me == 0 && !seeder.warning().empty()) error->warning(FLERR, "boltzdrift: " + seeder.warning());
    seeder.warn_of_memories();
    seeder.warn_of_degrees_of_freedom();
  } catch (const Problem &problem) {
    trouble = problem.what();
  }
  if (!trouble.empty()) error->all(FLERR, "boltzdrift: " + trouble);
}

}    // namespace boltzdrift_lammps

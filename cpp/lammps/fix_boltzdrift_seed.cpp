/* SPDX-License-Identifier: GPL-2.0-only */
#include "fix_boltzdrift_seed.h"

#include "problem.h"

#include "comm.h"
#include "domain.h"
#include "error.h"
#include "group.h"
#include "lammps.h"
#include "update.h"

#include <charconv>
#include <limits>

namespace boltzdrift_lammps {

namespace {

const std::string USAGE = "fix ID group boltzdrift/seed N MODEL seed S [index I] [temp T] [orient random|keep] "
                          "[refine K [timestep DT]] [velocities auto|internal|full|no] [types C H O ...]";

}    // namespace

FixBoltzdriftSeed::FixBoltzdriftSeed(LAMMPS_NS::LAMMPS *host, int count, char **words) : Fix(host, count, words)
{
  scalar_flag = 1;
  global_freq = 1;
  extscalar = 0;
  force_reneighbor = 1;
  pre_exchange_migrate = 1;
  std::string trouble;
  try {
    const std::vector<std::string> copied(words + 3, words + count);
    if (copied.empty()) throw Problem("N is missing; use: " + USAGE);
    const std::string &every = copied.front();
    const auto read = std::from_chars(every.data(), every.data() + every.size(), nevery);
    if (read.ec != std::errc() || read.ptr != every.data() + every.size() || nevery < 1)
      throw Problem("N '" + every + "' is no number of steps from 1; use: " + USAGE);
    auto options = parse_options(lmp, {copied.begin() + 1, copied.end()}, false, USAGE);
    options.group = group->names[igroup];
    seeder = std::make_unique<Seeder>(lmp, options);
  } catch (const Problem &problem) {
    trouble = problem.what();
  }
  if (!trouble.empty()) error->all(FLERR, "fix " + std::string(id) + " boltzdrift/seed: " + trouble);
}

int FixBoltzdriftSeed::setmask()
{
  return LAMMPS_NS::FixConst::PRE_EXCHANGE | LAMMPS_NS::FixConst::END_OF_STEP;
}

// Steps that N divides, after the one a run starts from: a restarted run goes on with the same samples.
void FixBoltzdriftSeed::plan()
{
  next_reneighbor = (update->ntimestep / nevery + 1) * nevery;
}

void FixBoltzdriftSeed::init()
{
  if (std::string(update->integrate_style).rfind("respa", 0) == 0)
    error->all(FLERR, "fix " + std::string(id) + " boltzdrift/seed: not with run_style respa, whose forces of the outer "
                      "levels would be of the old positions");
  std::string trouble;
  try {
    // Now, and not after N steps.
    seeder->look();
    if (events == 0) seeder->warn_of_memories();
  } catch (const Problem &problem) {
    trouble = problem.what();
  }
  if (!trouble.empty()) error->all(FLERR, "fix " + std::string(id) + " boltzdrift/seed: " + trouble);
  pending = false;
  plan();
}

// Positions change before the forces of the step are computed, ...
void FixBoltzdriftSeed::pre_exchange()
{
  if (update->ntimestep != next_reneighbor) return;
  std::string trouble;
  try {
    const auto event = static_cast<uint64_t>(update->ntimestep / nevery - 1);
    drawn = seeder->draw(event, true);
    seeder->set_positions(drawn);
    pending = true;
    if (events++ == 0 && comm->me == 0) LAMMPS_NS::utils::logmesg(lmp, seeder->report());
    if (comm->me == 0 && !seeder->warning().empty())
      error->warning(FLERR, "fix " + std::string(id) + " boltzdrift/seed: " + seeder->warning());
  } catch (const Problem &problem) {
    trouble = problem.what();
  }
  if (!trouble.empty()) error->all(FLERR, "fix " + std::string(id) + " boltzdrift/seed: " + trouble);
  plan();
}

// ... velocities after the step's last half kick, so that they are those of the same time.
void FixBoltzdriftSeed::end_of_step()
{
  if (!pending) return;
  seeder->set_velocities(drawn);
  pending = false;
}

double FixBoltzdriftSeed::compute_scalar()
{
  return static_cast<double>(events) * static_cast<double>(seeder->molecules());
}

}    // namespace boltzdrift_lammps

/* SPDX-License-Identifier: GPL-2.0-only */
#include "refine.h"

#include "box.h"
#include "problem.h"

#include "exceptions.h"
#include "fix.h"
#include "lammps.h"
#include "modify.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <exception>
#include <limits>
#include <memory>

namespace boltzdrift_lammps {

namespace {

// Share of its steps below which a molecule is hardly refined, and how many steps tell that.
constexpr double FEW = 0.3;
constexpr int ENOUGH = 20;
// None of so many steps taken is an error.
constexpr double MANY = 100.0;

// What the library calls, through C.
struct Caller {
  LAMMPS_NS::LAMMPS *lmp;
  Forces &forces;
  const Units &units;
  const Place &place;
  size_t first;                   // row of the molecule's first atom
  std::vector<Vec3> trial;        // all positions, in LAMMPS's units
  size_t pulled = SIZE_MAX;       // row of the largest force in the first finite state
  std::exception_ptr thrown = nullptr;    // waits for C to be left
  std::string message = {};

  static int32_t evaluate(void *self, size_t systems, size_t atoms, const int32_t *, const double *positions,
                          const double *, double *energies, double *forces) noexcept
  {
    auto &caller = *static_cast<Caller *>(self);
    try {
      for (size_t s = 0; s < systems; ++s)
        caller.one(atoms, positions + 3 * atoms * s, energies + s, forces + 3 * atoms * s);
      return 0;
    } catch (const std::exception &error) {
      caller.thrown = std::current_exception();
      caller.message = error.what();
    } catch (...) {
      caller.thrown = std::current_exception();
    }
    return 1;
  }

  static const char *last_error(void *self) { return static_cast<Caller *>(self)->message.c_str(); }

  void put(const double *positions)
  {
    size_t row = first;
    for (const auto &atom : place.of(positions)) {
      for (size_t k = 0; k < 3; ++k) trial[row][k] = atom[k] / units.length;
      ++row;
    }
  }

  // No state of the molecule: whatever the others' energy is, this one is above it.
  static void wall(size_t atoms, double *energy, double *on_atoms)
  {
    *energy = std::numeric_limits<double>::infinity();
    std::fill_n(on_atoms, 3 * atoms, 0.0);
  }

  void find_largest(const std::vector<Vec3> &found)
  {
    const auto square = [](const Vec3 &f) { return f[0] * f[0] + f[1] * f[1] + f[2] * f[2]; };
    const auto most = std::max_element(found.begin(), found.end(),
                                       [&](const Vec3 &a, const Vec3 &b) { return square(a) < square(b); });
    pulled = static_cast<size_t>(most - found.begin());
  }

  void one(size_t atoms, const double *positions, double *energy, double *on_atoms)
  {
    // Overlapping atoms are thrown apart: such a trial is rejected before LAMMPS has to find out where they went.
    if (place.torn(positions)) return wall(atoms, energy, on_atoms);
    put(positions);
    const auto own_begin = trial.begin() + static_cast<std::ptrdiff_t>(first);
    if (outside_fixed(lmp, {own_begin, own_begin + static_cast<std::ptrdiff_t>(atoms)}))
      return wall(atoms, energy, on_atoms);
    std::vector<Vec3> found;
    *energy = forces.of(trial, found) * units.energy;
    const auto begin = found.begin() + static_cast<std::ptrdiff_t>(first);
    std::vector<Vec3> own(begin, begin + static_cast<std::ptrdiff_t>(atoms));
    for (auto &force : own)
      for (auto &component : force) component *= units.force;
    place.back(own, on_atoms);
    // The same on all ranks.
    const bool finite = std::isfinite(*energy) &&
        std::all_of(on_atoms, on_atoms + 3 * atoms, [](double force) { return std::isfinite(force); });
    if (!finite) return wall(atoms, energy, on_atoms);
    if (pulled == SIZE_MAX) find_largest(found);
  }
};

void refuse_other_forces(LAMMPS_NS::LAMMPS *lmp)
{
  for (auto *fix : lmp->modify->get_fix_list()) {
    const std::string style = fix->style;
    // Noise and friction, or forces of no energy that LAMMPS knows for sure: not what a Metropolis step can weigh. Which of
    // these fixes leave the forces alone, only their manual says; of one it is known.
    if (!(lmp->modify->get_fix_mask(fix) & LAMMPS_NS::FixConst::POST_FORCE) || style == "store/force") continue;
    throw Problem("refine weighs states by the energy of the pair, bond and kspace styles, and fix " + std::string(fix->id) +
                  " (" + style + ") works on the forces after these (post_force): define it after seeding, or leave refine out");
  }
}

// Share of the steps that were taken, of the library's report.
double acceptance(const std::string &report)
{
  const std::string name = "\"acceptance\":";
  const auto at = report.find(name);
  return at == std::string::npos ? 0.0 : std::strtod(report.c_str() + at + name.size(), nullptr);
}

struct PotentialDeleter {
  void operator()(bzd_potential_t *potential) const { bzd_potential_free(potential); }
};

// Refused before anything is moved.
LAMMPS_NS::LAMMPS *without_other_forces(LAMMPS_NS::LAMMPS *lmp)
{
  refuse_other_forces(lmp);
  return lmp;
}

}    // namespace

Refiner::Refiner(LAMMPS_NS::LAMMPS *host, const Model &sampler, const Units &of_host,
                 const std::vector<LAMMPS_NS::tagint> &ids, const Refinement &wanted) :
    lmp(without_other_forces(host)), model(sampler), units(of_host), asked(wanted), tag(ids), forces(host, ids, wanted.running)
{
}

std::string Refiner::molecule(size_t first) const
{
  const auto begin = tag.begin() + static_cast<std::ptrdiff_t>(first);
  return "the molecule of atom " +
      std::to_string(*std::min_element(begin, begin + static_cast<std::ptrdiff_t>(model.atoms())));
}

void Refiner::refine(uint64_t sample, const Place &place, size_t first, std::vector<Vec3> &positions)
{
  Caller caller{lmp, forces, units, place, first, positions};
  bzd_potential_desc description{};
  description.struct_size = sizeof(description);
  description.evaluate = &Caller::evaluate;
  description.last_error = &Caller::last_error;
  description.user_data = &caller;
  description.name = "LAMMPS";
  description.largest_batch = 1;
  bzd_potential_t *opened = nullptr;
  check(bzd_potential_from_callback(&description, &opened));
  const std::unique_ptr<bzd_potential_t, PotentialDeleter> potential(opened);

  const std::string settings =
      "{\"steps\": " + std::to_string(asked.steps) + ", \"temperature\": " + text(asked.kelvin) +
      ", \"time_step\": " + text(asked.femtoseconds) + ", \"least_acceptance\": 0}";
  char *said = nullptr;
  std::vector<double> angstrom(3 * model.atoms());
  const bzd_status_t status =
      bzd_sampler_refined(model.sampler(), potential.get(), asked.seed, sample, 1, settings.c_str(), nullptr, nullptr,
                          angstrom.data(), angstrom.size(), nullptr, &said);
  // Ranks that found the same error found it together; one that did not would hang the others, so ask.
  std::string trouble;
  if (status != BZD_OK) {
    trouble = molecule(first) +
        (caller.pulled == SIZE_MAX
             ? " cannot be refined: LAMMPS gives no finite energy for its sample, nor for others in its place; where atoms "
               "overlap, minimize first"
             : ": " + std::string(bzd_last_error()) + "; of the atoms to be seeded, " + std::to_string(tag[caller.pulled]) +
                 " has the largest force: minimize first");
    try {
      if (caller.thrown) std::rethrow_exception(caller.thrown);
    } catch (const LAMMPS_NS::LAMMPSAbortException &) {
      throw;
    } catch (const std::exception &error) {
      trouble = error.what();
    }
  }
  agree(lmp->world, trouble);
  const double taken = acceptance(said);
  bzd_string_free(said);
  caller.put(angstrom.data());
  positions = caller.trial;
  accepted += taken;
  refined += 1;
  unmoved += taken > 0.0 ? 0 : 1;
  poor += taken < FEW ? 1 : 0;
  if (taken < least) {
    least = taken;
    least_row = first;
  }
}

void Refiner::refuse_if_none_moved() const
{
  const double steps = static_cast<double>(asked.steps) * static_cast<double>(refined);
  if (accepted > 0.0 || steps < MANY) return;
  throw Problem("none of " + text(steps) + " refinement steps was accepted: the molecules overlap with what is around them "
                "(minimize first), the time step of " + text(asked.femtoseconds) +
                " fs is too long (keyword timestep), or the sampler is of another force field");
}

std::string Refiner::warning() const
{
  // Of few steps of each, only those of all together tell.
  const bool each = asked.steps >= ENOUGH && poor > 0;
  const bool all = static_cast<double>(asked.steps) * static_cast<double>(refined) >= ENOUGH && share() < FEW;
  if (!each && !all) return "";
  const auto percent = [](double part) { return text(std::round(100.0 * part)) + " %"; };
  const std::string why = " overlap with what is around them (minimize first), or the time step of " +
      text(asked.femtoseconds) + " fs is too long (keyword timestep)";
  if (refined == 1)
    return molecule(least_row) + " accepted " + percent(least) +
        " of its refinement steps and is hardly refined: its atoms" + why;
  return (each ? std::to_string(poor) + " of " + std::to_string(refined) + " molecules accepted less than " + percent(FEW)
               : "the molecules accepted only " + percent(share())) +
      " of their refinement steps and are hardly refined, least " + molecule(least_row) + ": " + percent(least) + ". They" + why;
}

std::string Refiner::report() const
{
  if (refined == 0) return "";
  std::string told = "; refined by " + std::to_string(asked.steps) + " Monte Carlo steps" +
                     (refined > 1 ? " each" : "") + ", acceptance " + text(share());
  if (unmoved > 0 && refined > 1)
    told += "; " + std::to_string(unmoved) + " of " + std::to_string(refined) + " took none of theirs";
  return told;
}

}    // namespace boltzdrift_lammps

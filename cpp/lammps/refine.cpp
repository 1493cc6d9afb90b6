/* SPDX-License-Identifier: GPL-2.0-only */
#include "refine.h"

#include "problem.h"

#include "atom.h"
#include "comm.h"
#include "exceptions.h"
#include "fix.h"
#include "lammps.h"
#include "modify.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <exception>
#include <memory>

namespace boltzdrift_lammps {

namespace {

// Energy where no state of the molecule is, kcal/mol: finite, and never taken.
constexpr double WALL = 1e10;

// What the library calls, through C.
struct Caller {
  Forces &forces;
  const Units &units;
  const Place &place;
  size_t first;                   // row of the molecule's first atom
  bool company;                   // there are other atoms
  std::vector<Vec3> trial;        // all positions, in LAMMPS's units
  std::exception_ptr thrown;      // waits for C to be left
  std::string message;

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

  void wall(size_t atoms, double *energy, double *on_atoms) const
  {
    *energy = WALL;
    std::fill_n(on_atoms, 3 * atoms, 0.0);
  }

  void one(size_t atoms, const double *positions, double *energy, double *on_atoms)
  {
    // Overlapping atoms are thrown apart: such a trial is rejected before LAMMPS has to find out where they went.
    if (place.torn(positions)) return wall(atoms, energy, on_atoms);
    put(positions);
    std::vector<Vec3> found;
    *energy = forces.of(trial, found) * units.energy;
    const auto begin = found.begin() + static_cast<std::ptrdiff_t>(first);
    std::vector<Vec3> own(begin, begin + static_cast<std::ptrdiff_t>(atoms));
    for (auto &force : own)
      for (auto &component : force) component *= units.force;
    place.back(own, on_atoms);
    // The same on all ranks. A molecule alone gives no finite energy where something is wrong, which the library says.
    const bool finite = std::isfinite(*energy) &&
        std::all_of(on_atoms, on_atoms + 3 * atoms, [](double force) { return std::isfinite(force); });
    if (!finite && company) wall(atoms, energy, on_atoms);
  }
};

void refuse_other_forces(LAMMPS_NS::LAMMPS *lmp)
{
  for (auto *fix : lmp->modify->get_fix_list()) {
    const std::string style = fix->style;
    // Noise and friction, or forces of no energy that LAMMPS knows for sure: not what a Metropolis step can weigh.
    if (!(lmp->modify->get_fix_mask(fix) & LAMMPS_NS::FixConst::POST_FORCE)) continue;
    throw Problem("refine weighs states by the energy of the pair, bond and kspace styles, and fix " + std::string(fix->id) +
                  " (" + style + ") adds forces to theirs: define it after seeding, or leave refine out");
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
                 const std::vector<LAMMPS_NS::tagint> &tag, const Refinement &wanted) :
    lmp(without_other_forces(host)), model(sampler), units(of_host), asked(wanted), forces(host, tag, wanted.running)
{
}

void Refiner::refine(uint64_t sample, const Place &place, size_t first, std::vector<Vec3> &positions)
{
  const bool company = lmp->atom->natoms > static_cast<LAMMPS_NS::bigint>(model.atoms());
  Caller caller{forces, units, place, first, company, positions, nullptr, {}};
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
      "{\"steps\": " + std::to_string(asked.steps) + ", \"temperature\": " + text(asked.kelvin) + "}";
  char *said = nullptr;
  std::vector<double> angstrom(3 * model.atoms());
  const bzd_status_t status =
      bzd_sampler_refined(model.sampler(), potential.get(), asked.seed, sample, 1, settings.c_str(), nullptr, nullptr,
                          angstrom.data(), angstrom.size(), nullptr, &said);
  // Ranks that found the same error found it together; one that did not would hang the others, so ask.
  std::string trouble;
  if (status != BZD_OK) {
    trouble = bzd_last_error();
    try {
      if (caller.thrown) std::rethrow_exception(caller.thrown);
    } catch (const LAMMPS_NS::LAMMPSAbortException &) {
      throw;
    } catch (const std::exception &error) {
      trouble = error.what();
    }
  }
  agree(lmp->world, trouble);
  const double share = acceptance(said);
  bzd_string_free(said);
  caller.put(angstrom.data());
  positions = caller.trial;
  accepted += share;
  refined += 1;
  unmoved += share > 0.0 ? 0 : 1;
}

std::string Refiner::report() const
{
  if (refined == 0) return "";
  std::string told = "; refined by " + std::to_string(asked.steps) + " Monte Carlo steps" +
                     (refined > 1 ? " each" : "") + ", acceptance " + text(accepted / static_cast<double>(refined));
  if (unmoved > 0 && refined > 1)
    told += "; " + std::to_string(unmoved) + " of " + std::to_string(refined) + " took none of theirs";
  return told;
}

}    // namespace boltzdrift_lammps

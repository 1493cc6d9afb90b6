/* SPDX-License-Identifier: GPL-2.0-only */
#include "refine.h"

#include "forces.h"
#include "problem.h"

#include "comm.h"
#include "exceptions.h"
#include "fix.h"
#include "lammps.h"
#include "modify.h"

#include <cstdlib>
#include <exception>
#include <memory>

namespace boltzdrift_lammps {

namespace {

// What the library calls, through C.
struct Caller {
  Forces &forces;
  const Molecule &molecule;
  const Units &units;
  Vec3 center;                    // angstrom: where trial positions are put
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

  void one(size_t atoms, const double *positions, double *energy, double *on_atoms)
  {
    std::vector<Vec3> trial(atoms);
    for (size_t i = 0; i < atoms; ++i)
      for (size_t k = 0; k < 3; ++k) trial[i][k] = (positions[3 * i + k] + center[k]) / units.length;
    std::vector<Vec3> found;
    *energy = forces.of(trial, found) * units.energy;
    for (size_t i = 0; i < atoms; ++i)
      for (size_t k = 0; k < 3; ++k) on_atoms[3 * i + k] = found[i][k] * units.force;
  }
};

Vec3 center_of(const Molecule &molecule)
{
  Vec3 center{};
  double mass = 0.0;
  for (size_t i = 0; i < molecule.amu.size(); ++i) {
    mass += molecule.amu[i];
    for (size_t k = 0; k < 3; ++k) center[k] += molecule.amu[i] * molecule.angstrom[3 * i + k];
  }
  for (auto &value : center) value /= mass;
  return center;
}

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

// What follows `"name":` in the library's report; the report is for programs, this line for people.
std::string figure(const std::string &report, const std::string &name)
{
  const auto at = report.find('"' + name + "\":");
  if (at == std::string::npos) return "?";
  return text(std::strtod(report.c_str() + at + name.size() + 3, nullptr));
}

struct PotentialDeleter {
  void operator()(bzd_potential_t *potential) const { bzd_potential_free(potential); }
};

}    // namespace

void refine(LAMMPS_NS::LAMMPS *lmp, const Model &model, const Molecule &molecule, const Units &units,
            const Refinement &asked, std::vector<double> &angstrom, std::string *told)
{
  refuse_other_forces(lmp);
  Forces forces(lmp, molecule.tag, asked.running);
  Caller caller{forces, molecule, units, center_of(molecule), nullptr, {}};
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
  char *report = nullptr;
  const bzd_status_t status =
      bzd_sampler_refined(model.sampler(), potential.get(), asked.seed, asked.sample, 1, settings.c_str(), nullptr, nullptr,
                          angstrom.data(), angstrom.size(), nullptr, &report);
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
  *told = "; refined by " + std::to_string(asked.steps) + " Monte Carlo steps, acceptance " + figure(report, "acceptance");
  bzd_string_free(report);
}

}    // namespace boltzdrift_lammps

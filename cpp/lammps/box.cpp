/* SPDX-License-Identifier: GPL-2.0-only */
#include "box.h"

#include "problem.h"

#include "command.h"
#include "domain.h"
#include "exceptions.h"
#include "input.h"
#include "lammps.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <string>

namespace boltzdrift_lammps {

namespace {

constexpr const char *AXES[] = {"x", "y", "z"};
constexpr int FIXED = 1;         // LAMMPS's number for a boundary that is
constexpr double GAP = 2.0;      // angstrom
constexpr double LEAST = 4.0;    // angstrom

// Distance of the two faces of the box that the vector of axis k joins.
double width(const LAMMPS_NS::Domain &domain, size_t k)
{
  if (!domain.triclinic) return domain.prd[k];
  // Rows of the inverse of the upper triangular cell: the reciprocal vectors.
  const double *inverse = domain.h_inv;
  const double rows[3][3] = {{inverse[0], inverse[5], inverse[4]}, {0.0, inverse[1], inverse[3]}, {0.0, 0.0, inverse[2]}};
  return 1.0 / std::sqrt(rows[k][0] * rows[k][0] + rows[k][1] * rows[k][1] + rows[k][2] * rows[k][2]);
}

// In fractions of the box.
Vec3 fractions(LAMMPS_NS::Domain &domain, Vec3 position)
{
  Vec3 part{};
  if (domain.triclinic)
    domain.x2lamda(position.data(), part.data());
  else
    for (size_t k = 0; k < 3; ++k) part[k] = (position[k] - domain.boxlo[k]) / domain.prd[k];
  return part;
}

}    // namespace

bool outside_fixed(LAMMPS_NS::LAMMPS *lmp, const std::vector<Vec3> &molecule)
{
  auto &domain = *lmp->domain;
  for (const auto &position : molecule) {
    const Vec3 part = fractions(domain, position);
    for (size_t k = 0; k < 3; ++k) {
      if (domain.periodicity[k]) continue;
      if (domain.boundary[k][0] == FIXED && !(part[k] >= 0.0)) return true;
      if (domain.boundary[k][1] == FIXED && !(part[k] < 1.0)) return true;
    }
  }
  return false;
}

void check_width(LAMMPS_NS::LAMMPS *lmp, double angstrom)
{
  for (size_t k = 0; k < 3; ++k) {
    const double wide = width(*lmp->domain, k) * angstrom;
    if (lmp->domain->periodicity[k] && wide < LEAST)
      throw Problem(std::string("the box is too small: ") + text(wide) + " angstrom wide along " + AXES[k] +
                    ", where it is periodic; at least " + text(LEAST) + " are needed");
  }
}

void check_box(LAMMPS_NS::LAMMPS *lmp, const std::vector<LAMMPS_NS::tagint> &tag, const std::vector<Vec3> &molecule,
               double angstrom)
{
  auto &domain = *lmp->domain;
  std::vector<Vec3> parts;
  for (const auto &position : molecule) parts.push_back(fractions(domain, position));
  for (size_t k = 0; k < 3; ++k) {
    const auto [low, high] =
        std::minmax_element(parts.begin(), parts.end(), [k](const Vec3 &a, const Vec3 &b) { return a[k] < b[k]; });
    if (domain.periodicity[k]) {
      const double wide = width(domain, k) * angstrom;
      const double extent = ((*high)[k] - (*low)[k]) * wide;
      if (extent + GAP > wide)
        throw Problem("the box is too small: the molecule of atom " + std::to_string(tag.front()) + " is " + text(extent) +
                      " angstrom long along " + AXES[k] + ", the box " + text(wide) +
                      " wide; it would come within 2 angstrom of its own image");
      continue;
    }
    for (const bool upper : {false, true}) {
      // Shrink-wrapped boundaries follow the atoms.
      if (domain.boundary[k][upper ? 1 : 0] != FIXED) continue;
      const auto &most = upper ? high : low;
      const double part = (*most)[k];
      if (upper ? part < 1.0 : part >= 0.0) continue;
      const auto atom = static_cast<size_t>(most - parts.begin());
      throw Problem("the box is too small: atom " + std::to_string(tag[atom]) + " would be at " + AXES[k] + " = " +
                    text(molecule[atom][k]) + ", outside the fixed boundary; put the molecule in the middle of a larger box");
    }
  }
}

void migrate(LAMMPS_NS::LAMMPS *lmp)
{
  // The header of LAMMPS's class for this, Irregular, is not installed. Its command displace_atoms wraps every atom, sends
  // it where it belongs and looks for lost ones, so ask it to move nothing.
  const auto creator = lmp->input->command_map->find("displace_atoms");
  if (creator == lmp->input->command_map->end()) throw Problem("this LAMMPS has no command displace_atoms");
  std::string words[] = {"all", "move", "0", "0", "0", "units", "box"};
  char *arguments[7];
  for (size_t i = 0; i < 7; ++i) arguments[i] = words[i].data();
  std::string trouble;
  {
    const Quiet quiet(lmp);
    const std::unique_ptr<LAMMPS_NS::Command> command(creator->second(lmp));
    try {
      command->command(7, arguments);
    } catch (const LAMMPS_NS::LAMMPSAbortException &) {
      throw;
    } catch (const LAMMPS_NS::LAMMPSException &error) {
      trouble = error.what();
    }
  }
  if (!trouble.empty()) throw Problem(trouble);
}

Quiet::Quiet(LAMMPS_NS::LAMMPS *host) : lmp(host), screen(host->screen), logfile(host->logfile)
{
  lmp->screen = nullptr;
  lmp->logfile = nullptr;
}

Quiet::~Quiet()
{
  lmp->screen = screen;
  lmp->logfile = logfile;
}

}    // namespace boltzdrift_lammps

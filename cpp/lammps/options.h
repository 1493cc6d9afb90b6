/* What the command and the fix are asked for.
 *
 * SPDX-License-Identifier: GPL-2.0-only
 */
#ifndef BOLTZDRIFT_LAMMPS_OPTIONS_H
#define BOLTZDRIFT_LAMMPS_OPTIONS_H

#include "pointers.h"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace boltzdrift_lammps {

enum class Velocities {
  automatic,    // internal where the molecule is all there is, full in company
  internal,     // Maxwell without momentum and angular momentum: 3n - 6 degrees of freedom
  full,         // Maxwell of every atom: 3n
  no,           // left as they are
};

struct Options {
  std::string model;
  std::string group = "all";
  uint64_t seed = 0;
  uint64_t index = 0;
  std::optional<double> kelvin;
  bool keep = true;          // the orientation
  int refine = 0;            // Monte Carlo steps
  std::optional<double> timestep;    // of refine, in LAMMPS's units of time
  Velocities velocities = Velocities::automatic;
  std::vector<std::string> types;
};

/* MODEL, then words: group G (only where `named_group`), seed S, index I, temp T, orient random|keep, refine K,
 * timestep DT, velocities auto|internal|full|no, types C H O. Throws Problem, which quotes `usage`. */
Options parse_options(LAMMPS_NS::LAMMPS *lmp, const std::vector<std::string> &words, bool named_group,
                      const std::string &usage);

}    // namespace boltzdrift_lammps

#endif

/* The command `boltzdrift`.
 *
 * SPDX-License-Identifier: GPL-2.0-only
 */
#ifndef BOLTZDRIFT_LAMMPS_COMMAND_H
#define BOLTZDRIFT_LAMMPS_COMMAND_H

#include "command.h"

namespace boltzdrift_lammps {

class CommandBoltzdrift : public LAMMPS_NS::Command {
 public:
  explicit CommandBoltzdrift(LAMMPS_NS::LAMMPS *lmp) : Command(lmp) {}
  void command(int count, char **words) override;
};

}    // namespace boltzdrift_lammps

#endif

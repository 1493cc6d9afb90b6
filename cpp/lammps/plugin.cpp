/* What LAMMPS calls when it loads the plug-in.
 *
 * SPDX-License-Identifier: GPL-2.0-only
 */
#include "command_boltzdrift.h"
#include "fix_boltzdrift_seed.h"
#include "lammpsplugin_abi.h"

#include "boltzdrift.h"

#include "error.h"
#include "lammps.h"
#include "platform.h"

#include <string>

using LAMMPS_NS::LAMMPS;

namespace {

// Classes of LAMMPS change their layout between versions, and handles of MPI differ between implementations: what was
// compiled against others would crash somewhere else, so it is refused here.
void refuse_another_host(LAMMPS *lmp)
{
  const std::string built = BOLTZDRIFT_LAMMPS_VERSION;
  const std::string version = lmp->version;
  if (version.rfind(built, 0) != 0)
    lmp->error->all(FLERR, "boltzdriftplugin.so was built for LAMMPS " + built + ", this is " + version +
                               ": build it again with make lammps-plugin LAMMPS_DIR=FOLDER, the folder of this LAMMPS");
#if defined(MPICH_NAME) || defined(MPICH_NUMVERSION)
  const std::string mine = "MPICH";
#elif defined(OMPI_MAJOR_VERSION)
  const std::string mine = "Open MPI";
#else
  const std::string mine = "another MPI";
#endif
  const std::string host = LAMMPS_NS::platform::mpi_vendor();
  const bool same = host.find(mine) != std::string::npos || (mine == "MPICH" && host.find("Intel") != std::string::npos) ||
      (mine == "another MPI" && host != "MPICH" && host != "Open MPI");
  if (!same)
    lmp->error->all(FLERR, "boltzdriftplugin.so was built with the mpi.h of " + mine + ", this LAMMPS with that of " + host +
                               ": build it again with make lammps-plugin MPI_INCLUDE=FOLDER");
  if (bzd_abi_version() != BZD_ABI_VERSION)
    lmp->error->all(FLERR, "boltzdriftplugin.so was built for version " + std::to_string(BZD_ABI_VERSION) +
                               " of the interface of libboltzdrift.so, and found version " +
                               std::to_string(bzd_abi_version()) + ": build it again");
}

void *make_command(void *lmp)
{
  return new boltzdrift_lammps::CommandBoltzdrift(static_cast<LAMMPS *>(lmp));
}

void *make_fix(void *lmp, int count, char **words)
{
  return new boltzdrift_lammps::FixBoltzdriftSeed(static_cast<LAMMPS *>(lmp), count, words);
}

}    // namespace

extern "C" __attribute__((visibility("default"))) void lammpsplugin_init(void *pointer, void *handle, void *regfunc)
{
  auto *lmp = static_cast<LAMMPS *>(pointer);
  refuse_another_host(lmp);
  const auto add = reinterpret_cast<lammpsplugin_regfunc>(regfunc);
  lammpsplugin_t plugin{};
  plugin.version = lmp->version;
  plugin.author = "the authors of boltzdrift";
  plugin.handle = handle;

  plugin.style = "command";
  plugin.name = "boltzdrift";
  plugin.info = "boltzdrift: molecules from a Boltzmann sampler";
  plugin.creator.v1 = &make_command;
  add(&plugin, lmp);

  plugin.style = "fix";
  plugin.name = "boltzdrift/seed";
  plugin.info = "fix boltzdrift/seed: new states every N steps";
  plugin.creator.v2 = &make_fix;
  add(&plugin, lmp);
}

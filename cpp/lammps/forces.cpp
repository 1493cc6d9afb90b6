/* SPDX-License-Identifier: GPL-2.0-only */
#include "forces.h"

#include "box.h"
#include "problem.h"

#include "angle.h"
#include "atom.h"
#include "bond.h"
#include "comm.h"
#include "compute.h"
#include "dihedral.h"
#include "domain.h"
#include "force.h"
#include "improper.h"
#include "kspace.h"
#include "lammps.h"
#include "modify.h"
#include "neighbor.h"
#include "pair.h"
#include "update.h"

#include <algorithm>
#include <cstring>

namespace boltzdrift_lammps {

namespace {

constexpr int ENERGY = 1;
constexpr int NO_VIRIAL = 0;

}    // namespace

Forces::Forces(LAMMPS_NS::LAMMPS *host, const std::vector<LAMMPS_NS::tagint> &tag, bool running) :
    Pointers(host), ready(running), tallied(update->eflag_global)
{
  for (size_t i = 0; i < tag.size(); ++i) row.emplace(tag[i], i);
  if (!modify->get_compute_by_id("thermo_pe")) throw Problem("refine needs compute thermo_pe, which this input has removed");
  // Before any trial: fixes look at the atoms here.
  if (!running) lmp->init();
}

Forces::~Forces()
{
  // The energy that compute thermo_pe remembers is of a trial, not of this step.
  if (auto *pe = modify->get_compute_by_id("thermo_pe")) {
    pe->invoked_scalar = -1;
    pe->invoked_flag = LAMMPS_NS::Compute::INVOKED_NONE;
  }
  update->eflag_global = tallied;
}

// By differences, so that atoms keep the image they are in and ghosts stay beside them.
void Forces::set(const std::vector<Vec3> &positions)
{
  for (int i = 0; i < atom->nlocal; ++i) {
    const auto found = row.find(atom->tag[i]);
    if (found == row.end()) continue;
    Vec3 now{};
    domain->unmap(atom->x[i], atom->image[i], now.data());
    for (size_t k = 0; k < 3; ++k) atom->x[i][k] += positions[found->second][k] - now[k];
  }
}

// What Verlet does before its first step, without its output.
void Forces::set_up()
{
  update->setupflag = 1;
  atom->setup();
  modify->setup_pre_exchange();
  rebuild();
  domain->image_check();
  domain->box_too_small_check();
  modify->setup_post_neighbor();
  force->setup();
  std::fill_n(&atom->f[0][0], 3 * (atom->nlocal + atom->nghost), 0.0);
  modify->setup_pre_force(NO_VIRIAL);
  if (force->kspace) force->kspace->setup();
  update->setupflag = 0;
  ready = true;
}

void Forces::rebuild()
{
  if (domain->triclinic) domain->x2lamda(atom->nlocal);
  domain->pbc();
  domain->reset_box();
  comm->setup();
  if (neighbor->style) neighbor->setup_bins();
  comm->exchange();
  comm->borders();
  if (domain->triclinic) domain->lamda2x(atom->nlocal + atom->nghost);
  if (!ready)
    modify->setup_pre_neighbor();
  else if (modify->n_pre_neighbor)
    modify->pre_neighbor();
  neighbor->build(1);
}

void Forces::compute()
{
  update->eflag_global = update->ntimestep;
  std::fill_n(&atom->f[0][0], 3 * (atom->nlocal + atom->nghost), 0.0);
  if (modify->n_pre_force) modify->pre_force(NO_VIRIAL);
  if (force->pair) force->pair->compute(ENERGY, NO_VIRIAL);
  if (atom->molecular != LAMMPS_NS::Atom::ATOMIC) {
    if (force->bond) force->bond->compute(ENERGY, NO_VIRIAL);
    if (force->angle) force->angle->compute(ENERGY, NO_VIRIAL);
    if (force->dihedral) force->dihedral->compute(ENERGY, NO_VIRIAL);
    if (force->improper) force->improper->compute(ENERGY, NO_VIRIAL);
  }
  if (force->kspace) force->kspace->compute(ENERGY, NO_VIRIAL);
  if (modify->n_pre_reverse) modify->pre_reverse(ENERGY, NO_VIRIAL);
  if (force->newton) comm->reverse_comm();
}

double Forces::energy()
{
  auto *pe = modify->get_compute_by_id("thermo_pe");
  pe->invoked_scalar = -1;
  double total = pe->compute_scalar();
  MPI_Bcast(&total, 1, MPI_DOUBLE, 0, world);
  return total;
}

double Forces::of(const std::vector<Vec3> &positions, std::vector<Vec3> &forces)
{
  bool far = built_at.size() != positions.size();
  const double reach = 0.25 * neighbor->skin * neighbor->skin;
  for (size_t i = 0; !far && i < positions.size(); ++i) {
    double squared = 0.0;
    for (size_t k = 0; k < 3; ++k) {
      const double moved = positions[i][k] - built_at[i][k];
      squared += moved * moved;
    }
    far = !(squared < reach);
  }
  set(positions);
  if (far) {
    // A trial may be anywhere: atoms may have to pass several ranks, which Comm::exchange cannot do.
    for (int i = 0; i < atom->nlocal; ++i) domain->remap(atom->x[i], atom->image[i]);
    migrate(lmp);
    if (ready)
      rebuild();
    else
      set_up();
    built_at = positions;
  } else {
    comm->forward_comm();
  }
  compute();

  std::vector<double> mine(3 * positions.size(), 0.0);
  for (int i = 0; i < atom->nlocal; ++i) {
    const auto found = row.find(atom->tag[i]);
    if (found != row.end()) std::copy_n(atom->f[i], 3, mine.begin() + static_cast<std::ptrdiff_t>(3 * found->second));
  }
  // One rank owns each atom, and the others add exact zeros.
  std::vector<double> all(mine.size());
  MPI_Allreduce(mine.data(), all.data(), static_cast<int>(mine.size()), MPI_DOUBLE, MPI_SUM, world);
  forces.resize(positions.size());
  for (size_t i = 0; i < all.size(); ++i) forces[i / 3][i % 3] = all[i];
  return energy();
}

}    // namespace boltzdrift_lammps

/* SPDX-License-Identifier: GPL-2.0-only */
#include "gather.h"

#include "problem.h"

#include "atom.h"
#include "domain.h"
#include "group.h"
#include "lammps.h"

#include <algorithm>
#include <limits>
#include <numeric>
#include <set>

using LAMMPS_NS::tagint;

namespace boltzdrift_lammps {

namespace {

MPI_Datatype mpi_type(const int *)
{
  return MPI_INT;
}
// Ids of a LAMMPS that was built with -DLAMMPS_BIGBIG.
[[maybe_unused]] MPI_Datatype mpi_type(const int64_t *)
{
  return MPI_INT64_T;
}
MPI_Datatype mpi_type(const double *)
{
  return MPI_DOUBLE;
}

// What every rank has, in the order of the ranks.
template <typename T> std::vector<T> all_of(MPI_Comm world, const std::vector<T> &mine)
{
  int ranks = 1;
  MPI_Comm_size(world, &ranks);
  const auto count = static_cast<long long>(mine.size());
  long long total = 0;
  MPI_Allreduce(&count, &total, 1, MPI_LONG_LONG, MPI_SUM, world);
  if (total > std::numeric_limits<int>::max())
    throw Problem("the group has too many atoms to gather; seed it in parts");
  const int here = static_cast<int>(count);
  std::vector<int> counts(static_cast<size_t>(ranks));
  MPI_Allgather(&here, 1, MPI_INT, counts.data(), 1, MPI_INT, world);
  std::vector<int> starts(counts.size(), 0);
  std::partial_sum(counts.begin(), counts.end() - 1, starts.begin() + 1);
  std::vector<T> all(static_cast<size_t>(total));
  const MPI_Datatype type = mpi_type(static_cast<const T *>(nullptr));
  MPI_Allgatherv(mine.data(), here, type, all.data(), counts.data(), starts.data(), type, world);
  return all;
}

// Ids of the molecules that have an atom in the group; empty where an atom of it has none.
std::set<tagint> molecules_of(LAMMPS_NS::LAMMPS *lmp, int bit)
{
  const auto *atom = lmp->atom;
  std::set<tagint> mine;
  int without = atom->molecule_flag ? 0 : 1;
  for (int i = 0; i < atom->nlocal && !without; ++i) {
    if (!(atom->mask[i] & bit)) continue;
    if (atom->molecule[i] <= 0) without = 1;
    mine.insert(atom->molecule[i]);
  }
  int any = 0;
  MPI_Allreduce(&without, &any, 1, MPI_INT, MPI_MAX, lmp->world);
  if (any) return {};
  const auto all = all_of(lmp->world, std::vector<tagint>(mine.begin(), mine.end()));
  return {all.begin(), all.end()};
}

template <typename T> std::vector<T> in_order(const std::vector<size_t> &order, const std::vector<T> &values)
{
  std::vector<T> sorted;
  sorted.reserve(order.size());
  for (const size_t i : order) sorted.push_back(values[i]);
  return sorted;
}

std::vector<Vec3> triples(const std::vector<size_t> &order, const std::vector<double> &flat)
{
  std::vector<Vec3> sorted;
  sorted.reserve(order.size());
  for (const size_t i : order) sorted.push_back({flat[3 * i], flat[3 * i + 1], flat[3 * i + 2]});
  return sorted;
}

// Bonds by the ids of their atoms, as LAMMPS stores them: with one atom of each, or with both.
void add_bonds(Atoms &atoms, const std::vector<tagint> &ends)
{
  const auto place = [&](tagint id) {
    const auto found = std::lower_bound(atoms.tag.begin(), atoms.tag.end(), id);
    return found != atoms.tag.end() && *found == id ? static_cast<size_t>(found - atoms.tag.begin()) : atoms.size();
  };
  std::set<std::pair<size_t, size_t>> pairs;
  for (size_t bond = 0; bond + 1 < ends.size(); bond += 2) {
    const size_t i = place(ends[bond]);
    const size_t j = place(ends[bond + 1]);
    if (i < atoms.size() && j < atoms.size())
      pairs.insert(std::minmax(i, j));
    else if (i < atoms.size() || j < atoms.size())
      atoms.bonded_away.push_back(std::min(i, j));
  }
  atoms.bonds.assign(pairs.begin(), pairs.end());
}

}    // namespace

Atoms gather(LAMMPS_NS::LAMMPS *lmp, const std::string &group)
{
  auto *atom = lmp->atom;
  const int igroup = lmp->group->find(group);
  if (igroup < 0) throw Problem("there is no group '" + group + "'");
  if (!atom->tag_enable) throw Problem("the atoms have no ids (atom_modify id no): seeds need them");
  const int bit = lmp->group->bitmask[igroup];
  const auto molecules = molecules_of(lmp, bit);

  Atoms atoms;
  atoms.has_molecules = !molecules.empty();
  atoms.has_bonds = atom->molecular == LAMMPS_NS::Atom::MOLECULAR && atom->nbonds > 0;
  std::vector<tagint> tags;
  std::vector<tagint> owners;
  std::vector<tagint> ends;
  std::vector<int> types;
  std::vector<int> flags;
  std::vector<double> masses;
  std::vector<double> wrapped;
  std::vector<double> unwrapped;
  for (int i = 0; i < atom->nlocal; ++i) {
    const bool here = !atoms.has_molecules || molecules.count(atom->molecule[i]);
    for (int bond = 0; atoms.has_bonds && bond < atom->num_bond[i]; ++bond) {
      // A bond of type 0 has been broken; one that was switched off has a negative type. Bonds of others count too:
      // they may end at an atom of ours.
      if (atom->bond_type[i][bond] == 0) continue;
      ends.push_back(atom->tag[i]);
      ends.push_back(atom->bond_atom[i][bond]);
    }
    if (!here) continue;
    tags.push_back(atom->tag[i]);
    owners.push_back(atoms.has_molecules ? atom->molecule[i] : 0);
    types.push_back(atom->type[i]);
    flags.push_back(atom->mask[i] & bit ? 1 : 0);
    masses.push_back(atom->rmass ? atom->rmass[i] : atom->mass[atom->type[i]]);
    Vec3 whole{};
    lmp->domain->unmap(atom->x[i], atom->image[i], whole.data());
    wrapped.insert(wrapped.end(), atom->x[i], atom->x[i] + 3);
    unwrapped.insert(unwrapped.end(), whole.begin(), whole.end());
  }

  const auto all_tags = all_of(lmp->world, tags);
  std::vector<size_t> order(all_tags.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::sort(order.begin(), order.end(), [&](size_t i, size_t j) { return all_tags[i] < all_tags[j]; });
  atoms.tag = in_order(order, all_tags);
  atoms.molecule = in_order(order, all_of(lmp->world, owners));
  atoms.type = in_order(order, all_of(lmp->world, types));
  atoms.in_group = in_order(order, all_of(lmp->world, flags));
  atoms.mass = in_order(order, all_of(lmp->world, masses));
  atoms.wrapped = triples(order, all_of(lmp->world, wrapped));
  atoms.unwrapped = triples(order, all_of(lmp->world, unwrapped));
  if (std::count(atoms.in_group.begin(), atoms.in_group.end(), 1) == 0)
    throw Problem("group '" + group + "' has no atoms");
  for (size_t i = 0; i < atoms.size(); ++i) {
    if (i > 0 && atoms.tag[i] == atoms.tag[i - 1])
      throw Problem("two atoms have the id " + std::to_string(atoms.tag[i]));
    for (const double value : atoms.wrapped[i])
      if (!(value - value == 0.0))
        throw Problem("atom " + std::to_string(atoms.tag[i]) + " has a position that is not finite");
  }
  add_bonds(atoms, all_of(lmp->world, ends));
  return atoms;
}

}    // namespace boltzdrift_lammps

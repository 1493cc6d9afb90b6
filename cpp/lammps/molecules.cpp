/* SPDX-License-Identifier: GPL-2.0-only */
#include "molecules.h"

#include "problem.h"

#include "domain.h"
#include "lammps.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <numeric>
#include <set>

namespace boltzdrift_lammps {

namespace {

// As the library finds the bonds of a sampler.
constexpr double BOND_FACTOR = 1.25;

class Geometry {
 public:
  Geometry(LAMMPS_NS::LAMMPS *host, const Atoms &all) : lmp(host), atoms(all) {}

  // From i to the nearest image of j.
  Vec3 between(size_t i, size_t j) const
  {
    Vec3 delta{};
    for (size_t k = 0; k < 3; ++k) delta[k] = atoms.wrapped[j][k] - atoms.wrapped[i][k];
    lmp->domain->minimum_image(FLERR, delta.data());
    return delta;
  }

  double squared(size_t i, size_t j) const
  {
    const Vec3 delta = between(i, j);
    return delta[0] * delta[0] + delta[1] * delta[1] + delta[2] * delta[2];
  }

 private:
  LAMMPS_NS::LAMMPS *lmp;
  const Atoms &atoms;
};

// Sets of atoms that are joined.
class Joined {
 public:
  explicit Joined(size_t count) : parent(count) { std::iota(parent.begin(), parent.end(), size_t{0}); }

  size_t root(size_t i)
  {
    while (parent[i] != i) i = parent[i] = parent[parent[i]];
    return i;
  }

  // The lowest atom stays the root.
  void join(size_t i, size_t j)
  {
    const size_t a = root(i);
    const size_t b = root(j);
    parent[std::max(a, b)] = std::min(a, b);
  }

 private:
  std::vector<size_t> parent;
};

void join_by_distance(Joined &joined, const Atoms &atoms, const Geometry &geometry, const std::vector<int> &species,
                      double angstrom)
{
  for (size_t i = 0; i < atoms.size(); ++i) {
    const double radius = covalent_radius(species[i]);
    if (radius <= 0.0) continue;
    for (size_t j = i + 1; j < atoms.size(); ++j) {
      const double other = covalent_radius(species[j]);
      const double reach = BOND_FACTOR * (radius + other) / angstrom;
      if (other > 0.0 && geometry.squared(i, j) < reach * reach) joined.join(i, j);
    }
  }
}

std::vector<std::vector<size_t>> split(const Atoms &atoms, const Geometry &geometry, const std::vector<int> &species,
                                       double angstrom)
{
  Joined joined(atoms.size());
  if (atoms.has_molecules) {
    std::map<LAMMPS_NS::tagint, size_t> first;
    for (size_t i = 0; i < atoms.size(); ++i) joined.join(first.emplace(atoms.molecule[i], i).first->second, i);
  } else if (atoms.has_bonds) {
    for (const auto &[i, j] : atoms.bonds) joined.join(i, j);
  } else {
    join_by_distance(joined, atoms, geometry, species, angstrom);
  }
  std::map<size_t, std::vector<size_t>> parts;
  for (size_t i = 0; i < atoms.size(); ++i) parts[joined.root(i)].push_back(i);
  std::vector<std::vector<size_t>> molecules;
  for (auto &[root, members] : parts) molecules.push_back(std::move(members));
  return molecules;
}

// Positions without jumps over the boundary, whatever the image flags say: each atom is put beside the nearest of those
// that have their place already. Bonded atoms are nearest, and shorter than half a box.
std::vector<double> make_whole(const Atoms &atoms, const Geometry &geometry, const std::vector<size_t> &members)
{
  const size_t count = members.size();
  std::vector<Vec3> placed(count);
  std::vector<double> nearest(count, std::numeric_limits<double>::infinity());
  std::vector<size_t> beside(count, 0);
  std::vector<bool> done(count, false);
  placed[0] = atoms.unwrapped[members[0]];
  for (size_t step = 0, last = 0; step < count; ++step) {
    done[last] = true;
    size_t next = last;
    for (size_t i = 0; i < count; ++i) {
      if (done[i]) continue;
      const double squared = geometry.squared(members[last], members[i]);
      if (squared < nearest[i]) {
        nearest[i] = squared;
        beside[i] = last;
      }
      if (next == last || nearest[i] < nearest[next]) next = i;
    }
    if (next == last) break;
    const Vec3 delta = geometry.between(members[beside[next]], members[next]);
    for (size_t k = 0; k < 3; ++k) placed[next][k] = placed[beside[next]][k] + delta[k];
    last = next;
  }
  std::vector<double> flat;
  for (const auto &position : placed) flat.insert(flat.end(), position.begin(), position.end());
  return flat;
}

// Numbers of the bonds within the molecule.
std::vector<int32_t> bonds_within(const Atoms &atoms, const std::vector<size_t> &members,
                                  const std::map<size_t, std::vector<size_t>> &bonded)
{
  std::vector<int32_t> pairs;
  const auto number = [&](size_t atom) {
    const auto found = std::lower_bound(members.begin(), members.end(), atom);
    return found != members.end() && *found == atom ? static_cast<int32_t>(found - members.begin()) : -1;
  };
  for (const size_t i : members) {
    const auto of = bonded.find(i);
    if (of == bonded.end()) continue;
    for (const size_t j : of->second) {
      if (number(j) < 0)
        throw Problem("atom " + std::to_string(atoms.tag[i]) + " is bonded to atom " + std::to_string(atoms.tag[j]) +
                      " of another molecule id");
      if (i < j) pairs.insert(pairs.end(), {number(i), number(j)});
    }
  }
  return pairs;
}

std::string name_of(const Atoms &atoms, const std::vector<size_t> &members)
{
  const std::string lowest = std::to_string(atoms.tag[members.front()]);
  return atoms.has_molecules ? "molecule " + std::to_string(atoms.molecule[members.front()]) + " (with atom " + lowest + ")"
                             : "the molecule of atom " + lowest;
}

// Pairs of atoms of a molecule (n, 3), angstrom, that the library would call bonded.
std::vector<int32_t> bonds_by_distance(const std::vector<int32_t> &species, const std::vector<double> &angstrom)
{
  std::vector<int32_t> pairs;
  for (size_t i = 0; i < species.size(); ++i)
    for (size_t j = i + 1; j < species.size(); ++j) {
      double squared = 0.0;
      for (size_t k = 0; k < 3; ++k) squared += std::pow(angstrom[3 * i + k] - angstrom[3 * j + k], 2);
      const double reach = BOND_FACTOR * (covalent_radius(species[i]) + covalent_radius(species[j]));
      if (squared < reach * reach) pairs.insert(pairs.end(), {static_cast<int32_t>(i), static_cast<int32_t>(j)});
    }
  return pairs;
}

// Whether these species and bonds are the sampler's in this order.
bool fits(const std::vector<int32_t> &species, const std::vector<int32_t> &pairs, const std::vector<int32_t> &order,
          const Model &model)
{
  for (size_t i = 0; i < order.size(); ++i)
    if (species[static_cast<size_t>(order[i])] != model.species[i]) return false;
  std::vector<int32_t> place(order.size());
  for (size_t i = 0; i < order.size(); ++i) place[static_cast<size_t>(order[i])] = static_cast<int32_t>(i);
  std::vector<std::pair<int32_t, int32_t>> mapped;
  for (size_t k = 0; k + 1 < pairs.size(); k += 2)
    mapped.push_back(std::minmax({place[static_cast<size_t>(pairs[k])], place[static_cast<size_t>(pairs[k + 1])]}));
  std::sort(mapped.begin(), mapped.end());
  return mapped == model.bonds;
}

// Throws Problem where the molecule is not the sampler's: why.
Molecule matched(const Atoms &atoms, const Geometry &geometry, const std::vector<size_t> &members,
                 const std::vector<int32_t> &species, const std::vector<int32_t> *bonds, const Model &model,
                 const Units &units)
{
  auto whole = make_whole(atoms, geometry, members);
  for (double &value : whole) value *= units.length;
  std::vector<int64_t> ids;
  for (const size_t i : members) ids.push_back(atoms.tag[i]);
  std::vector<int32_t> order(members.size());
  const bzd_status_t status =
      bzd_sampler_match(model.sampler(), members.size(), species.data(), whole.data(), bonds ? bonds->size() / 2 : 0,
                        bonds ? bonds->data() : nullptr, order.data(), order.size());
  const auto known = model.orders.find(ids);
  if (status == BZD_OK) {
    model.orders[ids] = order;
  } else {
    const std::string why = bzd_last_error();
    const auto found = bonds ? *bonds : bonds_by_distance(species, whole);
    if (known == model.orders.end() || !fits(species, found, known->second, model)) throw Problem(why);
    order = known->second;
  }
  Molecule molecule;
  for (const int32_t number : order) {
    const auto at = static_cast<size_t>(number);
    molecule.tag.push_back(atoms.tag[members[at]]);
    molecule.mass.push_back(atoms.mass[members[at]]);
    molecule.amu.push_back(atoms.mass[members[at]] * units.mass);
    molecule.angstrom.insert(molecule.angstrom.end(), {whole[3 * at], whole[3 * at + 1], whole[3 * at + 2]});
  }
  return molecule;
}

}    // namespace

Found find_molecules(LAMMPS_NS::LAMMPS *lmp, const Atoms &atoms, const Model &model, const Elements &elements,
                     const Units &units)
{
  const Geometry geometry(lmp, atoms);
  std::vector<int> species;
  for (const int type : atoms.type) species.push_back(elements.of_type[static_cast<size_t>(type)]);
  std::map<size_t, std::vector<size_t>> bonded;
  for (const auto &[i, j] : atoms.bonds) {
    bonded[i].push_back(j);
    bonded[j].push_back(i);
  }
  const std::set<size_t> away(atoms.bonded_away.begin(), atoms.bonded_away.end());
  const std::string wanted = formula({model.species.begin(), model.species.end()});

  Found found;
  for (const auto &members : split(atoms, geometry, species, units.length)) {
    const auto is_in = [&](size_t i) { return atoms.in_group[i] != 0; };
    const auto inside = std::count_if(members.begin(), members.end(), is_in);
    if (inside == 0) continue;
    try {
      std::vector<int32_t> numbers;
      for (const size_t i : members) numbers.push_back(species[i]);
      const std::string own = formula({numbers.begin(), numbers.end()});
      if (own != wanted)
        throw Problem("it is " + own + " (" + std::to_string(members.size()) + " atoms), the sampler's is " + wanted +
                      " (" + std::to_string(model.atoms()) + " atoms)");
      const auto stray = std::find_if(members.begin(), members.end(), [&](size_t i) { return away.count(i) != 0; });
      if (stray != members.end())
        throw Problem("atom " + std::to_string(atoms.tag[*stray]) + " is bonded to another molecule");
      const auto pairs = bonds_within(atoms, members, bonded);
      found.molecules.push_back(
          matched(atoms, geometry, members, numbers, atoms.has_bonds ? &pairs : nullptr, model, units));
    } catch (const Problem &problem) {
      if (found.others++ == 0) found.why = name_of(atoms, members) + ": " + problem.what();
      continue;
    }
    // Not a reason to pass it over: half a molecule in a group is a mistake.
    const auto out = std::find_if_not(members.begin(), members.end(), is_in);
    if (out != members.end())
      throw Problem(name_of(atoms, members) + " is only partly in the group: " + std::to_string(inside) + " of its " +
                    std::to_string(members.size()) + " atoms are; atom " + std::to_string(atoms.tag[*out]) + " is not");
  }
  if (found.molecules.empty())
    throw Problem("no molecule of the group is the sampler's. " + found.why +
                  ". The elements of the atom types are known " + elements.source);
  return found;
}

}    // namespace boltzdrift_lammps

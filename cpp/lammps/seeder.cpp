/* SPDX-License-Identifier: GPL-2.0-only */
#include "seeder.h"

#include "box.h"
#include "maxwell.h"
#include "place.h"
#include "problem.h"
#include "refine.h"

#include "atom.h"
#include "comm.h"
#include "compute.h"
#include "domain.h"
#include "error.h"
#include "fix.h"
#include "force.h"
#include "group.h"
#include "lammps.h"
#include "modify.h"
#include "universe.h"
#include "update.h"

#include <cmath>
#include <set>
#include <utility>

namespace boltzdrift_lammps {

namespace {

// Time steps of refine, fs.
constexpr double LEAST_STEP = 0.02;
constexpr double MOST_STEP = 4.0;

// Positions of the atoms of molecule m.
std::vector<Vec3> rows(const Drawn &drawn, size_t m, size_t atoms)
{
  const auto begin = drawn.position.begin() + static_cast<std::ptrdiff_t>(m * atoms);
  return {begin, begin + static_cast<std::ptrdiff_t>(atoms)};
}

}    // namespace

Seeder::Seeder(LAMMPS_NS::LAMMPS *host, Options wanted) :
    Pointers(host), options(std::move(wanted)), units(Units::of(update->unit_style)),
    model(Model::open(world, options.model))
{
  if (!options.kelvin && !model->kelvin)
    throw Problem(options.model + " does not say for what temperature it was trained: give temp T, in kelvin");
  temperature = options.kelvin ? *options.kelvin : *model->kelvin;
  if (options.timestep) femtoseconds = *options.timestep * units.time;
  // What the library takes.
  if (!(femtoseconds >= LEAST_STEP && femtoseconds <= MOST_STEP))
    throw Problem("timestep " + text(*options.timestep) + " of refine is " + text(femtoseconds) + " fs: give " +
                  text(LEAST_STEP / units.time) + " to " + text(MOST_STEP / units.time) + " in units " + update->unit_style);
}

// Whether the group has atoms of that group of a fix or compute.
bool Seeder::shares_atoms(int groupbit) const
{
  const int bit = group->bitmask[group->find(options.group)];
  int mine = 0;
  for (int i = 0; i < atom->nlocal; ++i)
    if ((atom->mask[i] & groupbit) && (atom->mask[i] & bit)) mine = 1;
  int any = 0;
  MPI_Allreduce(&mine, &any, 1, MPI_INT, MPI_MAX, world);
  return any != 0;
}

// Everything that moving these atoms would break without a word.
void Seeder::refuse_what_cannot_be() const
{
  if (domain->dimension == 2) throw Problem("molecules have three dimensions; this system has two");
  if (lmp->kokkos) throw Problem("not with the KOKKOS package: it keeps positions where this plug-in does not write");
  if (group->find(options.group) < 0) throw Problem("there is no group '" + options.group + "'");
  for (const auto *fix : modify->get_fix_list()) {
    const std::string style = fix->style;
    const bool constrains = fix->rigid_flag || style.rfind("shake", 0) == 0 || style.rfind("rattle", 0) == 0;
    // A fix of another group may still hold some of these atoms.
    if (constrains && shares_atoms(fix->groupbit))
      throw Problem("fix " + std::string(fix->id) + " (" + style + ") holds atoms of group '" + options.group +
                    "' in place: a seed would break its constraints; seed first, then define it");
  }
}

uint64_t Seeder::sample(uint64_t event, size_t molecule) const
{
  const auto replica = static_cast<uint64_t>(universe->existflag ? universe->iworld : 0);
  const auto replicas = static_cast<uint64_t>(universe->existflag ? universe->nworlds : 1);
  return options.index + replica + replicas * (static_cast<uint64_t>(molecule) + static_cast<uint64_t>(count) * event);
}

// (n, 3) in angstrom, in a frame of its own.
std::vector<double> Seeder::sampled(uint64_t number) const
{
  std::vector<double> angstrom(3 * model->atoms());
  check(bzd_sampler_sample(model->sampler(), options.seed, number, 1, angstrom.data(), angstrom.size()));
  return angstrom;
}

// A sample where the molecule is, turned as it is or at random.
std::vector<double> Seeder::placed(const Molecule &molecule, uint64_t number, std::vector<double> angstrom) const
{
  check(bzd_sampler_place(model->sampler(), options.seed, number, 1, molecule.amu.data(), molecule.angstrom.data(),
                          options.keep ? BZD_ORIENT_KEEP : BZD_ORIENT_RANDOM, angstrom.data(), angstrom.size()));
  return angstrom;
}

// Every molecule by the forces of the running LAMMPS, in the field of all the others. Says how it went.
std::string Seeder::refine(const std::vector<Molecule> &found, uint64_t event, bool running, Drawn &drawn)
{
  std::vector<LAMMPS_NS::tagint> tag;
  for (const auto &molecule : found) tag.insert(tag.end(), molecule.tag.begin(), molecule.tag.end());
  Refiner refiner(lmp, *model, units, tag, {options.seed, options.refine, temperature, femtoseconds, running});
  // All are seeds before the first is refined: the field that it is in is that of the others' new states.
  set_positions(drawn);
  const size_t atoms = model->atoms();
  for (size_t m = 0; m < found.size(); ++m) {
    const uint64_t number = sample(event, m);
    const auto own = sampled(number);
    refiner.refine(number, Place(found[m].amu, own, placed(found[m], number, own)), m * atoms, drawn.position);
    // Nothing but the molecule acts on it: it may be turned as it was.
    if (!alone || !options.keep) continue;
    std::vector<double> angstrom;
    for (const auto &position : drawn.position)
      for (const double component : position) angstrom.push_back(component * units.length);
    angstrom = placed(found[m], number, angstrom);
    for (size_t i = 0; i < 3 * atoms; ++i) drawn.position[i / 3][i % 3] = angstrom[i] / units.length;
  }
  refiner.refuse_if_none_moved();
  warned = refiner.warning();
  return refiner.report();
}

std::vector<Vec3> Seeder::velocities(const Molecule &molecule, uint64_t number, const std::vector<double> &angstrom) const
{
  const bool full = options.velocities == Velocities::full || (options.velocities == Velocities::automatic && !alone);
  const size_t atoms = model->atoms();
  if (full) return maxwell(options.seed, number, molecule.mass, force->boltz * temperature / force->mvv2e);
  std::vector<double> own(3 * atoms);
  check(bzd_maxwell_velocities(atoms, molecule.amu.data(), options.seed, number, temperature, angstrom.data(), own.data(),
                               own.size()));
  std::vector<Vec3> velocities(atoms);
  for (size_t i = 0; i < 3 * atoms; ++i) velocities[i / 3][i % 3] = own[i] / units.velocity;
  return velocities;
}

// Says in `types` which element each atom type is, and how that is known.
Found Seeder::find(std::string *types) const
{
  refuse_what_cannot_be();
  check_width(lmp, units.length);
  const Elements elements = elements_of(lmp, options.types, *model, units.mass);
  types->clear();
  for (size_t type = 1; type < elements.of_type.size(); ++type)
    *types += " " + std::to_string(type) + "=" + (elements.of_type[type] ? symbol(elements.of_type[type]) : "-");
  *types += ", " + elements.source;
  return find_molecules(lmp, gather(lmp, options.group), *model, elements, units);
}

void Seeder::look()
{
  std::string types;
  find(&types);
}

Drawn Seeder::draw(uint64_t event, bool running)
{
  std::string types;
  const Found found = find(&types);
  if (event > 0 && count != 0 && found.molecules.size() != count)
    throw Problem("the group had " + std::to_string(count) + " molecules of the sampler and now has " +
                  std::to_string(found.molecules.size()) + ": samples would be used twice");
  count = found.molecules.size();
  const size_t atoms = model->atoms();
  all_are = static_cast<LAMMPS_NS::bigint>(count * atoms) == atom->natoms;
  alone = all_are && count == 1;

  warned.clear();
  Drawn drawn;
  for (size_t m = 0; m < count; ++m) {
    const auto &molecule = found.molecules[m];
    const uint64_t number = sample(event, m);
    const auto angstrom = placed(molecule, number, sampled(number));
    for (size_t i = 0; i < atoms; ++i) drawn.row.emplace(molecule.tag[i], drawn.position.size() + i);
    for (size_t i = 0; i < atoms; ++i)
      drawn.position.push_back({angstrom[3 * i] / units.length, angstrom[3 * i + 1] / units.length,
                                angstrom[3 * i + 2] / units.length});
    check_box(lmp, molecule.tag, rows(drawn, m, atoms), units.length);
  }
  const std::string told = options.refine > 0 ? refine(found.molecules, event, running, drawn) : "";
  for (size_t m = 0; m < count; ++m) {
    const auto &molecule = found.molecules[m];
    const auto own = rows(drawn, m, atoms);
    if (options.refine > 0) check_box(lmp, molecule.tag, own, units.length);
    if (options.velocities == Velocities::no) continue;
    std::vector<double> angstrom;
    for (const auto &position : own)
      for (const double component : position) angstrom.push_back(component * units.length);
    const auto speeds = velocities(molecule, sample(event, m), angstrom);
    drawn.velocity.insert(drawn.velocity.end(), speeds.begin(), speeds.end());
  }
  if (all_are && !drawn.velocity.empty()) stop_drift(drawn, found.molecules);

  const std::string many = count == 1 ? "1 molecule" : std::to_string(count) + " molecules";
  said = "boltzdrift: " + many + " " + formula({model->species.begin(), model->species.end()}) + ", sample" +
         (count == 1 ? " " + std::to_string(sample(event, 0))
                     : "s " + std::to_string(sample(event, 0)) + " to " + std::to_string(sample(event, count - 1))) +
         " of seed " + std::to_string(options.seed) + ", " + text(temperature) + " K; types are" + types;
  if (found.others > 0)
    said += "; others of the group stay as they are: " + std::to_string(found.others) + ", first " + found.why;
  said += told + "\n";
  return drawn;
}

// The center of mass of everything is at rest, as 3N - 3 degrees of freedom say.
void Seeder::stop_drift(Drawn &drawn, const std::vector<Molecule> &found) const
{
  Vec3 momentum{};
  double mass = 0.0;
  size_t row = 0;
  for (const auto &molecule : found)
    for (const double one : molecule.mass) {
      mass += one;
      for (size_t k = 0; k < 3; ++k) momentum[k] += one * drawn.velocity[row][k];
      ++row;
    }
  for (auto &velocity : drawn.velocity)
    for (size_t k = 0; k < 3; ++k) velocity[k] -= momentum[k] / mass;
}

void Seeder::set_positions(const Drawn &drawn)
{
  for (int i = 0; i < atom->nlocal; ++i) {
    const auto found = drawn.row.find(atom->tag[i]);
    if (found == drawn.row.end()) continue;
    for (size_t k = 0; k < 3; ++k) atom->x[i][k] = drawn.position[found->second][k];
    // Unwrapped positions belong to the image 0, 0, 0; wrapping them sets the flags anew.
    atom->image[i] = (static_cast<LAMMPS_NS::imageint>(IMGMAX) << IMG2BITS) |
        (static_cast<LAMMPS_NS::imageint>(IMGMAX) << IMGBITS) | IMGMAX;
    domain->remap(atom->x[i], atom->image[i]);
  }
  migrate(lmp);
}

void Seeder::set_velocities(const Drawn &drawn)
{
  if (drawn.velocity.empty()) return;
  for (int i = 0; i < atom->nlocal; ++i) {
    const auto found = drawn.row.find(atom->tag[i]);
    if (found == drawn.row.end()) continue;
    for (size_t k = 0; k < 3; ++k) atom->v[i][k] = drawn.velocity[found->second][k];
  }
}

// LAMMPS has no call that tells a fix of new positions.
void Seeder::warn_of_memories() const
{
  const std::set<std::string> fixes = {"move", "spring/self", "ti/spring"};
  const std::set<std::string> computes = {"displace/atom", "msd", "msd/nongauss"};
  std::string names;
  for (const auto *fix : modify->get_fix_list())
    if (fixes.count(fix->style) && shares_atoms(fix->groupbit))
      names += (names.empty() ? "fix " : ", fix ") + std::string(fix->id) + " (" + fix->style + ")";
  for (const auto *compute : modify->get_compute_list())
    if (computes.count(compute->style) && shares_atoms(compute->groupbit))
      names += (names.empty() ? "compute " : ", compute ") + std::string(compute->id) + " (" + compute->style + ")";
  if (names.empty() || comm->me != 0) return;
  error->warning(FLERR, "boltzdrift: " + names + " goes on from the positions before seeding: define it afterwards");
}

void Seeder::warn_of_degrees_of_freedom() const
{
  if (!all_are || options.velocities == Velocities::no) return;
  auto *compute = modify->get_compute_by_id("thermo_temp");
  if (!compute || std::string(compute->style) != "temp") return;
  compute->setup();
  const bool internal = options.velocities == Velocities::internal || (options.velocities == Velocities::automatic && alone);
  // A line of atoms turns about two axes only; thermo_temp is then the user's affair.
  if (model->atoms() < 3) return;
  const auto n = static_cast<double>(atom->natoms);
  const double moving = internal ? 3.0 * n - 6.0 * static_cast<double>(count) : 3.0 * n - 3.0;
  if (std::abs(compute->dof - moving) < 0.5 || comm->me != 0) return;
  error->warning(FLERR, "boltzdrift: compute thermo_temp counts " + text(compute->dof) + " degrees of freedom, but " +
                            text(moving) + " move: temperatures will read wrong by the factor " + text(moving / compute->dof) +
                            "; use compute_modify thermo_temp extra/dof " + text(3.0 * n - moving));
}

}    // namespace boltzdrift_lammps

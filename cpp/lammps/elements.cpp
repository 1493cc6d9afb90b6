/* SPDX-License-Identifier: GPL-2.0-only */
#include "elements.h"

#include "problem.h"

#include "atom.h"
#include "input.h"
#include "lammps.h"
#include "variable.h"

#include <array>
#include <cmath>
#include <map>
#include <set>

namespace boltzdrift_lammps {

namespace {

struct Element {
  const char *symbol;
  double radius;    // angstrom
};

// Carbon is the sp3 value, Mn, Fe and Co are those of high spin: the larger ones.
constexpr std::array<Element, 97> ELEMENTS = {{
    {"X", 0.0},   {"H", 0.31},  {"He", 0.28}, {"Li", 1.28}, {"Be", 0.96}, {"B", 0.84},  {"C", 0.76},  {"N", 0.71},
    {"O", 0.66},  {"F", 0.57},  {"Ne", 0.58}, {"Na", 1.66}, {"Mg", 1.41}, {"Al", 1.21}, {"Si", 1.11}, {"P", 1.07},
    {"S", 1.05},  {"Cl", 1.02}, {"Ar", 1.06}, {"K", 2.03},  {"Ca", 1.76}, {"Sc", 1.70}, {"Ti", 1.60}, {"V", 1.53},
    {"Cr", 1.39}, {"Mn", 1.61}, {"Fe", 1.52}, {"Co", 1.50}, {"Ni", 1.24}, {"Cu", 1.32}, {"Zn", 1.22}, {"Ga", 1.22},
    {"Ge", 1.20}, {"As", 1.19}, {"Se", 1.20}, {"Br", 1.20}, {"Kr", 1.16}, {"Rb", 2.20}, {"Sr", 1.95}, {"Y", 1.90},
    {"Zr", 1.75}, {"Nb", 1.64}, {"Mo", 1.54}, {"Tc", 1.47}, {"Ru", 1.46}, {"Rh", 1.42}, {"Pd", 1.39}, {"Ag", 1.45},
    {"Cd", 1.44}, {"In", 1.42}, {"Sn", 1.39}, {"Sb", 1.39}, {"Te", 1.38}, {"I", 1.39},  {"Xe", 1.40}, {"Cs", 2.44},
    {"Ba", 2.15}, {"La", 2.07}, {"Ce", 2.04}, {"Pr", 2.03}, {"Nd", 2.01}, {"Pm", 1.99}, {"Sm", 1.98}, {"Eu", 1.98},
    {"Gd", 1.96}, {"Tb", 1.94}, {"Dy", 1.92}, {"Ho", 1.92}, {"Er", 1.89}, {"Tm", 1.90}, {"Yb", 1.87}, {"Lu", 1.87},
    {"Hf", 1.75}, {"Ta", 1.70}, {"W", 1.62},  {"Re", 1.51}, {"Os", 1.44}, {"Ir", 1.41}, {"Pt", 1.36}, {"Au", 1.36},
    {"Hg", 1.32}, {"Tl", 1.45}, {"Pb", 1.46}, {"Bi", 1.48}, {"Po", 1.40}, {"At", 1.50}, {"Rn", 1.50}, {"Fr", 2.60},
    {"Ra", 2.21}, {"Ac", 2.15}, {"Th", 2.06}, {"Pa", 2.00}, {"U", 1.96},  {"Np", 1.90}, {"Pu", 1.87}, {"Am", 1.80},
    {"Cm", 1.69},
}};

// Force fields round their masses, and united atoms and isotopes are an amu or more away.
constexpr double MASS_TOLERANCE = 0.1;

std::vector<int> by_names(const std::vector<std::string> &types, int ntypes)
{
  if (static_cast<int>(types.size()) != ntypes)
    throw Problem("types gives " + std::to_string(types.size()) + " elements, but there are " +
                  std::to_string(ntypes) + " atom types: give one symbol for each, NULL for types that are in no "
                  "molecule to be seeded");
  std::vector<int> numbers(1, 0);
  for (const auto &name : types) {
    const int number = name == "NULL" ? 0 : atomic_number(name);
    if (number == 0 && name != "NULL")
      throw Problem("types: '" + name + "' is no element: give symbols as C H O, NULL for other types");
    numbers.push_back(number);
  }
  return numbers;
}

// The header of LabelMap is not installed, but variables can ask it.
std::vector<int> by_labels(LAMMPS_NS::LAMMPS *lmp, int ntypes)
{
  std::vector<int> numbers(static_cast<size_t>(ntypes) + 1, 0);
  if (lmp->atom->labelmapflag == 0) return numbers;
  for (int number = 1; number < static_cast<int>(ELEMENTS.size()); ++number) {
    const std::string argument = "(atom," + symbol(number) + ")";
    if (lmp->input->variable->compute_equal("is_typelabel" + argument) == 0.0) continue;
    const double type = lmp->input->variable->compute_equal("label2type" + argument);
    if (type >= 1.0 && type <= ntypes) numbers[static_cast<size_t>(type)] = number;
  }
  return numbers;
}

std::vector<int> by_mass(LAMMPS_NS::LAMMPS *lmp, int ntypes, const Model &model, double amu_per_mass)
{
  std::vector<int> numbers(static_cast<size_t>(ntypes) + 1, 0);
  if (lmp->atom->rmass || !lmp->atom->mass) return numbers;
  for (int type = 1; type <= ntypes; ++type) {
    if (!lmp->atom->mass_setflag[type]) continue;
    const double mass = lmp->atom->mass[type] * amu_per_mass;
    std::set<int> near;
    for (size_t i = 0; i < model.atoms(); ++i)
      if (std::abs(model.masses[i] - mass) < MASS_TOLERANCE) near.insert(model.species[i]);
    if (near.size() == 1) numbers[static_cast<size_t>(type)] = *near.begin();
  }
  return numbers;
}

}    // namespace

std::string symbol(int number)
{
  if (number < 0 || number >= static_cast<int>(ELEMENTS.size())) return std::to_string(number);
  return ELEMENTS[static_cast<size_t>(number)].symbol;
}

int atomic_number(const std::string &symbol)
{
  for (size_t number = 1; number < ELEMENTS.size(); ++number)
    if (symbol == ELEMENTS[number].symbol) return static_cast<int>(number);
  return 0;
}

double covalent_radius(int number)
{
  if (number < 0 || number >= static_cast<int>(ELEMENTS.size())) return 0.0;
  return ELEMENTS[static_cast<size_t>(number)].radius;
}

std::string formula(const std::vector<int> &species)
{
  std::map<std::string, int> counts;
  for (const int number : species) ++counts[symbol(number)];
  // Hill's order: carbon, hydrogen, then by the alphabet; without carbon all by the alphabet.
  std::string text;
  const auto write = [&](const std::string &name, int count) {
    text += name + (count > 1 ? std::to_string(count) : "");
  };
  if (counts.count("C")) {
    for (const char *first : {"C", "H"}) {
      if (!counts.count(first)) continue;
      write(first, counts[first]);
      counts.erase(first);
    }
  }
  for (const auto &[name, count] : counts) write(name, count);
  return text;
}

Elements elements_of(LAMMPS_NS::LAMMPS *lmp, const std::vector<std::string> &types, const Model &model,
                     double amu_per_mass)
{
  const int ntypes = lmp->atom->ntypes;
  if (!types.empty()) return {by_names(types, ntypes), "by types"};
  const auto any = [](const std::vector<int> &numbers) { return std::set<int>(numbers.begin(), numbers.end()).size() > 1; };
  const auto labels = by_labels(lmp, ntypes);
  const auto masses = by_mass(lmp, ntypes, model, amu_per_mass);
  // Labels of force fields name some elements by their symbols and others not: type by type.
  auto both = labels;
  for (size_t type = 1; type < both.size(); ++type) {
    if (both[type] == 0) both[type] = masses[type];
    if (both[type] != masses[type] && masses[type] != 0)
      throw Problem("atom type " + std::to_string(type) + " is labelled " + symbol(both[type]) + " and has the mass of " +
                    symbol(masses[type]) + ": correct the labelmap or the mass, or name the elements, as in: types C H O");
  }
  if (any(both)) return {both, !any(labels) ? "by mass" : both == labels ? "by labelmap" : "by labelmap and mass"};
  throw Problem("no atom type has the mass of an element of the sampler (" +
                formula({model.species.begin(), model.species.end()}) +
                "): name the elements of the types, as in: types C H O");
}

}    // namespace boltzdrift_lammps

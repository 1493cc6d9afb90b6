/* Which element an atom type of LAMMPS is.
 *
 * SPDX-License-Identifier: GPL-2.0-only
 */
#ifndef BOLTZDRIFT_LAMMPS_ELEMENTS_H
#define BOLTZDRIFT_LAMMPS_ELEMENTS_H

#include "model.h"

#include "pointers.h"

#include <string>
#include <vector>

namespace boltzdrift_lammps {

/* Symbol of an atomic number; "X" for 0, an atom whose element is not known. */
std::string symbol(int number);

/* Atomic number of a symbol, 0 where there is none. */
int atomic_number(const std::string &symbol);

/* Covalent radius in angstrom (Cordero et al., Dalton Trans. 2008, 2832); 0 where the element is not known. */
double covalent_radius(int number);

/* C2H6O for {6, 6, 8, 1, 1, 1, 1, 1, 1}. */
std::string formula(const std::vector<int> &species);

/* Elements of the atom types, and how that is known. */
struct Elements {
  std::vector<int> of_type;    // (ntypes + 1), atomic numbers, 0 where not known; [0] is not used
  std::string source;          // "by types", "by labelmap", "by mass": for the log
};

/* From the option `types`, else from a labelmap whose labels are symbols, else from the masses: a type is an element of
 * the model where its mass is within 0.1 amu of one of them and of no other. Throws Problem. */
Elements elements_of(LAMMPS_NS::LAMMPS *lmp, const std::vector<std::string> &types, const Model &model,
                     double amu_per_mass);

}    // namespace boltzdrift_lammps

#endif

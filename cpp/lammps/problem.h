/* Errors of the plug-in. Whatever is wrong is found by all ranks alike, or made known to all with `agree`, so that
 * LAMMPS stops with one message and no rank waits for another.
 *
 * SPDX-License-Identifier: GPL-2.0-only
 */
#ifndef BOLTZDRIFT_LAMMPS_PROBLEM_H
#define BOLTZDRIFT_LAMMPS_PROBLEM_H

#include <mpi.h>

#include <cstdint>
#include <stdexcept>
#include <string>

namespace boltzdrift_lammps {

/* Becomes error->all() where LAMMPS called the plug-in. Thrown on all ranks or on none. */
class Problem : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/* Throws Problem on every rank where any rank has something to say: what the lowest of them says. */
void agree(MPI_Comm world, const std::string &mine);

/* Throws Problem with the library's last error where the status is not BZD_OK. */
void check(int32_t status);

/* A number for a message: short, and exact enough to find it again. */
std::string text(double value);

}    // namespace boltzdrift_lammps

#endif

/* SPDX-License-Identifier: GPL-2.0-only */
#include "problem.h"

#include "boltzdrift.h"

#include <array>
#include <cstdio>

namespace boltzdrift_lammps {

void agree(MPI_Comm world, const std::string &mine)
{
  int me = 0;
  int ranks = 1;
  MPI_Comm_rank(world, &me);
  MPI_Comm_size(world, &ranks);
  const int speaks = mine.empty() ? ranks : me;
  int first = ranks;
  MPI_Allreduce(&speaks, &first, 1, MPI_INT, MPI_MIN, world);
  if (first == ranks) return;

  int length = static_cast<int>(mine.size());
  MPI_Bcast(&length, 1, MPI_INT, first, world);
  std::string message = mine;
  message.resize(static_cast<size_t>(length));
  MPI_Bcast(message.data(), length, MPI_CHAR, first, world);
  throw Problem(message);
}

void check(int32_t status)
{
  if (status != BZD_OK) throw Problem(bzd_last_error());
}

std::string text(double value)
{
  std::array<char, 32> digits{};
  std::snprintf(digits.data(), digits.size(), "%.6g", value);
  return digits.data();
}

}    // namespace boltzdrift_lammps

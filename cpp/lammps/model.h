/* A sampler, loaded once and kept for the next command that names the same file.
 *
 * SPDX-License-Identifier: GPL-2.0-only
 */
#ifndef BOLTZDRIFT_LAMMPS_MODEL_H
#define BOLTZDRIFT_LAMMPS_MODEL_H

#include "boltzdrift.h"

#include <mpi.h>

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace boltzdrift_lammps {

class Model {
 public:
  /* Loads the file on every rank. Throws Problem on all of them where one of them cannot, or where they do not all
   * read the same sampler. */
  static std::shared_ptr<const Model> open(MPI_Comm world, const std::string &path);

  explicit Model(const std::string &path);
  ~Model();
  Model(const Model &) = delete;
  Model &operator=(const Model &) = delete;

  const bzd_sampler_t *sampler() const { return handle; }
  size_t atoms() const { return species.size(); }

  std::vector<int32_t> species;      // atomic numbers
  std::vector<double> masses;        // amu
  std::optional<double> kelvin;      // what the sampler was trained for, where it says so
  std::vector<std::pair<int32_t, int32_t>> bonds;    // (i, j), i < j, ascending
  std::string info;                                  // all it says of itself

  /* Orders of the molecules that have been matched, by the ids of their atoms. A molecule that is too hot for its
   * geometry to be told stays what it was as long as its bonds do. */
  mutable std::map<std::vector<int64_t>, std::vector<int32_t>> orders;

 private:
  bzd_sampler_t *handle = nullptr;
};

}    // namespace boltzdrift_lammps

#endif

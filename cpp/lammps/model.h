/* A sampler, loaded once and kept for the next command that names the same file.
 *
 * SPDX-License-Identifier: GPL-2.0-only
 */
#ifndef BOLTZDRIFT_LAMMPS_MODEL_H
#define BOLTZDRIFT_LAMMPS_MODEL_H

#include "boltzdrift.h"

#include <mpi.h>

#include <memory>
#include <optional>
#include <string>
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
  std::string info;                  // all it says of itself

 private:
  bzd_sampler_t *handle = nullptr;
};

}    // namespace boltzdrift_lammps

#endif

/* SPDX-License-Identifier: GPL-2.0-only */
#include "model.h"

#include "problem.h"

#include <algorithm>
#include <filesystem>

namespace boltzdrift_lammps {

Model::Model(const std::string &path)
{
  check(bzd_sampler_load(path.c_str(), &handle));
  try {
    size_t count = 0;
    check(bzd_sampler_atoms(handle, &count));
    species.resize(count);
    masses.resize(count);
    check(bzd_sampler_species(handle, species.data(), count));
    check(bzd_sampler_masses(handle, masses.data(), count));
    size_t pairs = 0;
    check(bzd_sampler_bonds(handle, &pairs, nullptr, 0));
    std::vector<int32_t> ends(2 * pairs);
    if (pairs > 0) check(bzd_sampler_bonds(handle, &pairs, ends.data(), ends.size()));
    for (size_t k = 0; k < pairs; ++k) bonds.push_back(std::minmax({ends[2 * k], ends[2 * k + 1]}));
    std::sort(bonds.begin(), bonds.end());
    double temperature = 0.0;
    const bzd_status_t status = bzd_sampler_temperature(handle, &temperature);
    if (status == BZD_OK)
      kelvin = temperature;
    else if (status != BZD_UNSUPPORTED)
      check(status);
    char *json = nullptr;
    check(bzd_sampler_info(handle, &json));
    info = json;
    bzd_string_free(json);
  } catch (...) {
    bzd_sampler_free(handle);
    throw;
  }
}

Model::~Model()
{
  bzd_sampler_free(handle);
}

namespace {

// A loop over seeds names the same file a thousand times.
struct Kept {
  std::string path;
  std::filesystem::file_time_type written;
  std::uintmax_t size = 0;
  std::shared_ptr<const Model> model;
};

Kept &kept()
{
  static Kept one;
  return one;
}

std::shared_ptr<const Model> load(const std::string &path)
{
  std::error_code missing;
  const auto written = std::filesystem::last_write_time(path, missing);
  const std::uintmax_t size = missing ? 0 : std::filesystem::file_size(path, missing);
  Kept &last = kept();
  if (!missing && last.model && last.path == path && last.written == written && last.size == size)
    return last.model;
  auto model = std::make_shared<const Model>(path);
  if (!missing) last = {path, written, size, model};
  return model;
}

// FNV-1a: ranks compare what they loaded without sending it.
uint64_t digest(const std::string &bytes)
{
  uint64_t hash = 14695981039346656037ULL;
  for (const char byte : bytes) hash = (hash ^ static_cast<unsigned char>(byte)) * 1099511628211ULL;
  return hash;
}

}    // namespace

std::shared_ptr<const Model> Model::open(MPI_Comm world, const std::string &path)
{
  std::shared_ptr<const Model> model;
  std::string trouble;
  try {
    model = load(path);
  } catch (const std::exception &error) {
    trouble = error.what();
    if (trouble.empty()) trouble = "cannot load " + path;
  }
  agree(world, trouble);

  const uint64_t mine = digest(model->info);
  uint64_t least = 0;
  uint64_t most = 0;
  MPI_Allreduce(&mine, &least, 1, MPI_UINT64_T, MPI_MIN, world);
  MPI_Allreduce(&mine, &most, 1, MPI_UINT64_T, MPI_MAX, world);
  if (least != most)
    throw Problem("the MPI ranks read different samplers from " + path +
                  ": put the same file where every node sees it");
  return model;
}

}    // namespace boltzdrift_lammps

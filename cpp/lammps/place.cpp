/* SPDX-License-Identifier: GPL-2.0-only */
#include "place.h"

#include <cmath>
#include <numeric>

namespace boltzdrift_lammps {

namespace {

double dot(const Vec3 &a, const Vec3 &b) { return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]; }

Vec3 cross(const Vec3 &a, const Vec3 &b)
{
  return {a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]};
}

Vec3 scaled(const Vec3 &a, double by) { return {a[0] * by, a[1] * by, a[2] * by}; }

Vec3 unit(const Vec3 &a) { return scaled(a, 1.0 / std::sqrt(dot(a, a))); }

Vec3 center_of(const std::vector<double> &share, const double *x)
{
  Vec3 center{};
  for (size_t i = 0; i < share.size(); ++i)
    for (size_t k = 0; k < 3; ++k) center[k] += share[i] * x[3 * i + k];
  return center;
}

std::vector<Vec3> arms(const std::vector<double> &share, const double *x)
{
  const Vec3 center = center_of(share, x);
  std::vector<Vec3> out(share.size());
  for (size_t i = 0; i < out.size(); ++i)
    for (size_t k = 0; k < 3; ++k) out[i][k] = x[3 * i + k] - center[k];
  return out;
}

// Right-handed axes: along a, and with b in the plane of the first two. Where b is along a, or there is no a, any that fit.
std::array<Vec3, 3> axes(const Vec3 &a, const Vec3 &b)
{
  const double length = dot(a, a);
  if (!(length > 0.0)) return {{{1, 0, 0}, {0, 1, 0}, {0, 0, 1}}};
  Vec3 normal = cross(a, b);
  if (dot(normal, normal) < 1e-10 * length * length) {
    size_t least = 0;
    for (size_t k = 1; k < 3; ++k)
      if (std::abs(a[k]) < std::abs(a[least])) least = k;
    Vec3 other{};
    other[least] = 1.0;
    normal = cross(a, other);
  }
  const Vec3 first = unit(a), third = unit(normal);
  return {first, cross(third, first), third};
}

}    // namespace

Place::Place(const std::vector<double> &amu, const std::vector<double> &sample, const std::vector<double> &placed) :
    share(amu), turn{}
{
  const double total = std::accumulate(amu.begin(), amu.end(), 0.0);
  for (auto &part : share) part /= total;
  center = center_of(share, placed.data());
  const auto from = arms(share, sample.data()), to = arms(share, placed.data());
  // Axes through the two atoms that tell the orientation best.
  size_t i = 0, j = 0;
  for (size_t a = 1; a < from.size(); ++a)
    if (dot(from[a], from[a]) > dot(from[i], from[i])) i = a;
  double most = 0.0;
  for (size_t a = 0; a < from.size(); ++a) {
    const Vec3 normal = cross(from[i], from[a]);
    if (dot(normal, normal) <= most) continue;
    most = dot(normal, normal);
    j = a;
  }
  const double far = 3.0 * std::sqrt(dot(from[i], from[i])) + 5.0;
  reach = far * far;
  const auto before = axes(from[i], from[j]), after = axes(to[i], to[j]);
  for (size_t k = 0; k < 3; ++k)
    for (size_t r = 0; r < 3; ++r)
      for (size_t c = 0; c < 3; ++c) turn[r][c] += after[k][r] * before[k][c];
}

std::vector<Vec3> Place::of(const double *sample) const
{
  auto out = arms(share, sample);
  for (auto &arm : out) arm = {dot(turn[0], arm) + center[0], dot(turn[1], arm) + center[1], dot(turn[2], arm) + center[2]};
  return out;
}

bool Place::torn(const double *sample) const
{
  // A number that is not finite is nowhere.
  for (const auto &arm : arms(share, sample))
    if (!(dot(arm, arm) < reach)) return true;
  return false;
}

void Place::back(const std::vector<Vec3> &forces, double *on_sample) const
{
  Vec3 sum{};
  for (const auto &force : forces)
    for (size_t k = 0; k < 3; ++k) sum[k] += force[k];
  for (size_t i = 0; i < share.size(); ++i) {
    Vec3 force{};
    for (size_t k = 0; k < 3; ++k) force[k] = forces[i][k] - share[i] * sum[k];
    for (size_t c = 0; c < 3; ++c)
      on_sample[3 * i + c] = turn[0][c] * force[0] + turn[1][c] * force[1] + turn[2][c] * force[2];
  }
}

}    // namespace boltzdrift_lammps

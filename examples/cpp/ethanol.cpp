// SPDX-License-Identifier: BSD-3-Clause
#include "ethanol.hpp"

#include <algorithm>

namespace {

using Vector = std::array<double, 3>;

// Types: CT carbon, OH oxygen, HC hydrogen on carbon, HO hydrogen on oxygen.
enum Type { CT, OH, HC, HO };
constexpr Type types[Ethanol::atoms] = {CT, CT, OH, HC, HC, HC, HC, HC, HO};
constexpr double charges[Ethanol::atoms] = {-0.180, 0.145, -0.683, 0.060, 0.060, 0.060, 0.060, 0.060, 0.418};
// sigma in angstrom, epsilon in kcal/mol
constexpr double sigma[4] = {3.50, 3.12, 2.50, 0.0}, epsilon[4] = {0.066, 0.170, 0.030, 0.0};
constexpr double coulomb = 332.06371; // kcal/mol angstrom / e^2
constexpr double degree = 0.017453292519943295;
constexpr std::size_t bonded[8][2] = {{0, 1}, {1, 2}, {0, 3}, {0, 4}, {0, 5}, {1, 6}, {1, 7}, {2, 8}};

Vector operator-(const Vector &a, const Vector &b) { return {a[0] - b[0], a[1] - b[1], a[2] - b[2]}; }
Vector operator*(double s, const Vector &a) { return {s * a[0], s * a[1], s * a[2]}; }
Vector operator+(const Vector &a, const Vector &b) { return {a[0] + b[0], a[1] + b[1], a[2] + b[2]}; }
double dot(const Vector &a, const Vector &b) { return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]; }
Vector cross(const Vector &a, const Vector &b) {
    return {a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]};
}
Vector at(const double *x, std::size_t i) { return {x[3 * i], x[3 * i + 1], x[3 * i + 2]}; }
void add(double *f, std::size_t i, const Vector &force) {
    for (std::size_t c = 0; c < 3; c++) f[3 * i + c] += force[c];
}

bool are(Type a, Type b, Type p, Type q) { return (a == p && b == q) || (a == q && b == p); }

// Half the force constants of the literature's k (r - r0)^2 are not needed: OPLS writes it without the 1/2.
std::array<double, 2> bond_of(Type a, Type b) {
    if (are(a, b, CT, CT)) return {268.0, 1.529};
    if (are(a, b, CT, OH)) return {320.0, 1.410};
    if (are(a, b, CT, HC)) return {340.0, 1.090};
    return {553.0, 0.945}; // OH-HO
}

std::array<double, 2> angle_of(Type a, Type center, Type b) {
    if (center == OH) return {55.0, 108.5};             // CT-OH-HO
    if (are(a, b, CT, HC)) return {37.5, 110.7};        // CT-CT-HC
    if (are(a, b, HC, HC)) return {33.0, 107.8};        // HC-CT-HC
    if (are(a, b, CT, OH)) return {50.0, 109.5};        // CT-CT-OH
    return {35.0, 109.5};                               // HC-CT-OH
}

std::array<double, 3> torsion_of(Type a, Type b, Type c, Type d) {
    if (b == CT && c == CT) {
        return are(a, d, HC, OH) ? std::array<double, 3>{0.0, 0.0, 0.468} : std::array<double, 3>{0.0, 0.0, 0.318};
    }
    // About C-O: from carbon or from hydrogen to HO.
    return (a == CT || d == CT) ? std::array<double, 3>{-0.356, -0.174, 0.492} : std::array<double, 3>{0.0, 0.0, 0.450};
}

} // namespace

Ethanol::Ethanol() {
    std::vector<std::vector<std::size_t>> near(atoms);
    int steps[atoms][atoms];
    for (auto &row : steps) std::fill(std::begin(row), std::end(row), 99);
    for (const auto &[i, j] : bonded) {
        near[i].push_back(j);
        near[j].push_back(i);
        steps[i][j] = steps[j][i] = 1;
        const auto [k, r] = bond_of(types[i], types[j]);
        bonds_.push_back({i, j, k, r});
    }
    for (std::size_t m = 0; m < atoms; m++)
        for (std::size_t i = 0; i < atoms; i++)
            for (std::size_t j = 0; j < atoms; j++) steps[i][j] = std::min(steps[i][j], steps[i][m] + steps[m][j]);
    for (std::size_t j = 0; j < atoms; j++)
        for (const std::size_t i : near[j])
            for (const std::size_t k : near[j]) {
                if (i >= k) continue;
                const auto [stiffness, angle] = angle_of(types[i], types[j], types[k]);
                angles_.push_back({i, j, k, stiffness, angle * degree});
            }
    for (std::size_t j = 0; j < atoms; j++)
        for (const std::size_t k : near[j]) {
            if (j >= k) continue;
            for (const std::size_t i : near[j])
                for (const std::size_t l : near[k])
                    if (i != k && l != j)
                        torsions_.push_back({i, j, k, l, torsion_of(types[i], types[j], types[k], types[l])});
        }
    for (std::size_t i = 0; i < atoms; i++)
        for (std::size_t j = i + 1; j < atoms; j++) {
            if (steps[i][j] < 3) continue;
            const double share = steps[i][j] == 3 ? 0.5 : 1.0;
            const Type a = types[i], b = types[j];
            pairs_.push_back({i, j, share * coulomb * charges[i] * charges[j],
                              share * std::sqrt(epsilon[a] * epsilon[b]), std::sqrt(sigma[a] * sigma[b])});
        }
}

std::vector<double> Ethanol::start() {
    return {-1.25, -0.22, 0.00, 0.00,  0.60, 0.00,  1.17,  -0.18, 0.00, -2.14, 0.41,  0.00, -1.28, -0.86,
            0.89,  -1.28, -0.86, -0.89, 0.03, 1.24,  -0.89, 0.03, 1.24,  0.89,  1.93, 0.38, 0.02};
}

double Ethanol::energy_forces(const double *x, double *f) const {
    double energy = 0.0;
    std::fill(f, f + 3 * atoms, 0.0);
    for (const Bond &bond : bonds_) {
        const Vector d = at(x, bond.i) - at(x, bond.j);
        const double r = std::sqrt(dot(d, d)), off = r - bond.r;
        energy += bond.k * off * off;
        const Vector force = (-2.0 * bond.k * off / r) * d;
        add(f, bond.i, force);
        add(f, bond.j, -1.0 * force);
    }
    for (const Angle &angle : angles_) {
        const Vector u = at(x, angle.i) - at(x, angle.j), v = at(x, angle.k) - at(x, angle.j);
        const double uu = dot(u, u), vv = dot(v, v), uv = dot(u, v), size = std::sqrt(uu * vv);
        const double cosine = std::clamp(uv / size, -1.0, 1.0), off = std::acos(cosine) - angle.angle;
        energy += angle.stiffness * off * off;
        // dE/dcos; the sine is 0 only where the angle is straight, which no bonded one comes near.
        const double slope = -2.0 * angle.stiffness * off / std::sqrt(std::max(1.0 - cosine * cosine, 1e-12));
        const Vector on_i = (-slope / size) * (v - (uv / uu) * u), on_k = (-slope / size) * (u - (uv / vv) * v);
        add(f, angle.i, on_i);
        add(f, angle.k, on_k);
        add(f, angle.j, -1.0 * (on_i + on_k));
    }
    for (const Torsion &t : torsions_) {
        const Vector a = at(x, t.j) - at(x, t.i), b = at(x, t.k) - at(x, t.j), c = at(x, t.l) - at(x, t.k);
        const Vector m = cross(a, b), n = cross(b, c);
        const double mm = dot(m, m), nn = dot(n, n), bb = dot(b, b), length = std::sqrt(bb);
        const double phi = std::atan2(length * dot(a, n), dot(m, n));
        energy += 0.5 * (t.v[0] * (1.0 + std::cos(phi)) + t.v[1] * (1.0 - std::cos(2.0 * phi)) +
                         t.v[2] * (1.0 + std::cos(3.0 * phi)));
        const double slope = 0.5 * (-t.v[0] * std::sin(phi) + 2.0 * t.v[1] * std::sin(2.0 * phi) -
                                    3.0 * t.v[2] * std::sin(3.0 * phi));
        // Blondel and Karplus, J. Comput. Chem. 17, 1132 (1996).
        const Vector on_i = (slope * length / mm) * m, on_l = (-slope * length / nn) * n;
        const Vector shared = (dot(a, b) / bb) * on_i - (dot(c, b) / bb) * on_l;
        add(f, t.i, on_i);
        add(f, t.l, on_l);
        add(f, t.j, -1.0 * on_i - shared);
        add(f, t.k, shared - on_l);
    }
    for (const Pair &pair : pairs_) {
        const Vector d = at(x, pair.i) - at(x, pair.j);
        const double rr = dot(d, d), r = std::sqrt(rr);
        const double q = pair.sigma * pair.sigma / rr, s6 = q * q * q;
        energy += pair.charges / r + 4.0 * pair.epsilon * (s6 * s6 - s6);
        const double slope = (pair.charges / r + 24.0 * pair.epsilon * (2.0 * s6 * s6 - s6)) / rr;
        add(f, pair.i, slope * d);
        add(f, pair.j, -slope * d);
    }
    return energy;
}

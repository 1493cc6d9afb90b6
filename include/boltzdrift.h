/* boltzdrift: one-step Boltzmann samplers of molecules, for molecular dynamics codes.
 *
 * Units: angstrom, femtosecond, amu, kelvin. Arrays are row-major doubles that the caller owns; `length`
 * is the number of elements there is room for, and must be what the call writes.
 *
 * Every call that can fail returns a bzd_status_t; bzd_last_error() then has the message, on the thread
 * that made the call. A sampler may be used from many threads at once; free it when none uses it.
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#ifndef BOLTZDRIFT_H
#define BOLTZDRIFT_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Version of this interface; compare with bzd_abi_version() of the library that was loaded. */
#define BZD_ABI_VERSION 1

typedef int32_t bzd_status_t;
#define BZD_OK 0          /* done */
#define BZD_INVALID 1     /* the call is wrong: a NULL, a length, a temperature */
#define BZD_FAILED 2      /* a file or a number is not what it must be */
#define BZD_UNSUPPORTED 3 /* not there: in this build, or in this sampler */
#define BZD_INTERNAL 4    /* a mistake of the library */

typedef struct bzd_sampler bzd_sampler_t;

/* Version of the library, as "0.1.0". Static. Since ABI 1, as all below. */
const char *bzd_version(void);

/* BZD_ABI_VERSION of the library. */
uint32_t bzd_abi_version(void);

/* Message of the last error on this thread, one line; valid until the next failing call on it. */
const char *bzd_last_error(void);

/* Loads a sampler that `boltzdrift train` wrote; free it with bzd_sampler_free. *sampler is NULL after a
 * failure. Nothing in the file is trusted: a damaged one gives BZD_FAILED. */
bzd_status_t bzd_sampler_load(const char *path, bzd_sampler_t **sampler);

/* Frees a sampler; NULL is nothing to free. */
void bzd_sampler_free(bzd_sampler_t *sampler);

/* Number of atoms n. */
bzd_status_t bzd_sampler_atoms(const bzd_sampler_t *sampler, size_t *atoms);

/* Atomic numbers (n) and masses in amu (n). */
bzd_status_t bzd_sampler_species(const bzd_sampler_t *sampler, int32_t *species, size_t length);
bzd_status_t bzd_sampler_masses(const bzd_sampler_t *sampler, double *masses, size_t length);

/* Temperature in kelvin that the sampler was trained for; BZD_UNSUPPORTED where it records none. */
bzd_status_t bzd_sampler_temperature(const bzd_sampler_t *sampler, double *kelvin);

/* Positions in angstrom of samples first .. first + count of a seed, (count, n, 3), the center of mass at
 * the origin. Sample i of a seed is the same bytes whatever the range and the number of threads, so ranks
 * can draw disjoint parts of one ensemble. length = count * n * 3. */
bzd_status_t bzd_sampler_sample(const bzd_sampler_t *sampler, uint64_t seed, uint64_t first, size_t count,
                                double *positions, size_t length);

/* Maxwell velocities in angstrom/fs at `kelvin` for the positions of those samples, (count, n, 3), without
 * momentum and angular momentum: 3n - 6 degrees of freedom move. length = count * n * 3. */
bzd_status_t bzd_sampler_velocities(const bzd_sampler_t *sampler, uint64_t seed, uint64_t first,
                                    double kelvin, const double *positions, double *velocities,
                                    size_t length);

#ifdef __cplusplus
}
#endif

#endif

/* boltzdrift: one-step Boltzmann samplers of molecules, for molecular dynamics codes.
 *
 * Units: angstrom, kcal/mol, femtosecond, amu, kelvin. Arrays are row-major doubles that the caller owns; `length`
 * is the number of elements there is room for, and must be what the call reads or writes.
 *
 * Errors: every call that can fail returns a bzd_status_t; bzd_last_error() then has the message, on the thread
 * that made the call. A place for a new object is NULL after a failure, and an array may be partly written. Nothing of
 * a file is trusted: a damaged one gives BZD_FAILED. A NULL object or array gives BZD_INVALID, and so does a wrong
 * `length`; these two are not repeated below.
 *
 * Ownership: what a call puts in a `bzd_..._t **` is the caller's, to be freed with the function of its kind; a
 * string put in a `char **` is freed with bzd_string_free. Freeing NULL does nothing. Strings and arrays that are given
 * to a call are not kept after it, but for callbacks and their user_data.
 *
 * Threads: a sampler or a dataset that nothing changes may be used from many threads at once. A potential is used
 * by one call at a time. The library never prints, installs no signal handler and changes no thread count; it
 * computes on threads of its own (as many as there are cores, or RAYON_NUM_THREADS). These do not survive fork(): a child
 * computes the same numbers on its calling thread alone. Fitting, training and TorchScript potentials are
 * BZD_UNSUPPORTED in a child.
 *
 * Settings are JSON objects in a string; NULL means all defaults. An unknown name or a wrong value is BZD_INVALID,
 * and the message says which.
 *
 * Versions: every function is there since ABI 1. Later versions add functions; none changes without a new
 * BZD_ABI_VERSION, which is part of the shared library's name (libboltzdrift.so.1). Programs that were linked against an
 * older library of the same number go on running.
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
#define BZD_INVALID 1     /* the call is wrong: a NULL, a length, a temperature, a setting */
#define BZD_FAILED 2      /* a file or a number is not what it must be */
#define BZD_UNSUPPORTED 3 /* not there: in this build, or in this object */
#define BZD_INTERNAL 4    /* a mistake of the library */
#define BZD_POTENTIAL 5   /* a potential failed or gave no finite answer; see bzd_last_potential_status */
#define BZD_INTERRUPTED 6 /* stopped by the progress function */

/* Frames of one molecule: positions, and forces, energies and velocities where there are any. */
typedef struct bzd_dataset bzd_dataset_t;
/* Energies and forces of many frames. */
typedef struct bzd_potential bzd_potential_t;
/* A trained sampler. */
typedef struct bzd_sampler bzd_sampler_t;

/* ---- The library. Example: examples/c/library.c ---------------------------------------------------------------- */

/* Version of the library, as "0.1.0". Static. */
const char *bzd_version(void);

/* BZD_ABI_VERSION of the library that was loaded. */
uint32_t bzd_abi_version(void);

/* 1 where the library can fit and train; 0 for the sampler-only build, where those calls give BZD_UNSUPPORTED. */
int32_t bzd_can_train(void);

/* Message of the last error on this thread, one line; empty before the first. Valid until the next failing call on
 * this thread. */
const char *bzd_last_error(void);

/* The status that the caller's own potential returned in the last error on this thread, 0 where the error was
 * another. */
int32_t bzd_last_potential_status(void);

/* Frees a string that a call put in a `char **`. */
void bzd_string_free(char *text);

/* Takes one line of the log: level 1 error, 2 warning, 3 information, 4 details. */
typedef void (*bzd_log_fn)(void *user_data, int32_t level, const char *message);

/* Sends the log up to `level` to a function until it is replaced; NULL or level 0 stops it. Nothing is logged anywhere
 * before. Threads: the function is called from any thread, one call at a time, and must not call the library.
 * Errors: BZD_INVALID for a level that is none; BZD_UNSUPPORTED where the process has another logger of the Rust crate
 * `log` in this library. */
bzd_status_t bzd_set_log(bzd_log_fn function, void *user_data, int32_t level);

/* How far a long call is. Fields may be added at the end: struct_size says which are there. */
typedef struct bzd_progress {
    size_t struct_size;
    const char *stage; /* "reading", "fitting", "equilibrating", "training", "labeling", "refining" */
    uint64_t done;     /* frames, tries, evaluations, steps, frames, proposals */
    uint64_t total;    /* of them in all, at most; 0 where that is not known */
    double value;      /* the loss in training, the largest split-R-hat in an equilibration, else NaN */
} bzd_progress_t;

/* Hears of progress, on the thread that made the call. Return 0 to go on; anything else stops the call with
 * BZD_INTERRUPTED. NULL where nobody listens. It may call the library, with other objects. */
typedef int32_t (*bzd_progress_fn)(void *user_data, const bzd_progress_t *progress);

/* ---- Units. Example: examples/c/library.c ----------------------------------------------------------------------- */

/* How many of the library's own units one `unit` is; `quantity` is "length", "energy", "force", "time", "mass",
 * "velocity" or "temperature". "eV" as an "energy" is 23.06.
 * Errors: BZD_INVALID for an unknown unit or quantity, and for a unit of another dimension. */
bzd_status_t bzd_unit(const char *unit, const char *quantity, double *factor);

/* The units of a LAMMPS style ("real", "metal", "si", "cgs", "electron", "micro", "nano") as factors (5) of length,
 * energy, time, force and velocity.
 * Errors: BZD_INVALID for "lj", which has no angstrom and no kelvin, and for unknown styles. */
bzd_status_t bzd_lammps_units(const char *style, double *factors, size_t length);

/* ---- Trajectories. Examples: examples/c/trajectory.c, examples/c/label.c ---------------------------------------- */

/* Reads a trajectory: LAMMPS dump, extended XYZ, .npz of MD17 or sGDML, and the formats of chemfiles. `reading` has
 * the command line's options: {"units": "real", "length_unit": "angstrom", "energy_unit": "eV", "force_unit":
 * "eV/angstrom", "types": ["C", "H", "O"], "select": "index < 9", "frames": "0:1000:2", "format": "XYZ",
 * "need_forces": true}, each of them optional.
 * Errors: BZD_FAILED for a file that cannot be read or is not what it must be, naming file, frame and atom;
 * BZD_INVALID for wrong options; BZD_INTERRUPTED. */
bzd_status_t bzd_dataset_read(const char *path, const char *reading, bzd_progress_fn progress, void *user_data,
                              bzd_dataset_t **dataset);

/* A trajectory from arrays, which are copied: species (atoms) as atomic numbers, positions (frames, atoms, 3) in
 * angstrom, forces (frames, atoms, 3) in kcal/mol/angstrom or NULL, energies (frames) in kcal/mol or NULL, masses
 * (atoms) in amu or NULL for those of the elements. The molecule must be whole.
 * Errors: BZD_INVALID for an atomic number that is none, a mass that is not positive, no frame or no atom, and numbers that
 * are not finite, naming frame and atom; BZD_FAILED for two atoms at the same place. */
bzd_status_t bzd_dataset_from_arrays(size_t frames, size_t atoms, const int32_t *species, const double *positions,
                                     const double *forces, const double *energies, const double *masses,
                                     bzd_dataset_t **dataset);

/* Frees a trajectory. No other thread may be using it. */
void bzd_dataset_free(bzd_dataset_t *dataset);

/* Numbers of frames N and atoms n. */
bzd_status_t bzd_dataset_size(const bzd_dataset_t *dataset, size_t *frames, size_t *atoms);

/* Copies out the atomic numbers (n). */
bzd_status_t bzd_dataset_species(const bzd_dataset_t *dataset, int32_t *species, size_t length);

/* Copies out the masses (n) in amu. */
bzd_status_t bzd_dataset_masses(const bzd_dataset_t *dataset, double *masses, size_t length);

/* Copies out the positions (N, n, 3) in angstrom. */
bzd_status_t bzd_dataset_positions(const bzd_dataset_t *dataset, double *positions, size_t length);

/* Copies out the forces (N, n, 3) in kcal/mol/angstrom. Errors: BZD_UNSUPPORTED where the frames have none. */
bzd_status_t bzd_dataset_forces(const bzd_dataset_t *dataset, double *forces, size_t length);

/* Copies out the potential energies (N) in kcal/mol. Errors: BZD_UNSUPPORTED where the frames have none. */
bzd_status_t bzd_dataset_energies(const bzd_dataset_t *dataset, double *energies, size_t length);

/* Copies out the velocities (N, n, 3) in angstrom/fs. Errors: BZD_UNSUPPORTED where the frames have none. */
bzd_status_t bzd_dataset_velocities(const bzd_dataset_t *dataset, double *velocities, size_t length);

/* Gives the frames velocities (N, n, 3) in angstrom/fs, for bzd_dataset_write. Errors: BZD_INVALID for numbers that are not
 * finite, naming frame and atom. Threads: nobody else may be using the dataset. */
bzd_status_t bzd_dataset_set_velocities(bzd_dataset_t *dataset, const double *velocities, size_t length);

/* Writes the frames, through a temporary file; the extension tells the format.
 * Errors: BZD_FAILED where the file cannot be written, which leaves what was there; BZD_INVALID for an unknown extension. */
bzd_status_t bzd_dataset_write(const bzd_dataset_t *dataset, const char *path);

/* What the frames hold, as JSON: atoms, bonds, symmetry, thermometer, warnings. `kelvin` is the temperature that the
 * run was meant to have, or 0. Errors: BZD_INVALID for a negative temperature. */
bzd_status_t bzd_dataset_inspect(const bzd_dataset_t *dataset, double kelvin, char **json);

/* Energies and forces of all frames from a potential, in place of those they have. After a failure the dataset is as it was,
 * and the potential keeps what is done: the next call with both goes on there, bzd_dataset_labelled gives it.
 * Errors: BZD_POTENTIAL, naming the frame; BZD_INTERRUPTED. Threads: nobody else may be using the two objects. */
bzd_status_t bzd_dataset_label(bzd_dataset_t *dataset, bzd_potential_t *potential, bzd_progress_fn progress,
                               void *user_data);

/* The frames that the last bzd_dataset_label with this potential had done when it failed or was stopped, with their labels.
 * Errors: BZD_UNSUPPORTED where there are none. Threads: nobody else may be using the potential. */
bzd_status_t bzd_dataset_labelled(const bzd_dataset_t *dataset, bzd_potential_t *potential, bzd_dataset_t **done);

/* Writes the frames with energies and forces from a potential to a file, as `boltzdrift label`: .npz, .xyz, or .lammpstrj
 * without energies. What is done lies in PATH.partial until the file is whole. After a failure or a kill the next call goes on
 * there: with the same frames, a potential of the same identity, in this process or another. Settings: {"batch": 64,
 * "skip_failing": false}: frames of a call, and whether frames on which the potential fails are left out. `report` (JSON) may
 * be NULL: "frames" written, "kept_before" by earlier calls, numbers of those "left_out", "difference" from labels they had.
 * Errors: BZD_POTENTIAL, naming the frame; BZD_INTERRUPTED; BZD_INVALID for a format without forces, a potential without name
 * and identity, and a PATH.partial of other frames or another potential; BZD_FAILED where it is damaged or nothing can be
 * written. Threads: nobody else may be using the potential. */
bzd_status_t bzd_dataset_label_to(const bzd_dataset_t *dataset, bzd_potential_t *potential, const char *path,
                                  const char *settings, bzd_progress_fn progress, void *user_data, char **report);

/* Compares samples with a reference, as JSON: the figures of `boltzdrift evaluate --json`.
 * Errors: BZD_INVALID for another molecule, or fewer than two frames. */
bzd_status_t bzd_evaluate(const bzd_dataset_t *samples, const bzd_dataset_t *reference, char **json);

/* ---- Potentials. Example: examples/c/potential.c; plug-ins: examples/potentials/lennard_jones.c ------------------ */

/* Opens a potential by its name, as the command line's --potential: "gdml:FILE", "plugin:LIB.so:options",
 * "torchscript:FILE". A plug-in and a TorchScript module are programs: open only what you trust.
 * Errors: BZD_INVALID for a name that is none and for options that a plug-in refuses; BZD_FAILED for a damaged file;
 * BZD_UNSUPPORTED for what is no plug-in, and for TorchScript in the sampler-only build. */
bzd_status_t bzd_potential_open(const char *spec, bzd_potential_t **potential);

/* The caller's function: fills energies (n_systems) and forces (n_systems, n_atoms, 3) for positions (n_systems,
 * n_atoms, 3), in the units of the description; species (n_atoms) are atomic numbers. `cells` would be (n_systems, 3, 3),
 * rows are cell vectors; it is NULL: a molecule is given alone, whole and unwrapped, whatever cell its trajectory has.
 * Refuse what is not NULL, should it ever come.
 *
 * Returns 0 where all is filled in. Anything else stops the work with BZD_POTENTIAL; the status comes back from
 * bzd_last_potential_status, and the message names the first frame that has no energy or forces yet: fill them in
 * frame by frame. An energy or force that is not finite is an error that names its frame. A C++ exception must not
 * leave the function.
 *
 * It is called on the thread that called the library, unless flags has BZD_CONCURRENT. It may call this library,
 * with other objects. */
typedef int32_t (*bzd_potential_fn)(void *user_data, size_t n_systems, size_t n_atoms, const int32_t *species,
                                    const double *positions, const double *cells, double *energies,
                                    double *forces);

/* `evaluate` may be called from several threads at once, and is: from the library's own. It must not wait there for another
 * thread's call of the library, nor hold a lock while it calls the library itself. */
#define BZD_CONCURRENT 1u

/* `evaluate` fills in frame after frame, the energy of each last. So where a call fails, the frames before the one that is
 * named are done: labels of them are kept, and they are not asked for again. */
#define BZD_IN_ORDER 2u

/* What a caller says of its potential. Clear it (= {0}), set struct_size to sizeof(bzd_potential_desc), and what is
 * not 0. Strings are copied. Fields may be added at the end. */
typedef struct bzd_potential_desc {
    size_t struct_size;
    bzd_potential_fn evaluate;
    void *user_data;                              /* first argument of the functions */
    void (*destroy)(void *user_data);             /* called once, when the potential is freed; or NULL */
    const char *(*last_error)(void *user_data);   /* why the last call failed, or NULL */
    const char *name;                             /* for messages */
    const char *identity;                         /* what tells it from every other: the name where NULL */
    const char *length_unit;                      /* angstrom where NULL */
    const char *energy_unit;                      /* kcal/mol where NULL; forces are energy per length */
    size_t largest_batch;                         /* most n_systems of a call; any where 0 */
    uint32_t flags;                               /* BZD_CONCURRENT | BZD_IN_ORDER, each or none */
    uint32_t reserved;                            /* 0 */
} bzd_potential_desc;

/* A potential of the caller's own function. From this call on `destroy` is the library's to call; where the call
 * fails it has been called already, unless the description itself was NULL or had a wrong size.
 * Errors: BZD_INVALID for a description without `evaluate`, of a wrong size, with unknown flags or units. */
bzd_status_t bzd_potential_from_callback(const bzd_potential_desc *description, bzd_potential_t **potential);

/* Frees a potential, and calls its `destroy`. No call may be using it. */
void bzd_potential_free(bzd_potential_t *potential);

/* Energies (frames) in kcal/mol and forces (frames, atoms, 3) in kcal/mol/angstrom of positions (frames, atoms, 3)
 * in angstrom; species (atoms) are atomic numbers. Errors: BZD_POTENTIAL, naming the frame; BZD_INVALID for a molecule
 * that the potential is not for; BZD_FAILED for positions that are not finite. Threads: one call at a time. */
bzd_status_t bzd_potential_evaluate(bzd_potential_t *potential, size_t frames, size_t atoms, const int32_t *species,
                                    const double *positions, double *energies, double *forces);

/* Name, identity and, for a fitted one, the report of the fit, as JSON. Threads: one call at a time. */
bzd_status_t bzd_potential_info(bzd_potential_t *potential, char **json);

/* Writes a fitted force field, through a temporary file: as an .npz, in sGDML's file layout where it was fitted with "plain".
 * Errors: BZD_UNSUPPORTED for other potentials; BZD_FAILED where the file cannot be written. Threads: one call at a time. */
bzd_status_t bzd_potential_save(bzd_potential_t *potential, const char *path);

/* A plug-in is a shared library with this function, opened as "plugin:LIB.so:options". It need not link
 * libboltzdrift. The library sets struct_size and clears the rest of the description; the function returns 0 after
 * filling it in, or anything else with a message for the user in `message` (message_size bytes). `abi` is
 * BZD_PLUGIN_ABI_VERSION of the library: refuse what you were not written for. */
#define BZD_PLUGIN_ABI_VERSION 1
int32_t bzd_plugin_open(uint32_t abi, const char *options, bzd_potential_desc *potential, char *message,
                        size_t message_size);

/* BZD_PLUGIN_ABI_VERSION of the library. */
uint32_t bzd_plugin_abi_version(void);

/* ---- From frames to a sampler. Example: examples/c/train.c ------------------------------------------------------ */

/* A force field fitted to the forces of a trajectory (sGDML, closed form). Settings: {"frames": 300, "sigma": 10,
 * "ridge": 1e-11, "memory_gb": 4, "plain": false}, each of them optional; sigma and ridge are then chosen on frames held
 * out. With "plain" all distances have one weight, as in sGDML, whose own predictor then reads the file; the errors are larger.
 * Errors: BZD_UNSUPPORTED in the sampler-only build; BZD_INVALID for frames without forces, too few of them, or too little
 * memory; BZD_INTERRUPTED. */
bzd_status_t bzd_fit(const bzd_dataset_t *dataset, const char *settings, bzd_progress_fn progress, void *user_data,
                     bzd_potential_t **potential);

/* States equilibrated with a potential, by Monte Carlo chains that start from the frames of a trajectory and run
 * until split-R-hat and effective sample sizes say that they have forgotten them. Settings: {"temperature": 500} in
 * kelvin is needed; then "frames" (how many states), "chains", "seed", "effective", "r_hat", "ladder", "hottest",
 * "leapfrog", "time_step" (fs), "warmup", "most_evaluations", "accept_unconverged", "check_bonds", "accept_fit", and
 * "checkpoint": a file where what is done is kept until the call succeeds, so that after a failure, a stop or a kill the same call
 * goes on, with a potential of the same identity. `report` (JSON) may be NULL.
 * Errors: BZD_FAILED where the chains do not converge in most_evaluations or a fitted force field is too rough, unless the
 * settings accept that; BZD_POTENTIAL, naming the frame; BZD_INTERRUPTED. Threads: nobody else may be using the potential. */
bzd_status_t bzd_equilibrate(const bzd_dataset_t *dataset, bzd_potential_t *potential, const char *settings,
                             bzd_progress_fn progress, void *user_data, bzd_dataset_t **states, char **report);

/* A sampler trained on the frames of a trajectory, better: on equilibrated states. Settings: those of `boltzdrift
 * train --config`, for example {"temperature": 500, "steps": 10000, "seed": 1}, "device": "auto", "cpu" or "cuda:0", and
 * "feature_cache": a folder where the feature-space forces of "fi", "fk" and "fi+fk" are kept for the next training on the
 * same frames and forces; without it no file is written. Those methods take the forces of the frames: bzd_dataset_label
 * gives them those of a potential. On the CPU the batch is shared out over the library's threads where libtorch's own number of threads is
 * 1; it is left as the host has set it.
 * Errors: BZD_UNSUPPORTED in the sampler-only build and for a device that is not there; BZD_FAILED where the training
 * diverges; BZD_INTERRUPTED. */
bzd_status_t bzd_train(const bzd_dataset_t *dataset, const char *settings, bzd_progress_fn progress, void *user_data,
                       bzd_sampler_t **sampler);

/* ---- Samplers. Examples: examples/c/seed.c, examples/c/refine.c ------------------------------------------------- */

/* Loads a sampler that `boltzdrift train` or bzd_sampler_save wrote. A sampler file holds no code.
 * Errors: BZD_FAILED where the file cannot be read or is no sampler. */
bzd_status_t bzd_sampler_load(const char *path, bzd_sampler_t **sampler);

/* Writes the sampler, through a temporary file. Errors: BZD_FAILED where it cannot be written, which leaves what was
 * there. */
bzd_status_t bzd_sampler_save(const bzd_sampler_t *sampler, const char *path);

/* Frees a sampler. No other thread may be using it. */
void bzd_sampler_free(bzd_sampler_t *sampler);

/* Number of atoms n. */
bzd_status_t bzd_sampler_atoms(const bzd_sampler_t *sampler, size_t *atoms);

/* Copies out the atomic numbers (n). */
bzd_status_t bzd_sampler_species(const bzd_sampler_t *sampler, int32_t *species, size_t length);

/* Copies out the masses (n) in amu. */
bzd_status_t bzd_sampler_masses(const bzd_sampler_t *sampler, double *masses, size_t length);

/* Temperature in kelvin that the sampler was trained for. Errors: BZD_UNSUPPORTED where it records none. */
bzd_status_t bzd_sampler_temperature(const bzd_sampler_t *sampler, double *kelvin);

/* Bonds of the molecule: *count pairs (i, j) of atoms, in pairs (count, 2), length = 2 * count; NULL with length 0 asks for
 * the number alone. */
bzd_status_t bzd_sampler_bonds(const bzd_sampler_t *sampler, size_t *count, int32_t *pairs, size_t length);

/* All the sampler says of itself, as JSON: species, bonds, symmetry, settings, figures, calibration. */
bzd_status_t bzd_sampler_info(const bzd_sampler_t *sampler, char **json);

/* Positions in angstrom of samples first .. first + count of a seed, (count, n, 3), the center of mass at
 * the origin. Sample i of a seed is the same bytes whatever the range and the number of threads, so ranks
 * can draw disjoint parts of one ensemble. length = count * n * 3.
 * Errors: BZD_INVALID for a range past the last index, 2^64 - 1. */
bzd_status_t bzd_sampler_sample(const bzd_sampler_t *sampler, uint64_t seed, uint64_t first, size_t count,
                                double *positions, size_t length);

/* The same samples, refined by Monte Carlo steps that keep the Boltzmann distribution of the potential exactly;
 * samples that are no states of the molecule are drawn again, so exactly `count` come back. Settings: {"steps": 20,
 * "temperature": 500, "time_step": 1.0, "leapfrog": 20, "least_acceptance": 0.3}, each of them optional; the temperature is
 * the sampler's own. A refinement of 100 steps or more of which a smaller share is accepted is refused; 0 refuses none.
 * `energies` (count) in kcal/mol and `report` (JSON) may be NULL.
 * Errors: BZD_POTENTIAL, naming the sample; BZD_FAILED where the sampler and the potential do not belong together: draw
 * after draw is no state, or hardly a step is accepted, and for energies so large that rounding hides differences of kT;
 * BZD_INTERRUPTED. Threads: nobody else may be using the potential. */
bzd_status_t bzd_sampler_refined(const bzd_sampler_t *sampler, bzd_potential_t *potential, uint64_t seed,
                                 uint64_t first, size_t count, const char *settings, bzd_progress_fn progress,
                                 void *user_data, double *positions, size_t length, double *energies, char **report);

/* Maxwell velocities in angstrom/fs at `kelvin` for the positions of those samples, (count, n, 3), without
 * momentum and angular momentum: 3n - 6 degrees of freedom move (3n - 5 where the molecule is linear). length = count * n *
 * 3. Errors: BZD_INVALID for a temperature that is not positive, or positions that are not finite. */
bzd_status_t bzd_sampler_velocities(const bzd_sampler_t *sampler, uint64_t seed, uint64_t first,
                                    double kelvin, const double *positions, double *velocities,
                                    size_t length);

/* The same for masses (atoms) in amu of the caller's own. length = count * atoms * 3. */
bzd_status_t bzd_maxwell_velocities(size_t atoms, const double *masses, uint64_t seed, uint64_t first, double kelvin,
                                    const double *positions, double *velocities, size_t length);

/* ---- Molecules of a simulation. Example: examples/c/place.c ----------------------------------------------------- */

/* Which atom of a caller's molecule is which of the sampler's: order (n), order[i] is the caller's number of the
 * sampler's atom i. species (atoms) are atomic numbers, positions (atoms, 3) in angstrom, made whole; pairs (bonds, 2)
 * are its bonds, or NULL: found from the distances. The caller's own order is taken where it fits; else one that keeps
 * species, bonds, the handedness of centers and the sides of double bonds.
 * Errors: BZD_INVALID with both formulas, or both lists of bonds, where the molecules differ, and for another
 * stereoisomer. */
bzd_status_t bzd_sampler_match(const bzd_sampler_t *sampler, size_t atoms, const int32_t *species,
                               const double *positions, size_t bonds, const int32_t *pairs, int32_t *order,
                               size_t length);

/* How bzd_sampler_place turns a sample: as the molecule that it replaces, with the least mass-weighted squared distance
 * (proper rotations only); or uniformly at random, each sample from a stream of its own, so that ranks agree. */
#define BZD_ORIENT_KEEP 0
#define BZD_ORIENT_RANDOM 1

/* Puts samples where molecules are: each of positions (count, n, 3), which are samples first .. first + count of a seed, is
 * moved to the center of mass of its counterpart in `onto` (count, n, 3; made whole), and turned. masses (n) in amu, or NULL for the
 * sampler's. length = count * n * 3. The arrays must not overlap.
 * Errors: BZD_INVALID for an orientation that is none or a mass that is not positive; BZD_FAILED for positions that are
 * not finite. */
bzd_status_t bzd_sampler_place(const bzd_sampler_t *sampler, uint64_t seed, uint64_t first, size_t count,
                               const double *masses, const double *onto, int32_t orientation, double *positions,
                               size_t length);

#ifdef __cplusplus
}
#endif

#endif

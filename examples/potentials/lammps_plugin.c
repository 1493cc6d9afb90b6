/* LAMMPS as a potential: a plug-in that asks LAMMPS, through its C library, for the energy and forces of every frame.
 *
 *   cc -std=c99 -O2 -shared -fPIC -Iinclude examples/potentials/lammps_plugin.c -o liblmppot.so -ldl
 *   boltzdrift label run.lammpstrj -o labelled.npz --potential plugin:./liblmppot.so:input=ethanol.in
 *
 * Options, with commas between: input=FILE, the LAMMPS input that makes the molecule and its pair style (no run, no dump);
 * library=FILE, LAMMPS' shared library, liblammps.so where absent; mpi=FILE, loaded before it, where LAMMPS cannot find
 * its MPI by itself. Anything else is a variable of the input: NAME=VALUE is LAMMPS' -var NAME VALUE.
 *
 * Atom k of a frame is the atom with id k + 1. The molecule is put in the middle of the box, so that fixed or
 * shrink-wrapped walls far away (boundary f f f, s s s) do not touch it: it is meant to be alone. Charges that are
 * equilibrated (ReaxFF) start from those of the frame before, so labels depend on its neighbors within the tolerance of
 * that equilibration.
 */
#define _POSIX_C_SOURCE 200809L
#include "lammps_files.h"
#include "lammps_library.h"
#include <boltzdrift.h>
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_WORDS = 64, MESSAGE = 512 };

struct potential {
    struct lammps api;
    void *handle; /* NULL after an error of LAMMPS: the next call opens it anew */
    int argc;
    char *argv[MOST_WORDS];
    char *options; /* what argv and input point into */
    const char *input;
    size_t atoms;
    double *x;
    int *types;
    double center[3];
    char identity[64];
    char message[MESSAGE];
};

/* Standard masses in amu of hydrogen to xenon, by which LAMMPS' atoms are held against the frames'. */
static const double MASSES[] = {
    0,       1.008,   4.0026,  6.94,   9.0122, 10.81,  12.011, 14.007, 15.999, 18.998, 20.180, 22.990, 24.305, 26.982,
    28.085,  30.974,  32.06,   35.45,  39.95,  39.098, 40.078, 44.956, 47.867, 50.942, 51.996, 54.938, 55.845, 58.933,
    58.693,  63.546,  65.38,   69.723, 72.630, 74.922, 78.971, 79.904, 83.798, 85.468, 87.62,  88.906, 91.224, 92.906,
    95.95,   97,      101.07,  102.91, 106.42, 107.87, 112.41, 114.82, 118.71, 121.76, 127.60, 126.90, 131.29};

static int32_t say(struct potential *p, int32_t status, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(p->message, sizeof p->message, format, arguments);
    va_end(arguments);
    return status;
}

static void forget(struct potential *p) {
    if (p->handle != NULL) {
        p->api.close(p->handle);
        p->handle = NULL;
    }
}

/* Whether LAMMPS failed. Its message is kept, and the instance closed: it is not to be used after an error. */
static int failed(struct potential *p, const char *doing) {
    char said[MESSAGE - 64] = "";
    if (!p->api.has_error(p->handle)) {
        return 0;
    }
    p->api.get_last_error_message(p->handle, said, (int)sizeof said);
    said[strcspn(said, "\n")] = '\0';
    say(p, 1, "LAMMPS, %s: %s", doing, said);
    forget(p);
    return 1;
}

static int32_t open_lammps(struct potential *p) {
    double low[3], high[3], xy, yz, xz;
    int periodic[3], change;
    if (lammps_says_quit(p->input)) {
        return say(p, 1, "%s says quit, which would end this program: take it out", p->input);
    }
    p->handle = p->api.open_no_mpi(p->argc, p->argv, NULL);
    if (p->handle == NULL) {
        char said[MESSAGE - 64] = "";
        p->api.get_last_error_message(NULL, said, (int)sizeof said);
        return say(p, 1, "LAMMPS does not start: %s", said);
    }
    /* Positions are set by id: that needs a map, which must be asked for before there is a box. */
    p->api.command(p->handle, "atom_modify map yes");
    if (failed(p, "atom_modify map yes")) {
        return 1;
    }
    lammps_reads = 1;
    p->api.file(p->handle, p->input);
    lammps_reads = 0;
    if (failed(p, p->input)) {
        return 1;
    }
    p->atoms = (size_t)p->api.get_natoms(p->handle);
    if (p->atoms == 0 || p->api.extract_setting(p->handle, "nlocal") != (int)p->atoms) {
        forget(p);
        return say(p, 1, "%s makes no atoms: it must read or create the molecule", p->input);
    }
    free(p->x);
    free(p->types);
    p->x = malloc(3 * p->atoms * sizeof *p->x);
    p->types = malloc(p->atoms * sizeof *p->types);
    if (p->x == NULL || p->types == NULL) {
        forget(p);
        return say(p, 1, "out of memory");
    }
    p->api.gather_atoms(p->handle, "type", 0, 1, p->types);
    p->api.extract_box(p->handle, low, high, &xy, &yz, &xz, periodic, &change);
    if (failed(p, "the atoms' types and the box")) {
        return 1;
    }
    for (int c = 0; c < 3; c++) {
        p->center[c] = 0.5 * (low[c] + high[c]);
    }
    return 0;
}

/* Whether the frames' elements are those of LAMMPS' atoms. */
static int32_t same_molecule(struct potential *p, size_t atoms, const int32_t *species) {
    const double *mass = p->api.extract_atom(p->handle, "mass");
    if (atoms != p->atoms) {
        return say(p, 3, "%s has %zu atoms, and the frames have %zu", p->input, p->atoms, atoms);
    }
    for (size_t i = 0; i < atoms && mass != NULL; i++) {
        double own = mass[p->types[i]];
        if (species[i] > 0 && (size_t)species[i] < sizeof MASSES / sizeof *MASSES &&
            fabs(own - MASSES[species[i]]) > 0.02 * MASSES[species[i]] + 0.02) {
            return say(p, 3, "atom %zu has atomic number %d in the frames and a mass of %.3f in %s: order the atoms alike", i,
                       (int)species[i], own, p->input);
        }
    }
    return 0;
}

static int32_t evaluate(void *user_data, size_t n_systems, size_t n_atoms, const int32_t *species,
                        const double *positions, const double *cells, double *energies, double *forces) {
    struct potential *p = user_data;
    if (cells != NULL) {
        return say(p, 1, "the cell is that of %s; frames with cells are not for this potential", p->input);
    }
    if (p->handle == NULL && open_lammps(p) != 0) {
        return 1;
    }
    int32_t wrong = same_molecule(p, n_atoms, species);
    if (wrong != 0) {
        return wrong;
    }
    for (size_t k = 0; k < n_systems; k++) {
        const double *x = positions + 3 * n_atoms * k;
        double mean[3] = {0.0, 0.0, 0.0};
        for (size_t i = 0; i < 3 * n_atoms; i++) {
            mean[i % 3] += x[i] / (double)n_atoms;
        }
        for (size_t i = 0; i < 3 * n_atoms; i++) {
            p->x[i] = x[i] - mean[i % 3] + p->center[i % 3];
        }
        /* An error keeps what is done of the batch: the library names the first frame without energy. */
        p->api.scatter_atoms(p->handle, "x", 1, 3, p->x);
        if (failed(p, "setting positions")) {
            return 2;
        }
        p->api.command(p->handle, "run 0 post no");
        if (failed(p, "run 0")) {
            return 2;
        }
        double energy = p->api.get_thermo(p->handle, "pe");
        p->api.gather_atoms(p->handle, "f", 1, 3, forces + 3 * n_atoms * k);
        if (failed(p, "reading energy and forces")) {
            return 2;
        }
        energies[k] = energy;
    }
    return 0;
}

static const char *last_error(void *user_data) { return ((struct potential *)user_data)->message; }

static void destroy(void *user_data) {
    struct potential *p = user_data;
    /* MPI stays initialized: it cannot be started a second time in one process. */
    forget(p);
    free(p->x);
    free(p->types);
    free(p->options);
    free(p);
}

/* Takes the options apart: LAMMPS' arguments into argv; 0 where they are wrong. */
static int parse(struct potential *p, const char *options, const char **library, const char **mpi) {
    static char program[] = "boltzdrift", log[] = "-log", screen[] = "-screen", none[] = "none", var[] = "-var",
                nocite[] = "-nocite";
    char *const start[] = {program, log, none, screen, none, nocite};
    size_t size = strlen(options) + 1;
    p->options = malloc(size);
    if (p->options == NULL) {
        say(p, 1, "out of memory");
        return 0;
    }
    memcpy(p->options, options, size);
    memcpy(p->argv, start, sizeof start);
    p->argc = (int)(sizeof start / sizeof *start);
    char *rest = NULL;
    for (char *word = strtok_r(p->options, ",", &rest); word != NULL; word = strtok_r(NULL, ",", &rest)) {
        char *value = strchr(word, '=');
        if (value == NULL || value == word || value[1] == '\0') {
            say(p, 2, "'%s': give NAME=VALUE with commas between", word);
            return 0;
        }
        *value++ = '\0';
        if (strcmp(word, "input") == 0) {
            p->input = value;
        } else if (strcmp(word, "library") == 0) {
            *library = value;
        } else if (strcmp(word, "mpi") == 0) {
            *mpi = value;
        } else if (p->argc + 3 < MOST_WORDS) {
            p->argv[p->argc++] = var;
            p->argv[p->argc++] = word;
            p->argv[p->argc++] = value;
        } else {
            say(p, 2, "too many variables");
            return 0;
        }
    }
    if (p->input == NULL) {
        say(p, 2, "give input=FILE, the LAMMPS input of the molecule");
        return 0;
    }
    return 1;
}

/* The frames' units are those of the input: real or metal. */
static int units(struct potential *p, bzd_potential_desc *potential) {
    const char *style = p->api.extract_global(p->handle, "units");
    if (style != NULL && strcmp(style, "metal") == 0) {
        potential->energy_unit = "eV";
    } else if (style == NULL || strcmp(style, "real") != 0) {
        say(p, 2, "%s has units %s; give real or metal", p->input, style == NULL ? "unknown" : style);
        return 0;
    }
    return 1;
}

int32_t bzd_plugin_open(uint32_t abi, const char *options, bzd_potential_desc *potential, char *message,
                        size_t message_size) {
    const char *library = "liblammps.so", *mpi = NULL;
    if (abi != BZD_PLUGIN_ABI_VERSION) {
        snprintf(message, message_size, "written for plug-in ABI %d", BZD_PLUGIN_ABI_VERSION);
        return 1;
    }
    struct potential *p = calloc(1, sizeof *p);
    if (p == NULL) {
        snprintf(message, message_size, "out of memory");
        return 3;
    }
    if (atexit(lammps_ended) != 0 || !parse(p, options, &library, &mpi) ||
        !lammps_load(&p->api, library, mpi, p->message, sizeof p->message) || open_lammps(p) != 0 ||
        !units(p, potential)) {
        snprintf(message, message_size, "%s", p->message);
        destroy(p);
        return 2;
    }
    uint64_t digest = UINT64_C(14695981039346656037);
    lammps_mix_input(&digest, p->input, p->argc, p->argv, 0);
    snprintf(p->identity, sizeof p->identity, "LAMMPS %016" PRIx64, digest);
    potential->evaluate = evaluate;
    potential->last_error = last_error;
    potential->destroy = destroy;
    potential->user_data = p;
    potential->name = "LAMMPS";
    potential->identity = p->identity;
    potential->flags = BZD_IN_ORDER; /* one instance: one call at a time */
    return 0;
}

/* LAMMPS' library as lammps_plugin.c uses it: its functions, found when the program runs, and a guard against inputs that end
 * the program. */
#ifndef LAMMPS_LIBRARY_H
#define LAMMPS_LIBRARY_H

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What is used of LAMMPS' library.h; atom ids there are 1 .. n. */
struct lammps {
    void *(*open_no_mpi)(int argc, char **argv, void **handle);
    void (*close)(void *handle);
    void (*file)(void *handle, const char *name);
    char *(*command)(void *handle, const char *text);
    double (*get_natoms)(void *handle);
    double (*get_thermo)(void *handle, const char *keyword);
    void (*extract_box)(void *handle, double *low, double *high, double *xy, double *yz, double *xz, int *periodic,
                        int *change);
    int (*extract_setting)(void *handle, const char *name);
    void *(*extract_global)(void *handle, const char *name);
    void *(*extract_atom)(void *handle, const char *name);
    void (*gather_atoms)(void *handle, const char *name, int type, int count, void *data);
    void (*scatter_atoms)(void *handle, const char *name, int type, int count, void *data);
    int (*has_error)(void *handle);
    int (*get_last_error_message)(void *handle, char *text, int size);
    int (*has_exceptions)(void);
};

/* Finds the functions in LAMMPS' library; 0 where one is missing, with a message of at most `size` bytes. `mpi`, where it is
 * not NULL, is loaded before. */
static int lammps_load(struct lammps *api, const char *library, const char *mpi, char *message, size_t size) {
    const struct {
        const char *name;
        void *place;
    } functions[] = {
        {"lammps_open_no_mpi", &api->open_no_mpi},
        {"lammps_close", &api->close},
        {"lammps_file", &api->file},
        {"lammps_command", &api->command},
        {"lammps_get_natoms", &api->get_natoms},
        {"lammps_get_thermo", &api->get_thermo},
        {"lammps_extract_box", &api->extract_box},
        {"lammps_extract_setting", &api->extract_setting},
        {"lammps_extract_global", &api->extract_global},
        {"lammps_extract_atom", &api->extract_atom},
        {"lammps_gather_atoms", &api->gather_atoms},
        {"lammps_scatter_atoms", &api->scatter_atoms},
        {"lammps_has_error", &api->has_error},
        {"lammps_get_last_error_message", &api->get_last_error_message},
        {"lammps_config_has_exceptions", &api->has_exceptions},
    };
    /* Never unloaded: LAMMPS and MPI leave threads and handlers behind. */
    if (mpi != NULL && dlopen(mpi, RTLD_NOW | RTLD_GLOBAL | RTLD_NODELETE) == NULL) {
        snprintf(message, size, "mpi=%s cannot be loaded: %s", mpi, dlerror());
        return 0;
    }
    void *opened = dlopen(library, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    if (opened == NULL) {
        snprintf(message, size, "LAMMPS' library cannot be loaded, give library=FILE, and mpi=FILE for its MPI: %s", dlerror());
        return 0;
    }
    for (size_t k = 0; k < sizeof functions / sizeof *functions; k++) {
        void *symbol = dlsym(opened, functions[k].name);
        if (symbol == NULL) {
            snprintf(message, size, "%s has no function %s: a newer LAMMPS is needed", library, functions[k].name);
            return 0;
        }
        memcpy(functions[k].place, &symbol, sizeof symbol);
    }
    if (!api->has_exceptions()) {
        snprintf(message, size, "%s ends the program where it fails: build LAMMPS with exceptions", library);
        return 0;
    }
    return 1;
}

/* An input that says quit ends the program: refused where it is seen, and else not left to pass for a success. */
static int lammps_reads = 0;

static void lammps_ended(void) {
    if (lammps_reads) {
        static const char said[] = "LAMMPS ended the program: its input says quit\n";
        (void)!write(STDERR_FILENO, said, sizeof said - 1);
        _exit(1);
    }
}

static int lammps_says_quit(const char *name) {
    char line[4096];
    int found = 0;
    FILE *input = fopen(name, "r");
    while (input != NULL && !found && fgets(line, (int)sizeof line, input) != NULL) {
        line[strcspn(line, "#\n")] = '\0';
        char *rest = NULL;
        for (char *word = strtok_r(line, " \t\"'", &rest); word != NULL; word = strtok_r(NULL, " \t\"'", &rest)) {
            found = found || strcmp(word, "quit") == 0;
        }
    }
    if (input != NULL) {
        fclose(input);
    }
    return found;
}

#endif

/* Loads a sampler, draws and frees it, again and again; the memory must not grow: cycles MODEL COUNT. */
#include <boltzdrift.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* Resident memory in kB. */
static long resident(void) {
    long all = 0, here = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    if (file == NULL || fscanf(file, "%ld %ld", &all, &here) != 2) {
        exit(2);
    }
    fclose(file);
    return here * (sysconf(_SC_PAGESIZE) / 1024);
}

int main(int argc, char **argv) {
    static double x[1000];
    if (argc != 3) {
        return 2;
    }
    long count = strtol(argv[2], NULL, 10), start = 0;
    for (long k = 0; k < count; k++) {
        bzd_sampler_t *sampler = NULL;
        size_t atoms = 0;
        char *json = NULL;
        if (bzd_sampler_load(argv[1], &sampler) != BZD_OK || bzd_sampler_atoms(sampler, &atoms) != BZD_OK ||
            bzd_sampler_sample(sampler, 1, (uint64_t)k, 1, x, 3 * atoms) != BZD_OK ||
            bzd_sampler_info(sampler, &json) != BZD_OK) {
            fprintf(stderr, "%s\n", bzd_last_error());
            return 1;
        }
        /* Failures must not leak either. */
        if (bzd_sampler_sample(sampler, 1, 0, 1, x, 1) != BZD_INVALID) {
            return 1;
        }
        bzd_string_free(json);
        bzd_sampler_free(sampler);
        if (k == count / 10) {
            start = resident();
        }
    }
    printf("%ld kB after a tenth, %ld kB after %ld cycles\n", start, resident(), count);
    /* A few cycles say nothing: pools fill up first. */
    return count >= 1000 && resident() > start + 1024;
}

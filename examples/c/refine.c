/* Samples of a sampler of water, refined under a potential: exact Boltzmann states of it.
 *
 *   cc -std=c99 -Iinclude examples/c/refine.c -Ltarget/release -lboltzdrift -Wl,-rpath,target/release -lm -o refine
 *   ./refine water.safetensors 1000
 */
#include "example.h"

int main(int argc, char **argv) {
    TRUE(argc == 3);
    size_t count = (size_t)strtoul(argv[2], NULL, 10), atoms = 0;
    double kelvin = 0.0, mean = 0.0;
    char *text = NULL;
    bzd_sampler_t *sampler = NULL;
    bzd_potential_t *potential = water_potential();
    CALL(bzd_sampler_load(argv[1], &sampler));
    CALL(bzd_sampler_atoms(sampler, &atoms));
    CALL(bzd_sampler_temperature(sampler, &kelvin));
    CALL(bzd_sampler_info(sampler, &text));
    printf("%d atoms at %g K: %.60s ...\n", (int)atoms, kelvin, text);
    bzd_string_free(text);

    double *x = malloc(3 * atoms * count * sizeof *x), *e = malloc(count * sizeof *e);
    TRUE(x != NULL && e != NULL);
    CALL(bzd_sampler_refined(sampler, potential, 1, 0, count, "{\"steps\": 30}", NULL, NULL, x, 3 * atoms * count, e,
                             &text));
    printf("%s\n", text);
    bzd_string_free(text);
    for (size_t k = 0; k < count; k++) {
        mean += e[k] / (double)count;
    }
    /* Three vibrations with kT/2 each. */
    printf("mean energy %.3f kT\n", mean / (0.0019872 * kelvin));
    free(x);
    free(e);
    bzd_potential_free(potential);
    bzd_sampler_free(sampler);
    return 0;
}

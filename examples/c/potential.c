/* A potential of one's own, asked through the library; what its errors look like.
 *
 *   cc -std=c99 -Iinclude examples/c/potential.c -Ltarget/release -lboltzdrift -Wl,-rpath,target/release -lm -o potential
 *   ./potential [gdml:FILE or plugin:LIB.so:options]
 */
#include "example.h"

int main(int argc, char **argv) {
    double *x = distorted_water(2), e[2], f[18];
    const int32_t ammonia_like[ATOMS] = {7, 1, 1};
    char *json = NULL;
    bzd_potential_t *potential = water_potential();
    CALL(bzd_potential_evaluate(potential, 2, ATOMS, WATER, x, e, f));
    printf("energies %.4f and %.4f kcal/mol\n", e[0], e[1]);

    /* Forces are minus the gradient of the energy. */
    double high, low, unused[9], h = 1e-5, at = x[4];
    x[4] = at + h;
    CALL(bzd_potential_evaluate(potential, 1, ATOMS, WATER, x, &high, unused));
    x[4] = at - h;
    CALL(bzd_potential_evaluate(potential, 1, ATOMS, WATER, x, &low, unused));
    x[4] = at;
    TRUE(fabs(f[4] + (high - low) / (2.0 * h)) < 1e-5 * (1.0 + fabs(f[4])));

    TRUE(bzd_potential_evaluate(potential, 2, ATOMS, ammonia_like, x, e, f) == BZD_POTENTIAL);
    printf("refused with %d: %s\n", (int)bzd_last_potential_status(), bzd_last_error());
    TRUE(bzd_last_potential_status() == 7);

    CALL(bzd_potential_info(potential, &json));
    printf("%s\n", json);
    bzd_string_free(json);
    TRUE(bzd_potential_save(potential, "none.npz") == BZD_UNSUPPORTED); /* only a fitted one can be written */
    bzd_potential_free(potential);
    if (argc > 1) {
        CALL(bzd_potential_open(argv[1], &potential));
        CALL(bzd_potential_info(potential, &json));
        printf("%s\n", json);
        bzd_string_free(json);
        bzd_potential_free(potential);
    }
    free(x);
    return 0;
}

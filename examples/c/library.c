/* Versions, the log, and units.
 *
 *   cc -std=c99 -Iinclude examples/c/library.c -Ltarget/release -lboltzdrift -Wl,-rpath,target/release -lm -o library
 *   ./library
 */
#include <boltzdrift.h>
#include <math.h>
#include <stdio.h>

/* Lines of the log come here, from any thread. */
static void heard(void *user_data, int32_t level, const char *message) {
    static const char *const names[] = {"", "error", "warning", "info", "details"};
    fprintf(user_data, "%s: %s\n", names[level], message);
}

int main(void) {
    printf("boltzdrift %s, ABI %u, plug-in ABI %u, %s training\n", bzd_version(), (unsigned)bzd_abi_version(),
           (unsigned)bzd_plugin_abi_version(), bzd_can_train() ? "with" : "without");
    if (bzd_abi_version() != BZD_ABI_VERSION) {
        fprintf(stderr, "compiled for ABI %d\n", BZD_ABI_VERSION);
        return 1;
    }
    if (bzd_set_log(heard, stderr, 2) != BZD_OK) {
        fprintf(stderr, "%s\n", bzd_last_error());
        return 1;
    }
    double electronvolt = 0.0, metal[5];
    if (bzd_unit("eV", "energy", &electronvolt) != BZD_OK || bzd_lammps_units("metal", metal, 5) != BZD_OK) {
        fprintf(stderr, "%s\n", bzd_last_error());
        return 1;
    }
    printf("1 eV is %.6f kcal/mol; LAMMPS metal counts time in %g fs\n", electronvolt, metal[2]);
    if (fabs(metal[1] - electronvolt) > 1e-12 || bzd_lammps_units("lj", metal, 5) != BZD_INVALID) {
        return 1;
    }
    printf("refused: %s\n", bzd_last_error());
    return bzd_set_log(NULL, NULL, 0) == BZD_OK ? 0 : 1;
}

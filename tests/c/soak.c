/* Draws many samples of one sampler, batch after batch; the memory must not grow, and the last draw of the first batch must be
   the bytes of the first one: soak MODEL COUNT. */
#include <boltzdrift.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { BATCH = 10000 };

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

static int failed(const char *what) {
    fprintf(stderr, "%s: %s\n", what, bzd_last_error());
    return 1;
}

int main(int argc, char **argv) {
    if (argc != 3) {
        return 2;
    }
    const unsigned long long count = strtoull(argv[2], NULL, 10);
    bzd_sampler_t *sampler = NULL;
    size_t atoms = 0;
    if (bzd_sampler_load(argv[1], &sampler) != BZD_OK || bzd_sampler_atoms(sampler, &atoms) != BZD_OK) {
        return failed("load");
    }
    const size_t size = (size_t)BATCH * atoms * 3;
    double *x = malloc(size * sizeof *x), *first = malloc(size * sizeof *first);
    if (x == NULL || first == NULL) {
        return 2;
    }
    if (bzd_sampler_sample(sampler, 1, 0, BATCH, first, size) != BZD_OK) {
        return failed("first");
    }
    const time_t start = time(NULL);
    long early = 0, most = 0;
    unsigned long long done = 0, next = count / 10;
    while (done < count) {
        const size_t n = count - done < BATCH ? (size_t)(count - done) : BATCH;
        if (bzd_sampler_sample(sampler, 1, done, n, x, n * atoms * 3) != BZD_OK) {
            return failed("sample");
        }
        double sum = 0.0;
        for (size_t k = 0; k < n * atoms * 3; k++) {
            sum += x[k];
        }
        if (!isfinite(sum)) {
            return failed("a number that is not finite");
        }
        done += n;
        const long now = resident();
        most = now > most ? now : most;
        if (done >= next) {
            early = early == 0 ? now : early;
            fprintf(stderr, "%llu samples, %ld kB, %.0f s\n", done, now, difftime(time(NULL), start));
            next += count / 10;
        }
    }
    if (bzd_sampler_sample(sampler, 1, 0, BATCH, x, size) != BZD_OK) {
        return failed("again");
    }
    if (memcmp(x, first, size * sizeof *x) != 0) {
        return failed("other bytes at the end");
    }
    printf("%ld kB after a tenth, at most %ld kB in %llu samples of %zu atoms\n", early, most, done, atoms);
    bzd_sampler_free(sampler);
    free(x);
    free(first);
    return most > early + 1024;
}

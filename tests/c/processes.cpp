// What happens around a call in a process: fork after load, signals during work, another thread's error. processes MODEL
#include <boltzdrift.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <sys/time.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>
#include <vector>

namespace {

int fail(const char *what) {
    std::fprintf(stderr, "%s: %s\n", what, bzd_last_error());
    return 1;
}

// A well in which every atom is held where it is least: E = sum x^2 / 2.
std::int32_t well(void *, std::size_t systems, std::size_t atoms, const std::int32_t *, const double *x, const double *,
                  double *energies, double *forces) {
    for (std::size_t s = 0; s < systems; s++) {
        energies[s] = 0;
        for (std::size_t k = s * atoms * 3; k < (s + 1) * atoms * 3; k++) {
            energies[s] += 0.5 * x[k] * x[k];
            forces[k] = -x[k];
        }
    }
    return 0;
}

struct Drawn {
    std::vector<double> positions, velocities, forces;
    bool operator==(const Drawn &other) const {
        const auto same = [](const std::vector<double> &a, const std::vector<double> &b) {
            return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(double)) == 0;
        };
        return same(positions, other.positions) && same(velocities, other.velocities) && same(forces, other.forces);
    }
};

// Samples, velocities, and forces of a potential that may be called from many threads.
bool work(const bzd_sampler_t *sampler, Drawn &out) {
    constexpr std::size_t count = 1000;
    std::size_t atoms = 0;
    if (bzd_sampler_atoms(sampler, &atoms) != BZD_OK) return false;
    const std::size_t n = count * atoms * 3;
    out = {std::vector<double>(n), std::vector<double>(n), std::vector<double>(n)};
    std::vector<double> energies(count);
    std::vector<std::int32_t> species(atoms);
    bzd_potential_desc description{};
    description.struct_size = sizeof description;
    description.evaluate = well;
    description.flags = BZD_CONCURRENT;
    description.largest_batch = 64;
    bzd_potential_t *potential = nullptr;
    const bool good =
        bzd_sampler_sample(sampler, 7, 0, count, out.positions.data(), n) == BZD_OK &&
        bzd_sampler_velocities(sampler, 7, 0, 300, out.positions.data(), out.velocities.data(), n) == BZD_OK &&
        bzd_sampler_species(sampler, species.data(), atoms) == BZD_OK &&
        bzd_potential_from_callback(&description, &potential) == BZD_OK &&
        bzd_potential_evaluate(potential, count, atoms, species.data(), out.positions.data(), energies.data(),
                               out.forces.data()) == BZD_OK;
    bzd_potential_free(potential);
    return good;
}

// Runs `body` in a forked child; whether it came back with 0 in time.
template <typename F> bool child(F body) {
    std::fflush(nullptr);
    const pid_t pid = fork();
    if (pid == 0) {
        alarm(60); // A child that hangs is ended.
        _exit(body());
    }
    int status = 0;
    return waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

volatile std::sig_atomic_t interrupts = 0;
void count_interrupt(int) { interrupts = interrupts + 1; }

} // namespace

int main(int argc, char **argv) {
    if (argc != 2) return 2;
    // A child of a process that has not called yet is as any other.
    if (!child([&] {
            bzd_sampler_t *own = nullptr;
            Drawn drawn;
            return bzd_sampler_load(argv[1], &own) == BZD_OK && work(own, drawn) ? 0 : 1;
        })) {
        return fail("fork before the first call");
    }
    bzd_sampler_t *sampler = nullptr;
    Drawn wanted;
    if (bzd_sampler_load(argv[1], &sampler) != BZD_OK || !work(sampler, wanted)) return fail("parent");

    // A child, and its child, draw the same bytes from the parent's object and from their own, on new threads too.
    const auto same = [&] {
        Drawn drawn;
        bzd_sampler_t *own = nullptr;
        if (!work(sampler, drawn) || !(drawn == wanted)) return fail("the parent's sampler");
        if (bzd_sampler_load(argv[1], &own) != BZD_OK || !work(own, drawn) || !(drawn == wanted)) return fail("own sampler");
        bzd_sampler_free(own);
        int wrong = 0;
        std::thread other([&] {
            Drawn there;
            wrong = !work(sampler, there) || !(there == wanted);
        });
        other.join();
        return wrong;
    };
    if (!child([&] { return same() == 0 && child(same) ? 0 : 1; })) return fail("fork after load");
    if (same() != 0) return fail("parent after fork");

    // An error of another thread is not ours, and leaves the objects as they were.
    std::string theirs;
    std::thread([&] {
        bzd_sampler_t *none = nullptr;
        bzd_sampler_load("/no/such/file", &none);
        theirs = bzd_last_error();
    }).join();
    if (theirs.find("/no/such/file") == std::string::npos || std::strstr(bzd_last_error(), "/no/such/file") != nullptr) {
        return fail("another thread's error");
    }
    if (same() != 0) return fail("after another thread's error");

    // Signals come a thousand times a second, and system calls are cut off by them (no SA_RESTART).
    struct sigaction action {};
    action.sa_handler = count_interrupt;
    sigaction(SIGALRM, &action, nullptr);
    const itimerval often{{0, 1000}, {0, 1000}}, never{};
    setitimer(ITIMER_REAL, &often, nullptr);
    const std::string copy = std::string(argv[1]) + ".copy";
    int wrong = 0;
    for (int round = 0; (round < 20 || interrupts < 50) && wrong == 0; round++) {
        Drawn drawn;
        bzd_sampler_t *own = nullptr;
        wrong = bzd_sampler_save(sampler, copy.c_str()) != BZD_OK || bzd_sampler_load(copy.c_str(), &own) != BZD_OK ||
                !work(own, drawn) || !(drawn == wanted);
        bzd_sampler_free(own);
    }
    setitimer(ITIMER_REAL, &never, nullptr);
    if (wrong != 0) return fail("signals during work");
    // The handler is still the caller's.
    struct sigaction now {};
    sigaction(SIGALRM, nullptr, &now);
    if (now.sa_handler != count_interrupt) return fail("a signal handler was changed");
    bzd_sampler_free(sampler);
    std::puts("good");
    return 0;
}

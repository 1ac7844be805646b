// Dies of the first run of each event, or waits there to be killed, and writes down when. Payload: `fault NUMBER` or `kill NUMBER`.
#include "bench.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { MOMENTS_MAX = 65536 };

/// What the bench reads: one for each number.
struct moment {
    /// When the first run was about to die, or began to wait for it.
    uint64_t begun_nanos;
    /// When a run began that was not the first.
    uint64_t again_nanos;
};

static int32_t start(const capelet_host *host, void **state, capelet_result *result) {
    char path[4096];
    snprintf(path, sizeof path, "%.*s/moments", (int)host->state_directory.size, (const char *)host->state_directory.data);
    int file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    size_t size = MOMENTS_MAX * sizeof(struct moment);
    void *map = MAP_FAILED;
    if (file >= 0 && ftruncate(file, (off_t)size) == 0) map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (map == MAP_FAILED) {
        snprintf(result->message, sizeof result->message, "cannot map %.400s: %m", path);
        return -1;
    }
    close(file);
    *state = map;
    return 0;
}

static int32_t handle(void *state, const capelet_event *event, capelet_result *result) {
    (void)result;
    char word[16];
    uint64_t number;
    if (!bench_order(event, word, &number) || number >= MOMENTS_MAX) return CAPELET_FATAL;
    struct moment *moment = (struct moment *)state + number;
    if (__atomic_load_n(&moment->begun_nanos, __ATOMIC_ACQUIRE)) {
        __atomic_store_n(&moment->again_nanos, now_nanos(), __ATOMIC_RELEASE);
        return CAPELET_SUCCESS;
    }
    __atomic_store_n(&moment->begun_nanos, now_nanos(), __ATOMIC_RELEASE);
    if (!strcmp(word, "fault")) __builtin_trap();
    for (;;) pause();
}

const capelet_lambda mortal_lambda = {
    .struct_size = sizeof(capelet_lambda), .name = "mortal", .summary = "dies of each event once", .start = start, .handle = handle};

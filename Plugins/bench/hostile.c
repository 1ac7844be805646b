// Does what it can to disturb its neighbours, until a time. Payload: `BEHAVIOUR UNTIL`, in nanoseconds of CLOCK_MONOTONIC.
#include "bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static const capelet_host *host;

static int32_t start(const capelet_host *the_host, void **state, capelet_result *result) {
    (void)state, (void)result;
    host = the_host;
    return 0;
}

/// An endless loop.
static void spin(uint64_t until) {
    while (now_nanos() < until) {
        for (volatile int turn = 0; turn < 10000; turn++) {}
    }
}

/// All memory there is, touched, again and again.
static void memory(uint64_t until) {
    enum { PIECE = 4 << 20, PIECES = 65536 };
    static void *pieces[PIECES];
    while (now_nanos() < until) {
        int count = 0;
        while (count < PIECES && now_nanos() < until && (pieces[count] = malloc(PIECE))) memset(pieces[count++], 1, PIECE);
        while (count > 0) free(pieces[--count]);
    }
}

/// Processes that make processes. Where nothing stops them there are few, since the machine is needed afterwards.
static void bomb(uint64_t until, int depth) {
    enum { CHILDREN = 4, DEPTH = 3 };
    int children = 0;
    while (now_nanos() < until) {
        if (depth < DEPTH && children < CHILDREN) {
            pid_t child = fork();
            if (child == 0) {
                bomb(until, depth + 1);
                _exit(0);
            }
            if (child > 0) children++;
        }
        // Refused: asking again is all that is left.
    }
}

/// More output than anybody can read.
static void output(uint64_t until) {
    static char lines[65536];
    for (size_t i = 0; i < sizeof lines; i++) lines[i] = i % 64 == 63 ? '\n' : 'x';
    while (now_nanos() < until) {
        if (write(1, lines, sizeof lines) < 0 && write(2, lines, sizeof lines) < 0) return;
    }
}

/// The memory that the host reads the worker's answers from; NULL: it cannot be found. It begins with the word that says which events
/// the worker has taken, which both sides move by compare-and-swap.
static uint64_t *find_outbox(void) {
    FILE *maps = fopen("/proc/self/maps", "r");
    if (!maps) return NULL;
    char line[512];
    void *found = NULL;
    while (!found && fgets(line, sizeof line, maps)) {
        unsigned long long begin;
        if (strstr(line, "capelet-outbox") && sscanf(line, "%llx", &begin) == 1) found = (void *)(uintptr_t)begin;
    }
    fclose(maps);
    return found;
}

/// The eventfd that wakes the host: of the descriptors without a type only that takes eight bytes.
static int find_bell(void) {
    for (int i = 3; i < 64; i++) {
        struct stat status;
        uint64_t one = 1;
        if (fstat(i, &status) == 0 && (status.st_mode & S_IFMT) == 0 && write(i, &one, sizeof one) == sizeof one) return i;
    }
    return -1;
}

/// Everything that the host has to listen to: log lines, heartbeats, emits, its bell, and the word that it swaps.
static void channel(const capelet_event *event, uint64_t until) {
    uint64_t *claim = find_outbox();
    int bell = find_bell();
    capelet_emit emit = {
        .struct_size = sizeof emit, .domain = {"sink", 4}, .subject = {"flood", 5}, .payload = {"{}", 2}};
    // A run may emit 1,000 events; more fail it.
    for (int turn = 0; now_nanos() < until; turn++) {
        if (turn < 1000) host->emit(host, event->token, &emit);
        host->log(host, event->token, CAPELET_LOG_INFO, "flood", 5);
        host->extend(host, event->token, 1000);
        uint64_t one = 1;
        if (bell >= 0 && turn % 16 == 0 && write(bell, &one, sizeof one) < 0) bell = -1;
        for (int swap = 0; claim && swap < 1000; swap++) {
            uint64_t word = __atomic_load_n(claim, __ATOMIC_ACQUIRE);
            __atomic_compare_exchange_n(claim, &word, word, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
        }
    }
}

static int32_t handle(void *state, const capelet_event *event, capelet_result *result) {
    (void)state;
    char word[16];
    uint64_t until;
    if (!bench_order(event, word, &until)) return CAPELET_FATAL;
    if (!strcmp(word, "spin")) spin(until);
    else if (!strcmp(word, "memory")) memory(until);
    else if (!strcmp(word, "fork")) bomb(until, 0);
    else if (!strcmp(word, "output")) output(until);
    else if (!strcmp(word, "channel")) {
        // Many short events: each may emit again.
        uint64_t slice = now_nanos() + 50000000;
        channel(event, slice < until ? slice : until);
    } else if (strcmp(word, "idle")) {
        snprintf(result->message, sizeof result->message, "there is no behaviour %s", word);
        return CAPELET_FATAL;
    }
    return CAPELET_SUCCESS;
}

const capelet_lambda hostile_lambda = {
    .struct_size = sizeof(capelet_lambda), .name = "hostile", .summary = "disturbs its neighbours: for measurements only", .start = start,
    .handle = handle};

// The neighbour: computes for a fixed amount of work, so that losing the processor shows.
#include "bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct steady {
    uint64_t turns;
};

static void work(uint64_t turns) {
    for (volatile uint64_t turn = 0; turn < turns; turn++) {}
}

static int32_t start(const capelet_host *host, void **state, capelet_result *result) {
    uint64_t micros = 500;
    capelet_bytes value;
    char text[24];
    if (host->config(host, "micros", &value) == 0 && value.size < sizeof text) {
        memcpy(text, value.data, value.size);
        text[value.size] = 0;
        micros = strtoull(text, NULL, 10);
    }
    // The quickest of some tries: in the others something else ran.
    enum { TURNS = 1000000, TRIES = 10 };
    uint64_t best = UINT64_MAX;
    for (int i = 0; i < TRIES; i++) {
        uint64_t begin = now_nanos();
        work(TURNS);
        uint64_t took = now_nanos() - begin;
        if (took < best) best = took;
    }
    struct steady *steady = malloc(sizeof *steady);
    if (!steady || best == 0) {
        snprintf(result->message, sizeof result->message, "no memory or no clock");
        return -1;
    }
    steady->turns = micros * 1000 * TURNS / best;
    *state = steady;
    return 0;
}

static int32_t handle(void *state, const capelet_event *event, capelet_result *result) {
    (void)event, (void)result;
    work(((struct steady *)state)->turns);
    return CAPELET_SUCCESS;
}

const capelet_lambda steady_lambda = {
    .struct_size = sizeof(capelet_lambda), .name = "steady", .summary = "computes for a while", .start = start, .handle = handle};

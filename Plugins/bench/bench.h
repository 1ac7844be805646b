// Lambdas for `capelet bench`: what its scenarios crash, load and disturb the machine with.
#pragma once

#include "capelet.h"

#include <stdbool.h>
#include <time.h>

extern const capelet_lambda steady_lambda, mortal_lambda, hostile_lambda;

/// CLOCK_MONOTONIC, nanoseconds: the same in all processes of a machine.
static inline uint64_t now_nanos(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/// A word, and a number behind it: `WORD NUMBER`. False: it is something else.
bool bench_order(const capelet_event *event, char word[16], uint64_t *number);

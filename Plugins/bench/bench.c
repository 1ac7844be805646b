#include "bench.h"

#include <stdio.h>
#include <string.h>

bool bench_order(const capelet_event *event, char word[16], uint64_t *number) {
    char text[64];
    if (event->payload.size >= sizeof text) return false;
    memcpy(text, event->payload.data, event->payload.size);
    text[event->payload.size] = 0;
    unsigned long long value;
    if (sscanf(text, "%15s %llu", word, &value) != 2) return false;
    *number = value;
    return true;
}

static const capelet_lambda *const lambdas[] = {&steady_lambda, &mortal_lambda, &hostile_lambda};
static const capelet_plugin plugin = {
    .struct_size = sizeof(capelet_plugin), .abi_version = CAPELET_ABI_VERSION, .version = "0.1.0", .lambda_count = 3, .lambdas = lambdas};

CAPELET_EXPORT const capelet_plugin *capelet_plugin_v1(void) { return &plugin; }

// The lambda that has to notice nothing: notes its runs, and how long each event took from its acceptance to its run.
#include "villain.h"

#include <time.h>

static int32_t neighbour(void *state, const capelet_event *event, capelet_result *result) {
    (void)state, (void)result;
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    villain_record('B', event);
    char line[64];
    long long micros = (long long)now.tv_sec * 1000000 + now.tv_nsec / 1000 - event->time_micros;
    villain_note("latencies", line, (size_t)snprintf(line, sizeof line, "%lld\n", micros));
    villain_record('E', event);
    return CAPELET_SUCCESS;
}

static const capelet_lambda lambda = {
    .struct_size = sizeof lambda, .name = "neighbour", .start = fixture_start, .handle = neighbour};
static const capelet_lambda *const all[] = {&lambda};
static const capelet_plugin plugin = {
    .struct_size = sizeof plugin, .abi_version = CAPELET_ABI_VERSION, .version = "1", .lambda_count = 1, .lambdas = all};

const capelet_plugin *capelet_plugin_v1(void) { return &plugin; }

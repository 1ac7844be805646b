// The plugin's table: Go can export functions, but no structures that C can point to.
#include "_cgo_export.h"
#include "capelet.h"

static int32_t start(const capelet_host *host, void **state, capelet_result *result) {
    (void)state, (void)result;
    villainStart((void *)host->state_directory.data, host->state_directory.size);
    return 0;
}

static int32_t handle(void *state, const capelet_event *event, capelet_result *result) {
    (void)state, (void)result;
    return villainHandle((capelet_event *)event);
}

static const capelet_lambda lambda = {.struct_size = sizeof lambda, .name = "villain", .start = start, .handle = handle};
static const capelet_lambda *const all[] = {&lambda};
static const capelet_plugin plugin = {
    .struct_size = sizeof plugin, .abi_version = CAPELET_ABI_VERSION, .version = "1", .lambda_count = 1, .lambdas = all};

const capelet_plugin *capelet_plugin_v1(void) { return &plugin; }

// The lambda that does nothing: what `capelet bench` runs, so that only Capelet is measured.
#include "capelet.h"

static int32_t handle(void *state, const capelet_event *event, capelet_result *result) {
    (void)state;
    (void)event;
    (void)result;
    return CAPELET_SUCCESS;
}

static const capelet_lambda noop = {
    .struct_size = sizeof(capelet_lambda), .name = "noop", .summary = "does nothing, successfully", .handle = handle};
static const capelet_lambda *const lambdas[] = {&noop};
static const capelet_plugin plugin = {
    .struct_size = sizeof(capelet_plugin), .abi_version = CAPELET_ABI_VERSION, .version = "0.1.0", .lambda_count = 1, .lambdas = lambdas};

CAPELET_EXPORT const capelet_plugin *capelet_plugin_v1(void) { return &plugin; }

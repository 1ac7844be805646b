/* echo: puts out the payload. emit-copy: emits the event again, to the domain `to:` (default `copies`). */
#include "capelet.h"

static int32_t start(const capelet_host *host, void **state, capelet_result *result) {
    (void)result;
    *state = (void *)host;
    return 0;
}

static int32_t echo(void *state, const capelet_event *event, capelet_result *result) {
    const capelet_host *host = state;
    (void)result;
    return host->output(host, event->token, event->payload.data, event->payload.size) == 0 ? CAPELET_SUCCESS : CAPELET_FATAL;
}

static int32_t emit_copy(void *state, const capelet_event *event, capelet_result *result) {
    const capelet_host *host = state;
    (void)result;
    capelet_emit copy = {
        .struct_size = sizeof copy, .domain = {"copies", 6}, .subject = event->subject, .type = event->type, .payload = event->payload};
    host->config(host, "to", &copy.domain);
    return host->emit(host, event->token, &copy) == 0 ? CAPELET_SUCCESS : CAPELET_FATAL;
}

static const capelet_lambda echo_lambda = {.struct_size = sizeof(capelet_lambda), .name = "echo", .start = start, .handle = echo};
static const capelet_lambda emit_lambda = {.struct_size = sizeof(capelet_lambda), .name = "emit-copy", .start = start, .handle = emit_copy};
static const capelet_lambda *const lambdas[] = {&echo_lambda, &emit_lambda};
static const capelet_plugin plugin = {sizeof(capelet_plugin), CAPELET_ABI_VERSION, "1.0", 2, lambdas};

CAPELET_EXPORT const capelet_plugin *capelet_plugin_v1(void) {
    return &plugin;
}

/* __name__: a lambda that greets the subject of every event. capelet.h says what each part means. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "capelet.h"

/* What one worker keeps. There is one in each worker process, used by one thread. */
typedef struct {
    const capelet_host *host;
    capelet_bytes greeting;
    uint64_t count;
} __Name__State;

static void set_message(capelet_result *result, const char *message) {
    snprintf(result->message, sizeof result->message, "%s", message);
}

/* Called once in each worker, before the first event. Read the configuration, open files and connections here. */
static int32_t start(const capelet_host *host, void **state, capelet_result *result) {
    __Name__State *self = calloc(1, sizeof *self);
    if (self == NULL) {
        set_message(result, "out of memory");
        return 1;
    }
    self->host = host;
    if (host->config(host, "greeting", &self->greeting) != 0) {
        self->greeting = (capelet_bytes){"Hello", 5};
    }
    *state = self;
    return 0;
}

/* Called once when the worker ends in good order. */
static void stop(void *state) {
    free(state);
}

/* Called for every event. The same event can come more than once: after a crash, a timeout or a retry. */
static int32_t handle(void *state, const capelet_event *event, capelet_result *result) {
    __Name__State *self = state;
    self->count += 1;

    if (event->payload.size == 0) {
        set_message(result, "the payload is empty");
        return CAPELET_FATAL; /* CAPELET_RETRY: try again later */
    }

    char line[512];
    int size = snprintf(line, sizeof line, "event %" PRIu64 ": %.*s of %.*s, attempt %" PRIu32, self->count, (int)event->type.size,
                        (const char *)event->type.data, (int)event->subject.size, (const char *)event->subject.data, event->attempt);
    if (size >= (int)sizeof line) size = (int)sizeof line - 1;
    self->host->log(self->host, event->token, CAPELET_LOG_INFO, line, (size_t)size);

    /* What the lambdas that come `after:` this one get. Kept only if this run succeeds. */
    char output[1600];
    size = snprintf(output, sizeof output, "%.*s, %.*s!", (int)self->greeting.size, (const char *)self->greeting.data,
                    (int)event->subject.size, (const char *)event->subject.data);
    if (size >= (int)sizeof output) size = (int)sizeof output - 1;
    if (self->host->output(self->host, event->token, output, (size_t)size) != 0) {
        set_message(result, "the host did not take the output");
        return CAPELET_RETRY;
    }
    return CAPELET_SUCCESS;
}

static const capelet_lambda __Name___lambda = {
    .struct_size = sizeof(capelet_lambda),
    .name = "__name__",
    .summary = "Greets the subject of every event",
    .start = start,
    .stop = stop,
    .handle = handle,
};

static const capelet_lambda *const lambdas[] = {&__Name___lambda};

static const capelet_plugin plugin = {
    .struct_size = sizeof(capelet_plugin),
    .abi_version = CAPELET_ABI_VERSION,
    .version = "0.1.0",
    .lambda_count = sizeof lambdas / sizeof lambdas[0],
    .lambdas = lambdas,
};

/* The one function that a plugin exports. */
CAPELET_EXPORT const capelet_plugin *capelet_plugin_v1(void) {
    return &plugin;
}

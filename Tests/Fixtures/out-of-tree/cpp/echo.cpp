// echo: puts out the payload. emit-copy: emits the event again, to the domain `to:` (default `copies`). With exceptions and the
// standard library.
#include <cstdio>
#include <new>
#include <stdexcept>
#include <string>

#include "capelet.h"

namespace {

std::string text(capelet_bytes bytes) {
    return std::string(static_cast<const char *>(bytes.data), bytes.size);
}

struct Worker {
    const capelet_host *host;
    std::string domain = "copies";

    explicit Worker(const capelet_host *host) : host(host) {
        capelet_bytes to;
        if (host->config(host, "to", &to) == 0) domain = text(to);
    }

    void echo(const capelet_event &event) {
        if (host->output(host, event.token, event.payload.data, event.payload.size) != 0) throw std::runtime_error("output was refused");
    }

    void emit_copy(const capelet_event &event) {
        capelet_emit copy{};
        copy.struct_size = sizeof copy;
        copy.domain = {domain.data(), domain.size()};
        copy.subject = event.subject;
        copy.type = event.type;
        copy.payload = event.payload;
        if (host->emit(host, event.token, &copy) != 0) throw std::runtime_error("emit was refused");
    }
};

int32_t start(const capelet_host *host, void **state, capelet_result *) {
    *state = new (std::nothrow) Worker(host);
    return *state == nullptr;
}

void stop(void *state) {
    delete static_cast<Worker *>(state);
}

template <void (Worker::*method)(const capelet_event &)>
int32_t handle(void *state, const capelet_event *event, capelet_result *result) {
    try {
        (static_cast<Worker *>(state)->*method)(*event);
        return CAPELET_SUCCESS;
    } catch (const std::exception &error) {
        std::snprintf(result->message, sizeof result->message, "%s", error.what());
        return CAPELET_FATAL;
    }
}

capelet_lambda lambda(const char *name, int32_t (*handle)(void *, const capelet_event *, capelet_result *)) {
    capelet_lambda lambda{};
    lambda.struct_size = sizeof lambda;
    lambda.name = name;
    lambda.start = start;
    lambda.stop = stop;
    lambda.handle = handle;
    return lambda;
}

const capelet_lambda echo_lambda = lambda("echo", handle<&Worker::echo>);
const capelet_lambda emit_lambda = lambda("emit-copy", handle<&Worker::emit_copy>);
const capelet_lambda *const lambdas[] = {&echo_lambda, &emit_lambda};
const capelet_plugin plugin = {sizeof(capelet_plugin), CAPELET_ABI_VERSION, "1.0", 2, lambdas};

}  // namespace

CAPELET_EXPORT const capelet_plugin *capelet_plugin_v1(void) {
    return &plugin;
}

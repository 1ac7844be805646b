// What the C fixtures share: reading payloads, which are words, and answering with outputs.
#pragma once

#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif

#include "capelet.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/// The lambda's host, for lambdas whose state is nothing else.
static const capelet_host *fixture_host;

static inline int32_t fixture_start(const capelet_host *host, void **state, capelet_result *result) {
    (void)state, (void)result;
    fixture_host = host;
    return 0;
}

/// The payload as a C string, cut to the buffer.
static inline const char *fixture_payload(const capelet_event *event, char *buffer, size_t size) {
    size_t count = event->payload.size < size - 1 ? event->payload.size : size - 1;
    memcpy(buffer, event->payload.data, count);
    buffer[count] = 0;
    return buffer;
}

__attribute__((format(printf, 2, 3))) static inline void fixture_answer(const capelet_event *event, const char *format, ...) {
    char text[8192];
    va_list arguments;
    va_start(arguments, format);
    int size = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (size > (int)sizeof text - 1) size = (int)sizeof text - 1;
    fixture_host->output(fixture_host, event->token, text, (size_t)size);
}

__attribute__((format(printf, 2, 3))) static inline void fixture_log(uint64_t token, const char *format, ...) {
    char text[1024];
    va_list arguments;
    va_start(arguments, format);
    int size = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    fixture_host->log(fixture_host, token, CAPELET_LOG_INFO, text, (size_t)size);
}

// A plugin that does what each event tells it to, for the tests of the supervisor. Compiled several times: SUP_LOAD says what loading does.
#define _GNU_SOURCE 1
#include "capelet.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef SUP_LOAD
#define SUP_LOAD "well"
#endif
#ifndef SUP_VERSION
#define SUP_VERSION "1"
#endif

#define IS(text, word) (strncmp(text, word, strlen(word)) == 0)

static const capelet_host *host;

static void *wait_for_ever(void *argument) {
    for (;;) pause();
    return argument;
}

__attribute__((constructor)) static void at_load(void) {
    if (IS(SUP_LOAD, "abort")) {
        fprintf(stderr, "the constructor gives up\n");
        abort();
    }
    if (IS(SUP_LOAD, "hang")) for (;;) pause();
    if (IS(SUP_LOAD, "thread")) {
        pthread_t thread;
        pthread_create(&thread, NULL, wait_for_ever, NULL);
    }
}

/// `mode` in the configuration says how starting goes; `unless` names a file in the state folder in whose presence it goes well.
static int32_t start(const capelet_host *table, void **state, capelet_result *result) {
    (void)state;
    host = table;
    capelet_bytes mode = {0}, unless = {0};
    host->config(host, "start.unless", &unless);
    if (unless.size > 0) {
        char path[4096];
        snprintf(path, sizeof path, "%.*s/%.*s", (int)host->state_directory.size, (const char *)host->state_directory.data,
                 (int)unless.size, (const char *)unless.data);
        if (access(path, F_OK) == 0) return 0;
    }
    if (host->config(host, "start.mode", &mode) != 0) return 0;
    if (IS((const char *)mode.data, "fail")) {
        snprintf(result->message, sizeof result->message, "no database today");
        return 7;
    }
    if (IS((const char *)mode.data, "abort")) {
        fprintf(stderr, "start gives up\n");
        abort();
    }
    if (IS((const char *)mode.data, "hang")) for (;;) pause();
    return 0;
}

static int32_t work(void *state, const capelet_event *event, capelet_result *result) {
    (void)state, (void)result;
    char word[256];
    size_t size = event->payload.size < sizeof word - 1 ? event->payload.size : sizeof word - 1;
    memcpy(word, event->payload.data, size);
    word[size] = 0;
    if (IS(word, "version")) host->output(host, event->token, SUP_VERSION, strlen(SUP_VERSION));
    if (IS(word, "size")) {
        char text[32];
        host->output(host, event->token, text, (size_t)snprintf(text, sizeof text, "%zu", event->payload.size));
    }
    if (IS(word, "environment")) {
        const char *value = getenv(word + strlen("environment "));
        if (value != NULL) host->output(host, event->token, value, strlen(value));
    }
    if (IS(word, "config")) {
        capelet_bytes value = {0};
        if (host->config(host, word + strlen("config "), &value) == 0) host->output(host, event->token, value.data, value.size);
    }
    if (IS(word, "retry")) return CAPELET_RETRY;
    if (IS(word, "exit")) exit(atoi(word + 4));
    if (IS(word, "null")) *(volatile int *)16 = 1;
    if (IS(word, "abort")) {
        fprintf(stderr, "the invariant does not hold\n");
        abort();
    }
    if (IS(word, "sleep")) for (;;) pause();
    if (IS(word, "stop")) raise(SIGSTOP);
    if (IS(word, "spin")) for (;;) {}
    if (IS(word, "print")) {
        printf("%s\n", word + 6);
        fflush(stdout);
        fprintf(stderr, "error %s\n", word + 6);
    }
    if (IS(word, "flood")) {
        char line[1024];
        memset(line, 'x', sizeof line);
        line[sizeof line - 1] = '\n';
        for (int i = 0; i < 8192; i++) if (write(1, line, sizeof line) < 0) return CAPELET_FATAL;
    }
    if (IS(word, "close")) for (int i = 3; i < 64; i++) close(i);
    if (IS(word, "file")) {
        char path[4096];
        snprintf(path, sizeof path, "%.*s/large", (int)host->state_directory.size, (const char *)host->state_directory.data);
        FILE *file = fopen(path, "w");
        for (int i = 0; file != NULL && i < 1 << 20; i++) fputs("0123456789abcdef", file), fflush(file);
    }
    if (IS(word, "orphan")) {
        if (fork() == 0) {
            setsid();
            signal(SIGTERM, SIG_IGN);
            for (;;) pause();
        }
        abort();
    }
    return CAPELET_SUCCESS;
}

static const capelet_lambda lambda_work = {
    .struct_size = sizeof(capelet_lambda), .name = "sup-work", .summary = "Does as it is told.", .start = start, .handle = work};
static const capelet_lambda *const lambdas[] = {&lambda_work};
static const capelet_plugin plugin = {.struct_size = sizeof(capelet_plugin),
                                      .abi_version = CAPELET_ABI_VERSION,
                                      .version = SUP_VERSION,
                                      .lambda_count = 1,
                                      .lambdas = lambdas};
const capelet_plugin *capelet_plugin_v1(void) { return &plugin; }

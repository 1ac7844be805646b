// Plugins with something wrong, one for each value of ODD; compiled once for each.
#define _GNU_SOURCE 1
#include "capelet.h"
#include "keeper_messages.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static int32_t nothing(void *state, const capelet_event *event, capelet_result *result) {
    (void)state, (void)event, (void)result;
    return CAPELET_SUCCESS;
}

static capelet_lambda one = {.struct_size = sizeof(capelet_lambda), .name = "one", .handle = nothing};
static capelet_lambda two = {.struct_size = sizeof(capelet_lambda), .name = "two", .handle = nothing};
static const capelet_lambda *lambdas[] = {&one, &two};
static capelet_plugin plugin = {
    .struct_size = sizeof(capelet_plugin), .abi_version = CAPELET_ABI_VERSION, .lambda_count = 2, .lambdas = lambdas};

#define IS(name) (strcmp(ODD, name) == 0)

static void *wait_for_ever(void *argument) {
    for (;;) pause();
    return argument;
}

/// Talks to the keeper in the template's place, and names a process that is not its to name: first the keeper itself.
static void pretend(void) {
    struct capelet_keeper_message message = {.type = CAPELET_KEEPER_LOADED, .value = 1};
    send(3, &message, sizeof message, 0);
    while (recv(3, &message, sizeof message, 0) > 0) {
        message.type = CAPELET_KEEPER_STARTED;
        message.value = (uint64_t)getppid();
        send(3, &message, sizeof message, 0);
    }
    for (;;) pause();
}

__attribute__((constructor)) static void at_load(void) {
    if (IS("constructor-crashes")) {
        fprintf(stderr, "cannot find the thing\n");
        abort();
    }
    if (IS("constructor-exits")) exit(3);
    if (IS("constructor-hangs")) for (;;) pause();
    if (IS("impostor")) pretend();
    if (IS("thread-at-load")) {
        pthread_t thread;
        pthread_create(&thread, NULL, wait_for_ever, NULL);
    }
    if (IS("newer")) plugin.abi_version = CAPELET_ABI_VERSION + 1;
    if (IS("duplicate")) two.name = "one";
    if (IS("no-handle")) two.handle = NULL;
    if (IS("bad-name")) two.name = "two words";
    if (IS("short-lambda")) two.struct_size = 16;
    if (IS("short-plugin")) plugin.struct_size = 12;
    if (IS("null-lambda")) lambdas[1] = NULL;
    if (IS("empty")) plugin.lambda_count = 0;
    // As an old plugin would be: nothing after `handle`. What lies there in memory is not its.
    if (IS("old")) {
        two.struct_size = offsetof(capelet_lambda, handle_batch);
        two.handle_batch = (void (*)(void *, const capelet_event *const *, size_t, int32_t *, capelet_result *const *))(uintptr_t)1;
        two.cancel = (void (*)(void *, uint64_t))(uintptr_t)1;
        two.batch_max = 70000;
    }
}

#ifndef NO_ENTRY
const capelet_plugin *capelet_plugin_v1(void) { return IS("null-plugin") ? NULL : &plugin; }
#endif

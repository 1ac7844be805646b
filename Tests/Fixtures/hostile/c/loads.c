// Plugins that go wrong while they are loaded (rows 32 to 36, 46 and 57 of the fault matrix). -DLOADS="..." says how.
#include "villain.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>

static bool is(const char *word) { return !strcmp(LOADS, word); }

#ifdef THREAD_STORAGE
// More static thread-local storage than any loader keeps free.
__attribute__((tls_model("initial-exec"), used)) __thread char storage[256 << 10];
#endif

#ifdef MISSING_SYMBOL
void a_function_that_nobody_has(void);
void *const needs_it = (void *)a_function_that_nobody_has;
#endif

static void *idle(void *argument) {
    for (;;) pause();
    return argument;
}

/// Makes a function return 0 and do nothing, from now on and for everybody in this process.
static void disable(void *function) {
#if defined(__x86_64__)
    static const unsigned char nothing[] = {0x31, 0xc0, 0xc3};
#elif defined(__aarch64__)
    static const unsigned char nothing[] = {0x00, 0x00, 0x80, 0x52, 0xc0, 0x03, 0x5f, 0xd6};
#else
#error "tell this file how to return 0"
#endif
    uintptr_t page = (uintptr_t)function & ~(uintptr_t)4095;
    if (mprotect((void *)page, 8192, PROT_READ | PROT_WRITE | PROT_EXEC) != 0) return;
    memcpy(function, nothing, sizeof nothing);
    mprotect((void *)page, 8192, PROT_READ | PROT_EXEC);
    __builtin___clear_cache((char *)page, (char *)page + 8192);
}

__attribute__((constructor)) static void construct(void) {
#ifdef THREAD_STORAGE
    storage[0] = 1;
#endif
    if (is("crash")) {
        fprintf(stderr, "no load today\n");
        abort();
    }
    if (is("hang"))
        for (;;) pause();
    if (is("thread")) {
        pthread_t thread;
        pthread_create(&thread, NULL, idle, NULL);
    }
    if (is("patch-all")) disable((void *)syscall);
    if (is("patch") || is("patch-all")) {
        disable((void *)prctl);
        disable((void *)setrlimit);
        disable((void *)prlimit);
        disable((void *)setpgid);
    }
}

static void *touch(void *argument) {
    *(volatile int *)argument = 1;
    return NULL;
}

static int32_t handle(void *state, const capelet_event *event, capelet_result *result) {
    (void)state, (void)result;
    char buffer[256];
    const char *word = villain_word(event, buffer, sizeof buffer);
    villain_record('B', event);
    if (!strcmp(word, "abort")) abort();
    if (!strcmp(word, "sleep")) idle(NULL);
    if (!strcmp(word, "thread")) {
        // A real event: memory, a thread and what it gives back.
        int *value = malloc(sizeof *value);
        pthread_t thread;
        if (pthread_create(&thread, NULL, touch, value) != 0) abort();
        pthread_join(thread, NULL);
        free(value);
    }
    villain_record('E', event);
    return CAPELET_SUCCESS;
}

static const capelet_lambda lambda = {.struct_size = sizeof lambda, .name = "villain", .start = fixture_start, .handle = handle};
static const capelet_lambda *const all[] = {&lambda};
static const capelet_plugin plugin = {
    .struct_size = sizeof plugin, .abi_version = CAPELET_ABI_VERSION, .version = "1", .lambda_count = 1, .lambdas = all};

const capelet_plugin *capelet_plugin_v1(void) {
    // Asked for its table, not loaded: the host is to survive that as well.
    if (is("table")) *(volatile int *)NULL = 1;
    return &plugin;
}

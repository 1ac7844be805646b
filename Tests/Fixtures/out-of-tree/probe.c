/*
 * probe PLUGIN.so: loads a plugin, then for each of its lambdas forks, as Capelet does, starts it and sends it one event. Of `echo` and
 * `emit-copy` it knows what has to come out. Exits 0 if all went as it should.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "capelet.h"

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static int completed = -1;
static char output[256], emitted[256];

static void fail(const char *what, const char *why) {
    fprintf(stderr, "probe: %s: %s\n", what, why);
    exit(1);
}

static capelet_bytes bytes(const char *text) {
    return (capelet_bytes){text, strlen(text)};
}

static int32_t host_config(const capelet_host *host, const char *key, capelet_bytes *value) {
    (void)host;
    if (strcmp(key, "to") != 0) return CAPELET_ENOENT;
    *value = bytes("elsewhere");
    return 0;
}

static void host_log(const capelet_host *host, uint64_t token, int32_t level, const char *text, size_t size) {
    (void)host, (void)token, (void)level;
    printf("  log: %.*s\n", (int)size, text);
}

static int32_t host_output(const capelet_host *host, uint64_t token, const void *data, size_t size) {
    (void)host, (void)token;
    snprintf(output, sizeof output, "%.*s", (int)size, (const char *)data);
    return 0;
}

static int32_t host_emit(const capelet_host *host, uint64_t token, const capelet_emit *emit) {
    (void)host, (void)token;
    snprintf(emitted, sizeof emitted, "%.*s/%.*s: %.*s", (int)emit->domain.size, (const char *)emit->domain.data, (int)emit->subject.size,
             (const char *)emit->subject.data, (int)emit->payload.size, (const char *)emit->payload.data);
    return 0;
}

static int32_t host_extend(const capelet_host *host, uint64_t token, uint64_t millis) {
    (void)host, (void)token, (void)millis;
    return 0;
}

static int32_t host_complete(const capelet_host *host, uint64_t token, int32_t status, const capelet_result *result) {
    (void)host, (void)token, (void)result;
    pthread_mutex_lock(&mutex);
    completed = status;
    pthread_cond_signal(&changed);
    pthread_mutex_unlock(&mutex);
    return 0;
}

static int32_t host_is_cancelled(const capelet_host *host, uint64_t token) {
    (void)host, (void)token;
    return 0;
}

/* One worker: start, one event, stop. */
static void run(const capelet_lambda *lambda) {
    capelet_host host = {
        .struct_size = sizeof host, .abi_version = CAPELET_ABI_VERSION, .lambda = bytes(lambda->name), .state_directory = bytes("/tmp"),
        .config_json = bytes("{\"to\":\"elsewhere\"}"), .config = host_config, .log = host_log, .output = host_output, .emit = host_emit,
        .extend = host_extend, .complete = host_complete, .is_cancelled = host_is_cancelled, .entry = lambda};
    capelet_result result = {.struct_size = sizeof result};
    void *state = NULL;
    if (lambda->start && lambda->start(&host, &state, &result) != 0) fail(lambda->name, result.message);
    capelet_event event = {
        .struct_size = sizeof event, .attempt = 1, .token = 1, .sequence = 1, .time_micros = 1700000000000000, .domain = bytes("probes"),
        .subject = bytes("s"), .type = bytes("probe"), .id = bytes("i"), .payload = bytes("hello")};
    int32_t status = lambda->handle(state, &event, &result);
    if (status == CAPELET_PENDING) {
        struct timespec deadline;
        clock_gettime(CLOCK_REALTIME, &deadline);
        deadline.tv_sec += 10;
        pthread_mutex_lock(&mutex);
        while (completed < 0 && pthread_cond_timedwait(&changed, &mutex, &deadline) == 0) continue;
        status = completed;
        pthread_mutex_unlock(&mutex);
    }
    if (status != CAPELET_SUCCESS) fail(lambda->name, status < 0 ? "not completed within 10 s" : result.message);
    if (lambda->stop) lambda->stop(state);
    if (strcmp(lambda->name, "echo") == 0 && strcmp(output, "hello") != 0) fail("echo put out", output);
    if (strcmp(lambda->name, "emit-copy") == 0) {
        if (strncmp(emitted, "elsewhere/s: ", 13) != 0 || strstr(emitted, "hello") == NULL) fail("emit-copy emitted", emitted);
    }
    printf("  %s: ok, output \"%s\", emitted \"%s\"\n", lambda->name, output, emitted);
    fflush(stdout);
    _exit(0);
}

static int threads(void) {
    DIR *tasks = opendir("/proc/self/task");
    int count = -2; /* . and .. */
    while (readdir(tasks)) count++;
    closedir(tasks);
    return count;
}

int main(int argc, char **argv) {
    if (argc != 2) fail("usage", "probe PLUGIN.so");
    void *library = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
    if (!library) fail("dlopen", dlerror());
    const capelet_plugin *(*entry)(void) = (const capelet_plugin *(*)(void))dlsym(library, "capelet_plugin_v1");
    if (!entry) fail("dlsym", dlerror());
    const capelet_plugin *plugin = entry();
    if (plugin != entry()) fail(argv[1], "the entry point made two tables");
    if (threads() != 1) fail(argv[1], "loading started threads");
    for (size_t i = 0; i < plugin->lambda_count; i++) {
        fflush(stdout);
        pid_t child = fork();
        if (child == 0) run(plugin->lambdas[i]);
        int status = 0;
        if (child < 0 || waitpid(child, &status, 0) != child || status != 0) fail(plugin->lambdas[i]->name, "its worker failed");
    }
    return 0;
}

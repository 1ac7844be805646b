/*
 * driver.c - runs one lambda of a plugin in a process of its own, as commands on standard input say, so that tests can limit it, make its
 * system calls fail, and kill it in the middle of one.
 *
 *   driver PLUGIN STATE_FOLDER [KEY=VALUE ...]
 *
 *   start                      answers: start CODE MESSAGE
 *   event DOMAIN OFFSET        puts an event into the batch
 *   run                        handles the batch; answers: run, then one `STATUS MESSAGE` for each event
 *   stop
 *   limit BYTES                sets the soft RLIMIT_FSIZE
 *   fail CALL ERRNO PART       the next call of pwrite (which first writes PART bytes), fdatasync or ftruncate fails
 *   die PART                   the next pwrite writes PART bytes and the process is killed by SIGKILL
 *   syncs                      answers: syncs COUNT, the calls of fdatasync so far
 *
 * The failing calls work because the program's own symbols come before libc's when the plugin is linked at load.
 */
#include <dlfcn.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

#include "capelet.h"

enum { EVENTS_MAX = 1024 };

static int fail_pwrite, fail_fdatasync, fail_ftruncate, dies;
static size_t part;
static unsigned long syncs;
static char **config;

ssize_t pwrite(int file, const void *data, size_t size, off_t at)
{
    if (!fail_pwrite && !dies) return syscall(SYS_pwrite64, file, data, size, at);
    if (part > 0) {
        // A short write is what the kernel reports first; the error comes with the next call.
        ssize_t written = syscall(SYS_pwrite64, file, data, part < size ? part : size, at);
        part = 0;
        if (!dies) return written;
    }
    if (dies) kill(getpid(), SIGKILL);
    errno = fail_pwrite;
    fail_pwrite = 0;
    return -1;
}

int fdatasync(int file)
{
    syncs++;
    if (!fail_fdatasync) return (int)syscall(SYS_fdatasync, file);
    errno = fail_fdatasync;
    fail_fdatasync = 0;
    return -1;
}

int ftruncate(int file, off_t size)
{
    if (!fail_ftruncate) return (int)syscall(SYS_ftruncate, file, size);
    errno = fail_ftruncate;
    fail_ftruncate = 0;
    return -1;
}

static int32_t host_config(const capelet_host *host, const char *key, capelet_bytes *value)
{
    (void)host;
    for (char **entry = config; *entry != NULL; entry++) {
        size_t size = strlen(key);
        if (strncmp(*entry, key, size) != 0 || (*entry)[size] != '=') continue;
        *value = (capelet_bytes){*entry + size + 1, strlen(*entry + size + 1)};
        return 0;
    }
    return CAPELET_ENOENT;
}

static void host_log(const capelet_host *host, uint64_t token, int32_t level, const char *text, size_t size)
{
    (void)host, (void)token;
    fprintf(stderr, "%d %.*s\n", level, (int)size, text);
}

static int32_t host_is_cancelled(const capelet_host *host, uint64_t token)
{
    (void)host, (void)token;
    return 0;
}

static capelet_bytes bytes_of(const char *text) { return (capelet_bytes){text, strlen(text)}; }

int main(int count, char **arguments)
{
    if (count < 3) return 2;
    config = arguments + 3;
    void *library = dlopen(arguments[1], RTLD_NOW | RTLD_LOCAL);
    const capelet_plugin *(*entry)(void);
    if (library != NULL) *(void **)&entry = dlsym(library, "capelet_plugin_v1");
    if (library == NULL || entry == NULL) {
        fprintf(stderr, "driver: %s\n", dlerror());
        return 2;
    }
    const capelet_lambda *lambda = entry()->lambdas[0];
    capelet_host host = {
        .struct_size = sizeof host,
        .abi_version = CAPELET_ABI_VERSION,
        .lambda = bytes_of("test"),
        .state_directory = bytes_of(arguments[2]),
        .config = host_config,
        .log = host_log,
        .is_cancelled = host_is_cancelled,
    };
    void *state = NULL;
    static capelet_event events[EVENTS_MAX];
    static capelet_result results[EVENTS_MAX];
    static const capelet_event *event_list[EVENTS_MAX];
    static capelet_result *result_list[EVENTS_MAX];
    static int32_t statuses[EVENTS_MAX];
    size_t batch = 0;
    uint64_t token = 0;
    char line[512], word[64], text[64];
    unsigned long long number;
    int error;
    size_t first;
    while (fgets(line, sizeof line, stdin) != NULL) {
        if (strcmp(line, "start\n") == 0) {
            capelet_result result = {.struct_size = sizeof result};
            int32_t code = lambda->start(&host, &state, &result);
            printf("start %d %s\n", code, result.message);
        } else if (sscanf(line, "event %63s %llu", text, &number) == 2 && batch < EVENTS_MAX) {
            events[batch] = (capelet_event){
                .struct_size = sizeof events[batch],
                .attempt = 1,
                .token = ++token,
                .sequence = number,
                .offset = number,
                .domain = bytes_of(strdup(text)),
                .subject = bytes_of("subject"),
                .type = bytes_of("test.event"),
                .id = bytes_of("id"),
                .payload = bytes_of("payload"),
            };
            results[batch] = (capelet_result){.struct_size = sizeof results[batch]};
            event_list[batch] = &events[batch];
            result_list[batch] = &results[batch];
            batch++;
        } else if (strcmp(line, "run\n") == 0) {
            lambda->handle_batch(state, event_list, batch, statuses, result_list);
            printf("run\n");
            for (size_t i = 0; i < batch; i++) printf("%d %s\n", statuses[i], results[i].message);
            for (size_t i = 0; i < batch; i++) free((void *)events[i].domain.data);
            batch = 0;
        } else if (strcmp(line, "stop\n") == 0) {
            lambda->stop(state);
            printf("stop\n");
        } else if (sscanf(line, "limit %llu", &number) == 1) {
            struct rlimit limit;
            getrlimit(RLIMIT_FSIZE, &limit);
            limit.rlim_cur = number;
            if (setrlimit(RLIMIT_FSIZE, &limit) != 0) return 2;
        } else if (sscanf(line, "fail %63s %d %zu", word, &error, &first) == 3) {
            if (strcmp(word, "pwrite") == 0) fail_pwrite = error, part = first;
            else if (strcmp(word, "fdatasync") == 0) fail_fdatasync = error;
            else fail_ftruncate = error;
        } else if (sscanf(line, "die %llu", &number) == 1) {
            dies = 1;
            part = number;
        } else if (strcmp(line, "syncs\n") == 0) {
            printf("syncs %lu\n", syncs);
        } else {
            fprintf(stderr, "driver: unknown command: %s", line);
            return 2;
        }
        fflush(stdout);
    }
    return 0;
}

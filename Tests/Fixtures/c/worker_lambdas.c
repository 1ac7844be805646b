// The lambdas that the worker's tests run. Each is steered by the payload of its events.
#include "fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

// MARK: echo: the payload is the output

static int32_t echo(void *state, const capelet_event *event, capelet_result *result) {
    (void)state, (void)result;
    fixture_host->output(fixture_host, event->token, event->payload.data, event->payload.size);
    return CAPELET_SUCCESS;
}

// MARK: nothing: does nothing, for measuring

static int32_t nothing(void *state, const capelet_event *event, capelet_result *result) {
    (void)state, (void)event, (void)result;
    return CAPELET_SUCCESS;
}

// MARK: inspect: writes down all of the event

static int32_t inspect(void *state, const capelet_event *event, capelet_result *result) {
    (void)state;
    char text[4096];
    size_t at = 0;
#define WRITE(...)                                                     \
    do {                                                               \
        at += (size_t)snprintf(text + at, sizeof text - at, __VA_ARGS__); \
        if (at > sizeof text - 1) at = sizeof text - 1;                \
    } while (0)
#define TEXT(bytes) (int)(bytes).size, (const char *)(bytes).data
    WRITE("size=%d result=%d attempt=%u flags=%u sequence=%llu offset=%llu time=%lld\n", event->struct_size == sizeof *event,
          result->struct_size == sizeof *result && result->message[0] == 0 && result->retry_after_millis == 0, event->attempt,
          event->flags, (unsigned long long)event->sequence, (unsigned long long)event->offset, (long long)event->time_micros);
    WRITE("domain=%.*s subject=%.*s type=%.*s id=%.*s payload=%.*s\n", TEXT(event->domain), TEXT(event->subject), TEXT(event->type),
          TEXT(event->id), TEXT(event->payload));
    for (const capelet_header *header = event->headers; header < event->headers + event->header_count; header++)
        WRITE("header %.*s=%.*s\n", TEXT(header->name), TEXT(header->value));
    for (const capelet_input *input = event->inputs; input < event->inputs + event->input_count; input++)
        WRITE("input %.*s=%.*s\n", TEXT(input->lambda), TEXT(input->output));
    fixture_host->output(fixture_host, event->token, text, at);
    return CAPELET_SUCCESS;
}

// MARK: status: ends as the payload says

static void overflow_stack(volatile char *above) {
    volatile char block[65536];
    if (above && above[0] == 77) return;
    block[0] = above ? above[0] : 0;
    overflow_stack(block);
    block[1] = 1;
}

static int32_t end_as(const capelet_event *event, capelet_result *result) {
    char word[256];
    fixture_payload(event, word, sizeof word);
    if (!strcmp(word, "retry")) {
        result->retry_after_millis = 250;
        strcpy(result->message, "not now");
        return CAPELET_RETRY;
    }
    if (!strcmp(word, "fatal")) {
        strcpy(result->message, "never");
        return CAPELET_FATAL;
    }
    if (!strcmp(word, "full-message")) {
        memset(result->message, 'x', sizeof result->message);
        return CAPELET_FATAL;
    }
    if (!strcmp(word, "strange")) return 77;
    if (!strcmp(word, "pending")) return CAPELET_PENDING;
    if (!strcmp(word, "null")) *(volatile int *)NULL = 1;
    if (!strcmp(word, "abort")) {
        fprintf(stderr, "last words\n");
        abort();
    }
    if (!strcmp(word, "exit")) exit(0);
    if (!strcmp(word, "overflow")) overflow_stack(NULL);
    if (!strcmp(word, "stop-itself")) raise(SIGSTOP);
    if (!strcmp(word, "sleep")) for (;;) pause();
    if (!strcmp(word, "spin")) for (volatile int i = 0;; i++) {}
    if (!strcmp(word, "print")) printf("a line on standard output\n");
    return CAPELET_SUCCESS;
}

static int32_t status(void *state, const capelet_event *event, capelet_result *result) {
    (void)state;
    return end_as(event, result);
}

// MARK: gate: holds each event until a byte can be read from the named pipe `state_directory`/gate

static void wait_at_gate(void) {
    char path[512];
    snprintf(path, sizeof path, "%.*s/gate", (int)fixture_host->state_directory.size, (const char *)fixture_host->state_directory.data);
    int descriptor = open(path, O_RDONLY);
    char byte;
    while (read(descriptor, &byte, 1) != 1) {}
    close(descriptor);
}

static int32_t gate(void *state, const capelet_event *event, capelet_result *result) {
    (void)state;
    wait_at_gate();
    return end_as(event, result);
}

// MARK: pending: completes from another thread, at once ("early": before the handler returns)

struct completion {
    uint64_t token;
    int32_t status;
    bool again;
};

static void *complete_it(void *argument) {
    struct completion *completion = argument;
    capelet_result result = {.struct_size = sizeof result, .retry_after_millis = 70};
    strcpy(result.message, "completed elsewhere");
    char word[] = "from a thread";
    fixture_host->output(fixture_host, completion->token, word, strlen(word));
    int32_t first = fixture_host->complete(fixture_host, completion->token, completion->status, &result);
    if (completion->again) {
        int32_t second = fixture_host->complete(fixture_host, completion->token, completion->status, NULL);
        int32_t late = fixture_host->output(fixture_host, completion->token, word, 1);
        fixture_log(0, "first %d second %d late %d", first, second, late);
    }
    free(completion);
    return NULL;
}

static int32_t pending(void *state, const capelet_event *event, capelet_result *result) {
    (void)state, (void)result;
    char word[64];
    fixture_payload(event, word, sizeof word);
    struct completion *completion = malloc(sizeof *completion);
    *completion = (struct completion){.token = event->token, .status = strstr(word, "retry") ? CAPELET_RETRY : CAPELET_SUCCESS};
    completion->again = strstr(word, "twice") != NULL;
    pthread_t thread;
    pthread_create(&thread, NULL, complete_it, completion);
    if (strstr(word, "early")) pthread_join(thread, NULL);
    else pthread_detach(thread);
    return CAPELET_PENDING;
}

// MARK: held: pending until a byte can be read from the named pipe `state_directory`/gate

static void *complete_at_gate(void *argument) {
    wait_at_gate();
    fixture_host->complete(fixture_host, (uint64_t)(uintptr_t)argument, CAPELET_SUCCESS, NULL);
    return NULL;
}

static int32_t held(void *state, const capelet_event *event, capelet_result *result) {
    (void)state, (void)result;
    pthread_t thread;
    pthread_create(&thread, NULL, complete_at_gate, (void *)(uintptr_t)event->token);
    pthread_detach(thread);
    return CAPELET_PENDING;
}

// MARK: emit: "COUNT SIZE" emits so many events of so many bytes; other words try what is refused

static int32_t emit(void *state, const capelet_event *event, capelet_result *result) {
    (void)state, (void)result;
    char word[64];
    fixture_payload(event, word, sizeof word);
#define BYTES(text) (capelet_bytes){text, sizeof text - 1}
    capelet_header headers[2] = {{BYTES("traceparent"), BYTES("00-1")}, {BYTES("note"), BYTES("")}};
    capelet_emit out = {.struct_size = sizeof out, .domain = BYTES("orders"), .subject = BYTES("s\xc3\xa4"), .type = BYTES("t")};
    if (!strcmp(word, "refused")) {
        int32_t codes[8];
        codes[0] = fixture_host->emit(fixture_host, event->token, NULL);
        capelet_emit bad = out;
        bad.subject.size = 0;
        codes[1] = fixture_host->emit(fixture_host, event->token, &bad);
        bad = out;
        bad.type = BYTES("\xc0\x80");
        codes[2] = fixture_host->emit(fixture_host, event->token, &bad);
        bad = out;
        bad.struct_size = 8;
        codes[3] = fixture_host->emit(fixture_host, event->token, &bad);
        codes[4] = fixture_host->emit(fixture_host, 0, &out);
        codes[5] = fixture_host->emit(fixture_host, event->token + 1000000, &out);
        codes[6] = fixture_host->output(fixture_host, event->token, NULL, 5);
        codes[7] = fixture_host->complete(fixture_host, event->token, 9, NULL);
        fixture_answer(event, "%d %d %d %d %d %d %d %d", codes[0], codes[1], codes[2], codes[3], codes[4], codes[5], codes[6], codes[7]);
        return CAPELET_SUCCESS;
    }
    if (!strcmp(word, "too-large")) {
        char *block = calloc(1, (1 << 20) + 1);
        int32_t code = fixture_host->output(fixture_host, event->token, block, (1 << 20) + 1);
        free(block);
        fixture_log(event->token, "code %d", code);
        return CAPELET_SUCCESS;
    }
    int count = 0, size = 0;
    sscanf(word, "%d %d", &count, &size);
    char *block = malloc((size_t)size + 1);
    memset(block, 'e', (size_t)size);
    out.payload = (capelet_bytes){block, (size_t)size};
    out.headers = headers;
    out.header_count = 2;
    int32_t code = 0;
    for (int i = 0; i < count && code == 0; i++) {
        char id[16];
        out.id = (capelet_bytes){id, (size_t)snprintf(id, sizeof id, "%d", i)};
        code = fixture_host->emit(fixture_host, event->token, &out);
    }
    free(block);
    if (code) fixture_log(event->token, "code %d", code);
    return CAPELET_SUCCESS;
}

// MARK: talk: log lines and heartbeats

static int32_t talk(void *state, const capelet_event *event, capelet_result *result) {
    (void)state, (void)result;
    char word[64];
    fixture_payload(event, word, sizeof word);
    if (!strcmp(word, "long")) {
        // A two-byte character lies across the limit.
        char *line = malloc(9001);
        memset(line, 'l', 9001);
        memcpy(line + 8191, "\xc3\xa4", 2);
        fixture_host->log(fixture_host, event->token, CAPELET_LOG_INFO, line, 9001);
        free(line);
    } else if (!strcmp(word, "levels")) {
        for (int level = -1; level < 8; level++) fixture_host->log(fixture_host, 0, level, "line", 4);
    } else if (!strcmp(word, "extend")) {
        fixture_answer(event, "%d %d", fixture_host->extend(fixture_host, event->token, 5000), fixture_host->extend(fixture_host, 0, 1));
    } else {
        for (int i = 0; i < 100000; i++) fixture_log(event->token, "flood %d", i);
    }
    return CAPELET_SUCCESS;
}

// MARK: crowd: eight threads write outputs and lines at the same time

static _Atomic uint64_t crowd_token;

static void *crowd_member(void *argument) {
    char text[3000];
    memset(text, 'a' + (int)(intptr_t)argument, sizeof text);
    for (int i = 0; i < 200; i++) {
        fixture_host->output(fixture_host, crowd_token, text, sizeof text);
        fixture_host->log(fixture_host, crowd_token, CAPELET_LOG_INFO, text, 100);
    }
    return NULL;
}

static int32_t crowd(void *state, const capelet_event *event, capelet_result *result) {
    (void)state, (void)result;
    crowd_token = event->token;
    pthread_t threads[8];
    for (intptr_t i = 0; i < 8; i++) pthread_create(&threads[i], NULL, crowd_member, (void *)i);
    for (int i = 0; i < 8; i++) pthread_join(threads[i], NULL);
    return CAPELET_SUCCESS;
}

// MARK: batch: the size of each batch goes to the log; statuses as the payloads say

static void batch(void *state, const capelet_event *const *events, size_t count, int32_t *statuses, capelet_result *const *results) {
    (void)state;
    fixture_log(0, "batch of %zu", count);
    for (size_t i = 0; i < count; i++) {
        char word[64];
        if (!strcmp(fixture_payload(events[i], word, sizeof word), "silent")) continue;
        statuses[i] = end_as(events[i], results[i]);
        if (statuses[i] == CAPELET_SUCCESS)
            fixture_answer(events[i], "%.*s %u %.*s", (int)events[i]->subject.size, (const char *)events[i]->subject.data,
                           events[i]->header_count, events[i]->header_count ? (int)events[i]->headers[0].value.size : 0,
                           events[i]->header_count ? (const char *)events[i]->headers[0].value.data : "");
    }
}

// MARK: cancel: waits until cancelled; which way it was told goes to the log

static _Atomic uint64_t cancelled_token;

static int32_t cancellable(void *state, const capelet_event *event, capelet_result *result) {
    (void)state, (void)result;
    char word[64];
    if (!strcmp(fixture_payload(event, word, sizeof word), "quick")) return CAPELET_SUCCESS;
    fixture_log(event->token, "waiting");
    while (!fixture_host->is_cancelled(fixture_host, event->token)) sched_yield();
    while (cancelled_token != event->token) sched_yield();
    fixture_log(0, "cancelled; output %d", fixture_host->output(fixture_host, event->token, "x", 1));
    return CAPELET_RETRY;
}

static void cancel(void *state, uint64_t token) {
    (void)state;
    cancelled_token = token;
}

// MARK: start and stop

static int32_t start_fails(const capelet_host *host, void **state, capelet_result *result) {
    (void)state;
    host->log(host, 0, CAPELET_LOG_WARNING, "about to fail", 13);
    strcpy(result->message, "no database");
    return 3;
}

static int32_t start_inspects(const capelet_host *host, void **state, capelet_result *result) {
    (void)result;
    fixture_host = host;
    *state = (void *)0x1234;
    capelet_bytes nested = {"?", 1};
    int32_t found = host->config(host, "retry.count", &nested);
    capelet_bytes missing;
    int32_t absent = host->config(host, "retry", &missing);
#define SHOW(bytes) (int)(bytes).size, (const char *)(bytes).data
    fixture_log(0, "size %d abi %u lambda %.*s state %.*s config %.*s index %u entry %s found %d %.*s absent %d pid %d",
                host->struct_size == sizeof *host, host->abi_version, SHOW(host->lambda), SHOW(host->state_directory),
                SHOW(host->config_json), host->worker_index, host->entry->name, found, SHOW(nested), absent,
                getpid() == (pid_t)syscall(SYS_gettid));
    return 0;
}

static int32_t handle_inspected(void *state, const capelet_event *event, capelet_result *result) {
    (void)result;
    fixture_answer(event, "state %d", state == (void *)0x1234);
    return CAPELET_SUCCESS;
}

static void stop_inspects(void *state) { fixture_log(0, "stopped with state %d", state == (void *)0x1234); }

__attribute__((destructor)) static void at_exit(void) {
    if (fixture_host) printf("destructor ran\n");
}

// MARK: surroundings: what the process looks like from inside

static int32_t surroundings(void *state, const capelet_event *event, capelet_result *result) {
    (void)state, (void)result;
    char word[64];
    fixture_payload(event, word, sizeof word);
    if (!strncmp(word, "env ", 4)) {
        const char *value = getenv(word + 4);
        fixture_answer(event, "%s", value ? value : "(unset)");
    } else if (!strcmp(word, "descriptors")) {
        char text[2048];
        size_t at = 0;
        for (int i = 0; i < 256; i++) {
            char link[64], target[256];
            snprintf(link, sizeof link, "/proc/self/fd/%d", i);
            ssize_t size = readlink(link, target, sizeof target - 1);
            if (size < 0) continue;
            target[size] = 0;
            at += (size_t)snprintf(text + at, sizeof text - at, "%d %s cloexec=%d\n", i, target, (fcntl(i, F_GETFD) & FD_CLOEXEC) != 0);
        }
        fixture_answer(event, "%s", text);
    } else if (!strcmp(word, "process")) {
        sigset_t blocked;
        sigprocmask(SIG_SETMASK, NULL, &blocked);
        int anyBlocked = 0, anyHandler = 0, death = 0;
        for (int i = 1; i < 65; i++) {
            struct sigaction action;
            if (sigismember(&blocked, i) == 1) anyBlocked++;
            if (sigaction(i, NULL, &action) == 0 && action.sa_handler != SIG_DFL) anyHandler++;
        }
        prctl(PR_GET_PDEATHSIG, &death);
        fixture_answer(event, "leader=%d blocked=%d handlers=%d pdeathsig=%d nnp=%d", getpgrp() == getpid(), anyBlocked, anyHandler, death,
                       prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));
    } else if (!strcmp(word, "limits")) {
        int kinds[] = {RLIMIT_DATA, RLIMIT_AS, RLIMIT_CPU, RLIMIT_NOFILE, RLIMIT_FSIZE, RLIMIT_STACK, RLIMIT_CORE};
        char text[512];
        size_t at = 0;
        for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
            struct rlimit limit;
            getrlimit(kinds[i], &limit);
            at += (size_t)snprintf(text + at, sizeof text - at, "%lld/%lld ", (long long)limit.rlim_cur, (long long)limit.rlim_max);
        }
        fixture_answer(event, "%s", text);
    }
    return CAPELET_SUCCESS;
}

// MARK: threads: whether glibc's idea of the main thread is right after the fork

static _Atomic int signals_taken;
static _Atomic pid_t signalled_thread;
static void take_signal(int number) {
    (void)number;
    signalled_thread = (pid_t)syscall(SYS_gettid);
    signals_taken++;
}
static pthread_t main_thread;
static void *signal_main(void *argument) {
    (void)argument;
    return (void *)(intptr_t)pthread_kill(main_thread, SIGUSR1);
}
static pthread_mutex_t contested;
static void *try_lock(void *argument) {
    (void)argument;
    return (void *)(intptr_t)pthread_mutex_trylock(&contested);
}

static int32_t threads(void *state, const capelet_event *event, capelet_result *result) {
    (void)state, (void)result;
    pthread_mutexattr_t attributes;
    pthread_mutexattr_init(&attributes);
    pthread_mutexattr_settype(&attributes, PTHREAD_MUTEX_RECURSIVE);
    pthread_mutex_init(&contested, &attributes);
    int recursive = pthread_mutex_lock(&contested) | pthread_mutex_lock(&contested);
    pid_t owner = contested.__data.__owner;
    pthread_t thread;
    void *busy = NULL, *killed = NULL;
    pthread_create(&thread, NULL, try_lock, NULL);
    pthread_join(thread, &busy);
    recursive |= pthread_mutex_unlock(&contested) | pthread_mutex_unlock(&contested);

    pthread_mutex_t checking, robust, inheriting;
    pthread_mutexattr_settype(&attributes, PTHREAD_MUTEX_ERRORCHECK);
    pthread_mutex_init(&checking, &attributes);
    pthread_mutex_lock(&checking);
    int deadlock = pthread_mutex_lock(&checking);
    int unlocked = pthread_mutex_unlock(&checking);
    pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
    pthread_mutex_init(&robust, &attributes);
    int robustly = pthread_mutex_lock(&robust) | pthread_mutex_unlock(&robust);
    pthread_mutexattr_t priority;
    pthread_mutexattr_init(&priority);
    pthread_mutexattr_setprotocol(&priority, PTHREAD_PRIO_INHERIT);
    pthread_mutex_init(&inheriting, &priority);
    int inherited = pthread_mutex_lock(&inheriting) | pthread_mutex_unlock(&inheriting);

    main_thread = pthread_self();
    signal(SIGUSR1, take_signal);
    pthread_create(&thread, NULL, signal_main, NULL);
    pthread_join(thread, &killed);
    raise(SIGUSR1);
    for (int i = 0; i < 1000000 && signals_taken < 2; i++) sched_yield();
    size_t robust_size = 0;
    void *robust_list = NULL;
    syscall(SYS_get_robust_list, 0, &robust_list, &robust_size);
    fixture_answer(event,
                   "recursive=%d owner=%d busy=%d deadlock=%d unlocked=%d robust=%d inherit=%d kill=%d taken=%d main=%d list=%d", recursive,
                   owner == getpid(), (int)(intptr_t)busy == EBUSY, deadlock == EDEADLK, unlocked, robustly, inherited, (int)(intptr_t)killed,
                   signals_taken, signalled_thread == getpid(), robust_list != NULL);
    return CAPELET_SUCCESS;
}

// MARK: family: leaves processes behind

static int32_t family(void *state, const capelet_event *event, capelet_result *result) {
    (void)state, (void)result;
    char word[64];
    fixture_payload(event, word, sizeof word);
    int ends[2];
    if (pipe(ends) != 0) return CAPELET_FATAL;
    pid_t child = fork();
    if (child == 0) {
        if (!strcmp(word, "setsid-grandchild")) {
            setsid();
            if (fork() != 0) _exit(0);
        }
        prctl(PR_SET_PDEATHSIG, 0);
        signal(SIGTERM, SIG_IGN);
        pid_t self = getpid();
        if (write(ends[1], &self, sizeof self) < 0) _exit(1);
        for (;;) pause();
    }
    if (!strcmp(word, "setsid-grandchild")) waitpid(child, NULL, 0);
    pid_t survivor = 0;
    if (read(ends[0], &survivor, sizeof survivor) != sizeof survivor) return CAPELET_FATAL;
    close(ends[0]);
    close(ends[1]);
    fixture_answer(event, "%d", survivor);
    return CAPELET_SUCCESS;
}

#define LAMBDA(title, ...) \
    static const capelet_lambda lambda_##title = {.struct_size = sizeof(capelet_lambda), .name = #title, .start = fixture_start, __VA_ARGS__}

LAMBDA(echo, .handle = echo, .summary = "The payload is the output.");
LAMBDA(nothing, .handle = nothing);
LAMBDA(inspect, .handle = inspect);
LAMBDA(status, .handle = status);
LAMBDA(gate, .handle = gate);
LAMBDA(pending, .handle = pending);
LAMBDA(held, .handle = held);
LAMBDA(emit, .handle = emit);
LAMBDA(talk, .handle = talk);
LAMBDA(crowd, .handle = crowd);
LAMBDA(batch, .handle_batch = batch, .batch_max = 8);
LAMBDA(cancel, .handle = cancellable, .cancel = cancel);
LAMBDA(surroundings, .handle = surroundings);
LAMBDA(threads, .handle = threads);
LAMBDA(family, .handle = family);
static const capelet_lambda lambda_start_fails = {
    .struct_size = sizeof(capelet_lambda), .name = "start-fails", .start = start_fails, .handle = nothing};
static const capelet_lambda lambda_life = {.struct_size = sizeof(capelet_lambda),
                                           .name = "life",
                                           .summary = "Start\tand stop",
                                           .start = start_inspects,
                                           .stop = stop_inspects,
                                           .handle = handle_inspected};

static const capelet_lambda *const lambdas[] = {
    &lambda_echo,  &lambda_nothing, &lambda_inspect, &lambda_status, &lambda_gate,         &lambda_pending, &lambda_emit,        &lambda_talk,
    &lambda_crowd, &lambda_batch,   &lambda_cancel,  &lambda_surroundings, &lambda_threads, &lambda_family,  &lambda_start_fails, &lambda_life,
    &lambda_held,
};
static const capelet_plugin plugin = {
    .struct_size = sizeof(capelet_plugin),
    .abi_version = CAPELET_ABI_VERSION,
    .version = "1.2.3",
    .lambda_count = sizeof lambdas / sizeof *lambdas,
    .lambdas = lambdas,
};
const capelet_plugin *capelet_plugin_v1(void) { return &plugin; }

/// Printed once, when the plugin is loaded: never again by the workers that are copies.
__attribute__((constructor)) static void at_load(void) { printf("constructor ran\n"); }

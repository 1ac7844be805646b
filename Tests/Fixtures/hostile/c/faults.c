// villain: ends, hangs, eats and floods as its events say. Rows of the fault matrix (Docs/SECURITY.md) that need nothing but libc.
#include "villain.h"

#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

static void overflow_stack(volatile char *above) {
    volatile char block[65536];
    if (above && above[0] == 77) return;
    block[0] = above ? above[0] : 0;
    overflow_stack(block);
    block[1] = 1;
}

/// Writes far beyond a block, then lets the allocator find out.
static void corrupt_heap(void) {
    char *volatile blocks[64];
    for (int i = 0; i < 64; i++) blocks[i] = malloc(40);
    for (volatile char *byte = blocks[0]; byte < blocks[0] + 4096; byte++) *byte = 0x41;
    for (int i = 0; i < 64; i++) free(blocks[i]);
    for (int i = 0; i < 64; i++) blocks[i] = malloc((size_t)i * 100);
}

/// All the private memory that it can get, then gives it back: a plugin that minds ENOMEM survives.
static void eat_private(const char *word) {
    size_t mebibytes = 0;
    void *last = NULL;
    while (mebibytes < 4096) {
        void **block = malloc(8 << 20);
        if (!block) break;
        memset(block, 1, 8 << 20);
        *block = last;
        last = block;
        mebibytes += 8;
    }
    const char *error = villain_error(mebibytes < 4096 ? -1 : 0);
    while (last) {
        void *next = *(void **)last;
        free(last);
        last = next;
    }
    villain_answer(word, "%s at %zu MiB", error, mebibytes);
}

/// Memory that RLIMIT_DATA does not count. Half a gibibyte is really touched; beyond it, so that the machine stays usable, only reserved.
static void eat_shared(const char *word) {
    size_t mebibytes = 0;
    while (mebibytes < 16384) {
        void *block = mmap(NULL, 32 << 20, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        if (block == MAP_FAILED) break;
        if (mebibytes < 512) memset(block, 1, 32 << 20);
        mebibytes += 32;
        // The host that counts for itself gets a moment to see it.
        if (mebibytes == 512) usleep(300000);
    }
    villain_answer(word, "%s at %zu MiB", villain_error(mebibytes < 16384 ? -1 : 0), mebibytes);
}

/// Up to 400 processes, half of them in sessions of their own, which do not end.
static void bomb(const char *word) {
    int made = 0;
    while (made < 400) {
        pid_t child = fork();
        if (child < 0) break;
        if (child == 0) {
            if (made % 2) setsid();
            for (;;) pause();
        }
        made++;
    }
    villain_answer(word, "%s after %d", villain_error(made < 400 ? -1 : 0), made);
}

/// Leaves a process in a session of its own that holds all descriptors, the socket to the host among them.
static void leave_grandchild(const char *word) {
    pid_t child = fork();
    if (child == 0) {
        setsid();
        signal(SIGTERM, SIG_IGN);
        signal(SIGHUP, SIG_IGN);
        if (fork() == 0)
            for (;;) pause();
        _exit(0);
    }
    villain_answer(word, "%s", villain_error(child));
    if (child > 0) waitpid(child, NULL, 0);
}

static void leak_descriptors(const char *word) {
    int count = 0, last = -1, next;
    while (count < 100000 && (next = open("/dev/null", O_RDONLY)) >= 0) {
        last = next;
        count++;
    }
    const char *error = villain_error(-1);
    // One is needed for the answer, and for what the run notes when it ends.
    if (last >= 0) close(last);
    villain_answer(word, "%s after %d", error, count);
}

static void write_giant(const char *word) {
    char path[4096];
    snprintf(path, sizeof path, "%.*s/giant", TEXT(fixture_host->state_directory));
    int descriptor = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    char block[65536];
    memset(block, 'g', sizeof block);
    long result = 0;
    for (int i = 0; i < 1 << 16 && result >= 0; i++) result = write(descriptor, block, sizeof block);
    villain_answer(word, "%s", villain_error(result));
}

/// Whole lines and a line without end, on both outputs and in the log, 64 MiB in all.
static void flood(const capelet_event *event) {
    char block[65536];
    memset(block, 'f', sizeof block);
    for (size_t at = 99; at < sizeof block; at += 100) block[at] = '\n';
    for (int i = 0; i < 512; i++) {
        if (write(1, block, sizeof block) < 0) return;
        if (write(2, block, sizeof block) < 0) return;
        fixture_host->log(fixture_host, event->token, CAPELET_LOG_INFO, block, 4096);
    }
}

/// Every socket that the process has; what they are for is not looked at.
static void close_sockets(void) {
    for (int i = 0; i < 256; i++) {
        struct stat status;
        if (fstat(i, &status) == 0 && S_ISSOCK(status.st_mode)) close(i);
    }
}

static void sleep_for_ever(void) {
    for (;;) pause();
}

static void spin(void) {
    for (volatile int i = 0;; i++) {}
}

/// Waits for what its word says, unlike a worker that hangs: `hold 200`.
static void hold(const char *argument) {
    long millis = atol(argument);
    struct timespec time = {millis / 1000, millis % 1000 * 1000000};
    nanosleep(&time, NULL);
}

static void deaf(void) {
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, NULL);
    for (int i = 1; i < 32; i++) signal(i, SIG_IGN);
    sleep_for_ever();
}

/// Takes back what ties it to those above it.
static void run_away(const char *word) {
    int cleared = prctl(PR_SET_PDEATHSIG, 0);
    villain_answer(word, "%s", villain_error(cleared));
    setsid();
    deaf();
}

static int32_t villain(void *state, const capelet_event *event, capelet_result *result) {
    (void)state, (void)result;
    char buffer[256];
    const char *word = villain_word(event, buffer, sizeof buffer);
    villain_record('B', event);
    if (!strcmp(word, "null")) *(volatile int *)NULL = 1;
    else if (!strcmp(word, "abort")) {
        fprintf(stderr, "the invariant does not hold\n");
        abort();
    } else if (!strcmp(word, "exit")) exit(0);
    else if (!strcmp(word, "overflow")) overflow_stack(NULL);
    else if (!strcmp(word, "heap")) corrupt_heap();
    else if (!strcmp(word, "spin")) spin();
    else if (!strcmp(word, "sleep")) sleep_for_ever();
    else if (!strcmp(word, "deaf")) deaf();
    else if (!strcmp(word, "stop")) raise(SIGSTOP);
    else if (!strcmp(word, "private")) eat_private(word);
    else if (!strcmp(word, "shared")) eat_shared(word);
    else if (!strcmp(word, "leak")) {
        // 8 MiB a second: the host looks once a second.
        volatile char *block = malloc(256 << 10);
        if (!block) abort();
        for (size_t at = 0; at < 256 << 10; at += 4096) block[at] = 1;
        hold("30");
    } else if (!strcmp(word, "bomb")) {
        bomb(word);
        sleep_for_ever();
    } else if (!strcmp(word, "grandchild")) {
        leave_grandchild(word);
        abort();
    } else if (!strcmp(word, "descriptors")) leak_descriptors(word);
    else if (!strcmp(word, "giant")) write_giant(word);
    else if (!strcmp(word, "flood")) flood(event);
    else if (!strcmp(word, "sockets")) {
        close_sockets();
        sleep_for_ever();
    } else if (!strncmp(word, "hold ", 5)) hold(word + 5);
    else if (!strcmp(word, "run-away")) run_away(word);
    villain_record('E', event);
    return CAPELET_SUCCESS;
}

// MARK: batches: a poison among many

static void batch(void *state, const capelet_event *const *events, size_t count, int32_t *statuses, capelet_result *const *results) {
    (void)state, (void)results;
    char buffer[256];
    villain_answer("batch", "%zu", count);
    for (size_t i = 0; i < count; i++) {
        villain_record('B', events[i]);
        if (!strcmp(villain_word(events[i], buffer, sizeof buffer), "poison")) abort();
        if (!strncmp(buffer + 1, "hold ", 5)) hold(buffer + 6);
        statuses[i] = CAPELET_SUCCESS;
        villain_record('E', events[i]);
    }
}

// MARK: start: dies at every start

static int32_t start_dies(const capelet_host *host, void **state, capelet_result *result) {
    (void)host, (void)state, (void)result;
    fprintf(stderr, "no start today\n");
    abort();
}

static const capelet_lambda lambdas[] = {
    {.struct_size = sizeof(capelet_lambda), .name = "villain", .start = fixture_start, .handle = villain},
    {.struct_size = sizeof(capelet_lambda), .name = "batch", .start = fixture_start, .handle_batch = batch, .batch_max = 64},
    {.struct_size = sizeof(capelet_lambda), .name = "start-dies", .start = start_dies, .handle = villain},
};
static const capelet_lambda *const all[] = {&lambdas[0], &lambdas[1], &lambdas[2]};
static const capelet_plugin plugin = {
    .struct_size = sizeof plugin, .abi_version = CAPELET_ABI_VERSION, .version = "1", .lambda_count = 3, .lambdas = all};

const capelet_plugin *capelet_plugin_v1(void) { return &plugin; }

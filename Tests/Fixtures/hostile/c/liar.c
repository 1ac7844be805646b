// liar: breaks the rules of the channel as its events say (rows 25 to 30, 48 and 56 of the fault matrix).
#include "channel.h"

#include <pthread.h>
#include <signal.h>
#include <sys/uio.h>
#include <time.h>

static const capelet_event *current;

static double seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void wait_for_the_end(void) {
    for (;;) pause();
}

// MARK: descriptors

static int send_descriptor(int descriptor) {
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control = {0};
    uint64_t word = 7;
    struct iovec part = {&word, sizeof word};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
    control.header.cmsg_len = CMSG_LEN(sizeof(int));
    control.header.cmsg_level = SOL_SOCKET;
    control.header.cmsg_type = SCM_RIGHTS;
    memcpy(CMSG_DATA(&control.header), &descriptor, sizeof descriptor);
    return sendmsg(host_socket, &message, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 ? -1 : 0;
}

static void send_descriptors(void) {
    int count = 0;
    while (count < 100 && send_descriptor(0) == 0) count++;
    villain_answer("descriptors", "%d sent", count);
}

// MARK: memory

static void truncate_memory(void) {
    // The descriptors are closed. What is left is the map itself.
    char path[64];
    snprintf(path, sizeof path, "/proc/self/map_files/%lx-%lx", (long)outbox, (long)outbox + (long)((sizeof *outbox + 4095) & ~4095ul));
    int descriptor = open(path, O_RDWR | O_CLOEXEC);
    const char *opened = villain_error(descriptor);
    const char *cut = descriptor < 0 ? "-" : villain_error(ftruncate(descriptor, 0));
    if (descriptor >= 0) close(descriptor);
    const char *writable = villain_error(mprotect(inbox, 4096, PROT_READ | PROT_WRITE));
    const char *hole = villain_error(madvise(inbox, 4096, MADV_REMOVE));
    villain_answer("truncate", "open %s, ftruncate %s, inbox mprotect %s, inbox hole %s", opened, cut, writable, hole);
    // All that the host reads becomes zero under its hands.
    madvise(outbox->ring, sizeof outbox->ring, MADV_REMOVE);
}

// MARK: floods, for a second each

static void *swap_claims(void *argument) {
    (void)argument;
    for (;;) {
        uint64_t claim = capelet_load64(&outbox->claim);
        uint32_t limit = capelet_limit(claim), claimed = capelet_claimed(claim);
        // Towards the limit and back: never a word that claiming could not explain for long.
        capelet_swap64(&outbox->claim, claim, capelet_claim(claimed == limit ? limit - 1 : limit, limit));
    }
    return NULL;
}

static void *ring_on(void *argument) {
    (void)argument;
    for (;;) ring_bell();
    return NULL;
}

static void flood_host(const char *what) {
    char line[1024];
    memset(line, 'l', sizeof line);
    capelet_emit emit = {.struct_size = sizeof emit,
                         .domain = {"hostile", 7},
                         .subject = {"s", 1},
                         .type = {"t", 1},
                         .payload = {line, sizeof line}};
    for (double end = seconds() + 1; seconds() < end;) {
        if (!strcmp(what, "log")) fixture_host->log(fixture_host, current->token, CAPELET_LOG_INFO, line, sizeof line);
        else if (!strcmp(what, "heartbeat")) fixture_host->extend(fixture_host, current->token, 100);
        else fixture_host->emit(fixture_host, current->token, &emit);
    }
}

// MARK: lies about what was written

/// Returns whether the host is to end this worker for it.
static bool lie(const char *word) {
    uint64_t token = current->token;
    if (!strcmp(word, "size 0")) write_frame(0, CAPELET_FRAME_LOG, 0, 0, token, 0, 64);
    else if (!strcmp(word, "size max+1")) write_frame(CAPELET_FRAME_MAX + 1, CAPELET_FRAME_LOG, 0, 0, token, 0, 40000);
    else if (!strcmp(word, "size 2^32-1")) write_frame(UINT32_MAX, CAPELET_FRAME_OUTPUT, 0, 0, token, 0, 64);
    else if (!strcmp(word, "part")) write_frame(4096, CAPELET_FRAME_OUTPUT, CAPELET_FRAME_MORE, 0, token, 0, 64);
    else if (!strcmp(word, "unknown type")) write_frame(24, 99, 0, 0, token, 0, 24);
    else if (!strcmp(word, "unknown code")) write_frame(24, CAPELET_FRAME_RESULT, 0, 77, token, 0, 24);
    else if (!strcmp(word, "ready again")) write_frame(24, CAPELET_FRAME_READY, 0, 0, 0, 0, 24);
    else if (!strcmp(word, "interleaved")) {
        write_frame(40, CAPELET_FRAME_OUTPUT, CAPELET_FRAME_MORE, 0, token, 0, 40);
        write_frame(24, CAPELET_FRAME_RESULT, 0, 0, token, 0, 24);
    } else if (!strcmp(word, "written jumps")) {
        capelet_store64(&outbox->written, capelet_load64(&outbox->written) + (1ull << 40));
    } else if (!strcmp(word, "written goes back")) capelet_store64(&outbox->written, 0);
    else if (!strcmp(word, "limit moves")) {
        uint64_t claim = capelet_load64(&outbox->claim);
        capelet_store64(&outbox->claim, capelet_claim(capelet_claimed(claim), capelet_limit(claim) + 500));
    } else if (!strcmp(word, "claim runs wild")) {
        uint64_t claim = capelet_load64(&outbox->claim);
        capelet_store64(&outbox->claim, capelet_claim(capelet_limit(claim) + 1000, capelet_limit(claim)));
    } else if (!strcmp(word, "released jumps")) capelet_store32(&outbox->released, capelet_load32(&outbox->released) + 1000000);
    else if (!strcmp(word, "length flips")) {
        // A frame whose length is another each time that the host looks; in the end one that is never right.
        write_frame(24, CAPELET_FRAME_LOG, 0, 0, token, 0, 24);
        uint64_t at = capelet_load64(&outbox->written) % CAPELET_RING_SIZE;
        volatile uint32_t *size = (volatile uint32_t *)(outbox->ring + at);
        write_frame(24, CAPELET_FRAME_LOG, 0, 0, token, 0, 4096);
        for (double end = seconds() + 0.3; seconds() < end;) {
            *size = 24;
            *size = UINT32_MAX;
            *size = 4096;
        }
    } else return false;
    ring_bell();
    return true;
}

// MARK: events

static int32_t handle(void *state, const capelet_event *event, capelet_result *result) {
    (void)state, (void)result;
    char buffer[256];
    const char *word = villain_word(event, buffer, sizeof buffer);
    current = event;
    villain_record('B', event);
    if (strcmp(word, "success") && !find_channel(event)) {
        villain_answer("channel", "not found: inbox %d, outbox %d, bell %d, socket %d", inbox != NULL, outbox != NULL, bell, host_socket);
        return CAPELET_FATAL;
    }
    if (lie(word)) wait_for_the_end();
    if (!strcmp(word, "reply twice")) {
        write_frame(24, CAPELET_FRAME_RESULT, 0, CAPELET_SUCCESS, event->token, 0, 24);
        write_frame(24, CAPELET_FRAME_RESULT, 0, CAPELET_FATAL, event->token, 0, 24);
        wait_for_the_end();
    } else if (!strcmp(word, "reply unasked")) {
        for (uint64_t other = 1; other < 200; other++) write_frame(24, CAPELET_FRAME_RESULT, 0, CAPELET_SUCCESS, event->token + other, 0, 24);
        villain_answer(word, "ok");
        wait_for_the_end();
    } else if (!strcmp(word, "descriptors")) {
        send_descriptors();
    } else if (!strcmp(word, "truncate")) {
        truncate_memory();
        wait_for_the_end();
    } else if (!strcmp(word, "swap claims")) {
        pthread_t threads[2];
        for (int i = 0; i < 2; i++) pthread_create(&threads[i], NULL, swap_claims, NULL);
        wait_for_the_end();
    } else if (!strcmp(word, "ring on")) {
        pthread_t threads[2];
        for (int i = 0; i < 2; i++) pthread_create(&threads[i], NULL, ring_on, NULL);
        wait_for_the_end();
    } else if (!strncmp(word, "flood ", 6)) {
        flood_host(word + 6);
    } else if (!strcmp(word, "lie about the index")) {
        // Says that it has begun all that was sent to it, and dies of this one.
        uint64_t claim = capelet_load64(&outbox->claim);
        capelet_swap64(&outbox->claim, claim, capelet_claim(capelet_limit(claim), capelet_limit(claim)));
        abort();
    }
    villain_record('E', event);
    return CAPELET_SUCCESS;
}

static const capelet_lambda lambda = {.struct_size = sizeof lambda, .name = "liar", .start = fixture_start, .handle = handle};
static const capelet_lambda *const all[] = {&lambda};
static const capelet_plugin plugin = {
    .struct_size = sizeof plugin, .abi_version = CAPELET_ABI_VERSION, .version = "1", .lambda_count = 1, .lambdas = all};

const capelet_plugin *capelet_plugin_v1(void) { return &plugin; }

// Lambdas that use up what they may, and lambdas that lie: for the integration tests of limits, poison and hostile traffic. They reach the
// channel as a hostile plugin would, through its maps.
#include "fixture.h"

#include "event_record.h"
#include "worker_channel.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/stat.h>
#include <time.h>

#define TEXT(bytes) (int)(bytes).size, (const char *)(bytes).data

static long setting(const char *key, long fallback) {
    capelet_bytes value = {0};
    char text[32] = "";
    if (fixture_host->config(fixture_host, key, &value) != 0 || value.size >= sizeof text) return fallback;
    memcpy(text, value.data, value.size);
    return atol(text);
}

static bool is_set(const char *key, const char *word) {
    capelet_bytes value = {0};
    return fixture_host->config(fixture_host, key, &value) == 0 && value.size == strlen(word) && memcmp(value.data, word, value.size) == 0;
}

static void sleep_micros(long micros) {
    struct timespec time = {micros / 1000000, micros % 1000000 * 1000};
    if (micros > 0) nanosleep(&time, NULL);
}

/// Whether there is a file of this name in the state folder.
static bool has_file(const char *name) {
    char path[4096];
    snprintf(path, sizeof path, "%.*s/%s", TEXT(fixture_host->state_directory), name);
    return access(path, F_OK) == 0;
}

/// As `record` of host_lambdas.c.
static void record_line(char mark, const capelet_event *event) {
    char path[4096], line[2048];
    snprintf(path, sizeof path, "%.*s/record", TEXT(fixture_host->state_directory));
    int size = snprintf(line, sizeof line, "%c %.*s %llu %u %d %u 1\n", mark, TEXT(event->subject), (unsigned long long)event->sequence,
                        event->attempt, getpid(), event->flags);
    int descriptor = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (descriptor < 0 || write(descriptor, line, (size_t)size) != size) abort();
    close(descriptor);
}

/// The payload without the quotes of a JSON string.
static const char *word_of(const capelet_event *event, char *buffer, size_t size) {
    fixture_payload(event, buffer, size);
    if (buffer[0] != '"') return buffer;
    if (strlen(buffer) > 1) buffer[strlen(buffer) - 1] = 0;
    return buffer + 1;
}

static void burn(long millis) {
    struct timespec begin, now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &begin);
    do {
        for (volatile int i = 0; i < 10000; i++) {}
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    } while ((now.tv_sec - begin.tv_sec) * 1000 + (now.tv_nsec - begin.tv_nsec) / 1000000 < millis);
}

// MARK: use: uses up what the payload names; config `leak-kib` is lost with every event, `micros` is what it takes

static int32_t use(void *state, const capelet_event *event, capelet_result *result) {
    (void)state, (void)result;
    char buffer[256];
    const char *word = word_of(event, buffer, sizeof buffer);
    long number = 0;
    record_line('B', event);
    size_t leak = (size_t)setting("leak-kib", 0) << 10;
    if (leak > 0) {
        char *lost = malloc(leak);
        if (lost == NULL) abort();
        memset(lost, 1, leak);
    }
    sleep_micros(setting("micros", 0));
    if (sscanf(word, "burn %ld", &number) == 1) burn(number);
    if (!strcmp(word, "spin")) for (volatile int i = 0;; i++) {}
    if (!strcmp(word, "abort")) abort();
    if (!strcmp(word, "segfault")) {
        fprintf(stderr, "what was it again?\n");
        *(volatile int *)16 = 1;
    }
    if (!strcmp(word, "wait")) while (!has_file("go")) sleep_micros(1000);
    if (!strcmp(word, "memory")) {
        for (;;) {
            char *part = malloc(1 << 20);
            if (part == NULL) {
                fprintf(stderr, "out of memory\n");
                abort();
            }
            memset(part, 1, 1 << 20);
        }
    }
    record_line('E', event);
    return CAPELET_SUCCESS;
}

// MARK: the channel, as a plugin can reach it

static struct capelet_outbox *outbox;
static const struct capelet_inbox *inbox;

static void find_channel(void) {
    FILE *maps = fopen("/proc/self/maps", "r");
    char line[4096];
    while (maps != NULL && fgets(line, sizeof line, maps) != NULL) {
        unsigned long begin = 0;
        if (sscanf(line, "%lx-", &begin) != 1) continue;
        if (strstr(line, "memfd:capelet-outbox")) outbox = (struct capelet_outbox *)begin;
        if (strstr(line, "memfd:capelet-inbox")) inbox = (const struct capelet_inbox *)begin;
    }
    if (maps != NULL) fclose(maps);
    if (outbox == NULL || inbox == NULL) abort();
}

/// Whether the payload of an event in the inbox is the word `poison`.
static bool is_poison(uint32_t number) {
    const struct capelet_slot *slot = &inbox->slots[number % CAPELET_SLOTS];
    if (slot->flags & CAPELET_SLOT_LARGE || slot->size < sizeof(struct capelet_record) || slot->position > CAPELET_ARENA_SIZE - slot->size)
        return false;
    return memmem(inbox->arena + slot->position, slot->size, "poison", 6) != NULL;
}

// MARK: poison: dies of the payload `poison`; config `lie` says how it hides that

static int32_t start_poison(const capelet_host *host, void **state, capelet_result *result) {
    fixture_start(host, state, result);
    find_channel();
    if (is_set("start", "flood")) for (;;) fixture_log(0, "not ready yet");
    return 0;
}

static void die_lying(void) {
    uint64_t claim = capelet_load64(&outbox->claim);
    if (is_set("lie", "hide")) {
        // It has begun nothing, it says.
        capelet_swap64(&outbox->claim, claim, capelet_claim(capelet_claimed(claim) - 1, capelet_limit(claim)));
        _exit(3);
    }
    if (is_set("lie", "all")) {
        // It has begun everything.
        capelet_swap64(&outbox->claim, claim, capelet_claim(capelet_limit(claim), capelet_limit(claim)));
        _exit(3);
    }
    if (is_set("lie", "wild")) {
        capelet_store64(&outbox->claim, capelet_claim(capelet_claimed(claim) + 70000, capelet_limit(claim) + 12345));
        _exit(3);
    }
    if (is_set("lie", "kill")) kill(getpid(), SIGKILL);
    abort();
}

static int32_t poison(void *state, const capelet_event *event, capelet_result *result) {
    (void)state, (void)result;
    char buffer[256];
    record_line('B', event);
    bool is_it = strstr(fixture_payload(event, buffer, sizeof buffer), "poison") != NULL;
    if (is_set("lie", "early")) {
        // Dies already while it has another event in hand, as soon as the poison lies in its inbox.
        uint64_t claim = capelet_load64(&outbox->claim);
        for (uint32_t number = capelet_claimed(claim); number != capelet_limit(claim); number++) is_it = is_it || is_poison(number);
    }
    sleep_micros(setting("micros", 0));
    if (is_it) die_lying();
    record_line('E', event);
    return CAPELET_SUCCESS;
}

static void poison_batch(void *state, const capelet_event *const *events, size_t count, int32_t *statuses, capelet_result *const *results) {
    for (size_t i = 0; i < count; i++) statuses[i] = poison(state, events[i], results[i]);
}

// MARK: flood: keeps the host busy in the way that the payload names, for as long as it is let

static void ring_bells(void) {
    // Every eventfd that this process has; one of them is the bell.
    uint64_t one = 1;
    int bells[64], count = 0;
    for (int descriptor = 0; descriptor < 256 && count < 64; descriptor++) {
        char path[64], target[64] = "";
        snprintf(path, sizeof path, "/proc/self/fd/%d", descriptor);
        if (readlink(path, target, sizeof target - 1) > 0 && strstr(target, "eventfd")) bells[count++] = descriptor;
    }
    for (;;) for (int i = 0; i < count; i++) if (write(bells[i], &one, sizeof one) < 0 && errno == EBADF) return;
}

static void move_claims(void) {
    for (;;) {
        uint64_t claim = capelet_load64(&outbox->claim);
        capelet_swap64(&outbox->claim, claim, capelet_claim(capelet_claimed(claim) + 1, capelet_limit(claim)));
        capelet_swap64(&outbox->claim, capelet_load64(&outbox->claim), claim);
    }
}

/// Writes one frame straight into the ring, over the head of the library. Waits for room.
static void put_frame(int type, uint64_t token, const void *body, uint32_t size) {
    static uint64_t written;
    if (written == 0) written = capelet_load64(&outbox->written);
    uint32_t whole = (uint32_t)sizeof(struct capelet_frame) + size, padded = (whole + 7) & ~7u;
    for (;;) {
        uint32_t position = (uint32_t)(written % CAPELET_RING_SIZE), left = CAPELET_RING_SIZE - position;
        uint32_t needed = padded <= left ? padded : left;
        while (CAPELET_RING_SIZE - (uint32_t)(written - capelet_load64(&inbox->consumed)) < needed) {}
        struct capelet_frame frame = {.size = whole, .type = (uint8_t)type, .token = token};
        if (padded <= left) {
            memcpy(outbox->ring + position, &frame, sizeof frame);
            if (size > 0) memcpy(outbox->ring + position + sizeof frame, body, size);
        } else if (left >= sizeof frame) {
            frame = (struct capelet_frame){.size = left, .type = CAPELET_FRAME_PAD};
            memcpy(outbox->ring + position, &frame, sizeof frame);
        }
        written += needed;
        capelet_store64(&outbox->written, written);
        if (padded <= left) return;
    }
}

/// Nothing but ends of the ring.
static void put_padding(void) {
    for (uint64_t written = capelet_load64(&outbox->written);;) {
        uint32_t position = (uint32_t)(written % CAPELET_RING_SIZE), left = CAPELET_RING_SIZE - position;
        while (CAPELET_RING_SIZE - (uint32_t)(written - capelet_load64(&inbox->consumed)) < left) {}
        struct capelet_frame frame = {.size = left, .type = CAPELET_FRAME_PAD};
        if (left >= sizeof frame) memcpy(outbox->ring + position, &frame, sizeof frame);
        written += left;
        capelet_store64(&outbox->written, written);
    }
}

static void put_emits(uint64_t token) {
    struct {
        struct capelet_frame_emit sizes;
        char text[8];
    } body = {.sizes = {.domain_size = 4, .subject_size = 1}, .text = "works"};
    for (;;) put_frame(CAPELET_FRAME_EMIT, token, &body, sizeof body.sizes + 5);
}

static int32_t flood(void *state, const capelet_event *event, capelet_result *result) {
    (void)state, (void)result;
    char buffer[256];
    const char *word = word_of(event, buffer, sizeof buffer);
    if (!strcmp(word, "bells")) ring_bells();
    if (!strcmp(word, "claims")) move_claims();
    if (!strcmp(word, "logs")) for (;;) fixture_log(event->token, "x");
    if (!strcmp(word, "lines")) {
        char line[1024];
        memset(line, 'x', sizeof line);
        line[sizeof line - 1] = '\n';
        for (;;) if (write(2, line, sizeof line) < 0) abort();
    }
    if (!strcmp(word, "beats")) for (;;) fixture_host->extend(fixture_host, event->token, 100);
    if (!strcmp(word, "emits")) put_emits(event->token);
    if (!strcmp(word, "results")) for (uint64_t i = 1;; i++) put_frame(CAPELET_FRAME_RESULT, event->token + (i << 24), NULL, 0);
    if (!strcmp(word, "padding")) put_padding();
    if (!strcmp(word, "nothing")) for (;;) pause();
    return CAPELET_SUCCESS;
}

#define LAMBDA(title, begin, ...) {.struct_size = sizeof(capelet_lambda), .name = title, .start = begin, __VA_ARGS__}

static const capelet_lambda all[] = {
    LAMBDA("use", fixture_start, .handle = use),
    LAMBDA("poison", start_poison, .handle = poison),
    LAMBDA("poison-batch", start_poison, .handle_batch = poison_batch, .batch_max = 64),
    LAMBDA("flood", start_poison, .handle = flood),
};
static const capelet_lambda *pointers[sizeof all / sizeof *all];
static capelet_plugin plugin = {
    .struct_size = sizeof(capelet_plugin), .abi_version = CAPELET_ABI_VERSION, .version = "1", .lambdas = pointers};

const capelet_plugin *capelet_plugin_v1(void) {
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) pointers[i] = &all[i];
    plugin.lambda_count = sizeof all / sizeof *all;
    return &plugin;
}

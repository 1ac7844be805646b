// The lambdas of the integration tests, which run them under a real host. Compiled once for each value of VERSION.
#include "fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>

#ifndef VERSION
#define VERSION "1"
#endif

#define TEXT(bytes) (int)(bytes).size, (const char *)(bytes).data

/// One line, by one write, into a file of the state folder: lines of several workers never mix.
static void note(const char *file, const char *line, size_t size) {
    char path[4096];
    snprintf(path, sizeof path, "%.*s/%s", TEXT(fixture_host->state_directory), file);
    int descriptor = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (descriptor < 0 || write(descriptor, line, size) != (ssize_t)size) abort();
    close(descriptor);
}

static long setting(const char *key, long fallback) {
    capelet_bytes value = {0};
    char text[32] = "";
    if (fixture_host->config(fixture_host, key, &value) != 0 || value.size >= sizeof text) return fallback;
    memcpy(text, value.data, value.size);
    return atol(text);
}

static void sleep_micros(long micros) {
    if (micros <= 0) return;
    struct timespec time = {micros / 1000000, micros % 1000000 * 1000};
    nanosleep(&time, NULL);
}

// MARK: record: writes down when it begins and ends with an event; config `micros` is what it takes in between

static void record_line(char mark, const capelet_event *event) {
    char line[2048];
    int size = snprintf(line, sizeof line, "%c %.*s %llu %u %d %u " VERSION "\n", mark, TEXT(event->subject),
                        (unsigned long long)event->sequence, event->attempt, getpid(), event->flags);
    note("record", line, (size_t)size);
}

static int32_t record(void *state, const capelet_event *event, capelet_result *result) {
    (void)state, (void)result;
    record_line('B', event);
    sleep_micros(setting("micros", 0));
    record_line('E', event);
    fixture_host->output(fixture_host, event->token, event->payload.data, event->payload.size);
    return CAPELET_SUCCESS;
}

// MARK: emit-copy: emits a copy of the event into the domain that config `to` names; the host gives it its id

static int32_t emit_copy(void *state, const capelet_event *event, capelet_result *result) {
    (void)state, (void)result;
    char type[64];
    capelet_emit copy = {.struct_size = sizeof copy, .subject = event->subject, .payload = event->payload};
    fixture_host->config(fixture_host, "to", &copy.domain);
    copy.type = (capelet_bytes){type, (size_t)snprintf(type, sizeof type, "copy-%llu", (unsigned long long)event->offset)};
    if (fixture_host->emit(fixture_host, event->token, &copy) != 0) return CAPELET_FATAL;
    sleep_micros(setting("micros", 0));
    return CAPELET_SUCCESS;
}

// MARK: obey: ends as the payload says

static int32_t obey(void *state, const capelet_event *event, capelet_result *result) {
    (void)state;
    char word[256];
    fixture_payload(event, word, sizeof word);
    // A JSON string comes with its quotes.
    char *text = word;
    if (text[0] == '"') {
        text++;
        if (strlen(text) > 0) text[strlen(text) - 1] = 0;
    }
    record_line('B', event);
    fixture_log(event->token, "%s", text);
    unsigned wanted = 0;
    if (sscanf(text, "success at %u", &wanted) == 1) {
        snprintf(result->message, sizeof result->message, "attempt %u of %u", event->attempt, wanted);
        if (event->attempt < wanted) return CAPELET_RETRY;
    } else if (!strcmp(text, "unless mended")) {
        char path[4096];
        snprintf(path, sizeof path, "%.*s/mended", TEXT(fixture_host->state_directory));
        strcpy(result->message, "not mended yet");
        if (access(path, F_OK) != 0) return CAPELET_RETRY;
    } else if (!strcmp(text, "retry")) {
        strcpy(result->message, "not today");
        return CAPELET_RETRY;
    } else if (!strcmp(text, "fatal")) {
        strcpy(result->message, "not in this life");
        return CAPELET_FATAL;
    } else if (!strcmp(text, "abort")) {
        fprintf(stderr, "the invariant does not hold\n");
        abort();
    } else if (!strcmp(text, "exit")) {
        exit(0);
    } else if (!strcmp(text, "sleep")) {
        for (;;) pause();
    } else if (!strcmp(text, "spin")) {
        for (volatile int i = 0;; i++) {}
    } else if (!strcmp(text, "emit to nowhere")) {
        capelet_emit emit = {.struct_size = sizeof emit, .domain = {"nowhere", 7}, .subject = {"s", 1}, .type = {"t", 1}};
        fixture_host->emit(fixture_host, event->token, &emit);
    }
    record_line('E', event);
    return CAPELET_SUCCESS;
}

// MARK: label: puts out its own name and what it got from upstream

static int32_t label(void *state, const capelet_event *event, capelet_result *result) {
    (void)state, (void)result;
    char line[4096];
    size_t at = (size_t)snprintf(line, sizeof line, "%.*s(", TEXT(fixture_host->lambda));
    if (event->input_count == 0) at += (size_t)snprintf(line + at, sizeof line - at, "%.*s", TEXT(event->payload));
    for (uint32_t i = 0; i < event->input_count && at < sizeof line - 1; i++)
        at += (size_t)snprintf(line + at, sizeof line - at, "%s%.*s=%.*s", i ? "," : "", TEXT(event->inputs[i].lambda),
                               TEXT(event->inputs[i].output));
    if (at < sizeof line - 2) at += (size_t)snprintf(line + at, sizeof line - at, ")");
    fixture_host->output(fixture_host, event->token, line, at);
    line[at] = '\n';
    note("outputs", line, at + 1);
    return CAPELET_SUCCESS;
}

// MARK: files: writes down what a directory source announces

static int32_t files(void *state, const capelet_event *event, capelet_result *result) {
    (void)state, (void)result;
    char line[4096];
    int size = snprintf(line, sizeof line, "%.*s %.*s %llu\n", TEXT(event->type), TEXT(event->subject), (unsigned long long)event->offset);
    note("files", line, (size_t)size);
    return CAPELET_SUCCESS;
}

// MARK: knock: asks the host's Unix socket, whose path is the payload, for a reload, and writes down what it answers

static int32_t knock(void *state, const capelet_event *event, capelet_result *result) {
    (void)state, (void)result;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    // A JSON string comes with its quotes.
    if (event->payload.size >= 2 && event->payload.size - 2 < sizeof address.sun_path)
        memcpy(address.sun_path, (const char *)event->payload.data + 1, event->payload.size - 2);
    char answer[512] = "";
    int descriptor = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (descriptor >= 0 && connect(descriptor, (struct sockaddr *)&address, sizeof address) == 0) {
        static const char request[] =
            "POST /v1/admin/reload HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}";
        ssize_t count = -1;
        if (write(descriptor, request, sizeof request - 1) > 0) count = read(descriptor, answer, sizeof answer - 1);
        answer[count > 0 ? count : 0] = 0;
        answer[strcspn(answer, "\r\n")] = 0;
    } else {
        snprintf(answer, sizeof answer, "error %d", errno);
    }
    if (descriptor >= 0) close(descriptor);
    strcat(answer, "\n");
    note("answers", answer, strlen(answer));
    return CAPELET_SUCCESS;
}

#ifdef LOAD_MILLIS
__attribute__((constructor)) static void load_slowly(void) { sleep_micros(LOAD_MILLIS * 1000L); }
#endif

static int32_t start(const capelet_host *host, void **state, capelet_result *result) {
#ifdef START_ABORTS
    fprintf(stderr, "start gives up\n");
    abort();
#endif
    return fixture_start(host, state, result);
}

#define LAMBDA(title, function) \
    {.struct_size = sizeof(capelet_lambda), .name = title, .start = start, .handle = function}

static const capelet_lambda all[] = {
    LAMBDA("record", record), LAMBDA("emit-copy", emit_copy), LAMBDA("label", label), LAMBDA("files", files), LAMBDA("knock", knock),
#ifndef WITHOUT_OBEY
    LAMBDA("obey", obey),
#endif
};
static const capelet_lambda *pointers[sizeof all / sizeof *all];
static capelet_plugin plugin = {
    .struct_size = sizeof(capelet_plugin), .abi_version = CAPELET_ABI_VERSION, .version = VERSION, .lambdas = pointers};

#ifdef WITHOUT_OBEY
void *const keeps_warnings_away = (void *)obey;
#endif

const capelet_plugin *capelet_plugin_v1(void) {
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) pointers[i] = &all[i];
    plugin.lambda_count = sizeof all / sizeof *all;
    return &plugin;
}

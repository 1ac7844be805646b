/*
 * audit_log.c - the lambda `audit-log`: an append-only log of every event, tamper-evident by a chain of hashes.
 *
 * Invariants
 * - The file is only touched under an exclusive lock (flock on FILE.lock), which is held for one batch at a time. So during a reload the
 *   old and the new worker take turns, and several workers may share one file. Whoever gets the lock first reads what
 *   others have appended since: the chain in memory always equals the file.
 * - An event succeeds only after its record is on disk (fdatasync). One fdatasync serves a whole batch.
 * - A failed write leaves nothing: it is cut back. Where even that fails, or the process dies, the next one to take the lock finds the
 *   beginning of a record after the last whole one and cuts it off.
 * - `repeat` is exact: it says whether this file has a record of the same domain and offset before.
 *
 * Threads: the one on which Capelet calls; none of its own.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "chain.h"
#include "plugin_config.h"

/** For the builder to set: what `capelet lambdas` shows as the plugin's version. */
#ifndef AUDIT_LOG_VERSION
#define AUDIT_LOG_VERSION "0.1.0"
#endif

enum { BATCH_MAX = 256, FILE_NAME_MAX = 200 };

/** A record of the batch that is being written. */
typedef struct pending_record {
    size_t event;
    size_t domain;
    uint64_t offset;
    bool repeat;
} pending_record;

/** The state of one worker. */
typedef struct audit {
    const capelet_host *host;
    uint64_t lock_wait_millis;
    /** The names within the state folder, and the file's full path for messages. */
    char *name;
    char *lock_name;
    char *path;
    /** Descriptors; -1: not open. */
    int directory;
    int lock;
    int file;
    chain chain;
    /** The chain in memory is not to be trusted any more: read the file from the start. */
    bool stale;
    text batch;
    pending_record pending[BATCH_MAX];
    /** Why the last step failed, for the operator. */
    char problem[512];
} audit;

static bool failed(audit *a, const char *format, ...) __attribute__((format(printf, 2, 3)));
static bool failed(audit *a, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(a->problem, sizeof a->problem, format, arguments);
    va_end(arguments);
    return false;
}

static void say(audit *a, int32_t level, const char *format, ...) __attribute__((format(printf, 3, 4)));
static void say(audit *a, int32_t level, const char *format, ...)
{
    char line[1024];
    va_list arguments;
    va_start(arguments, format);
    int size = vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    if (size > 0) a->host->log(a->host, 0, level, line, (size_t)size < sizeof line ? (size_t)size : sizeof line - 1);
}

static uint64_t now_millis(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void close_file(int *file)
{
    if (*file >= 0) close(*file);
    *file = -1;
}

/** Whether `name` in the state folder is still the file that is open as `file`. */
static bool is_still(const audit *a, int file, const char *name)
{
    struct stat open_one, named_one;
    return fstat(file, &open_one) == 0 && fstatat(a->directory, name, &named_one, AT_SYMLINK_NOFOLLOW) == 0
        && open_one.st_ino == named_one.st_ino && open_one.st_dev == named_one.st_dev;
}

static int open_in_folder(const audit *a, const char *name)
{
    return openat(a->directory, name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY, 0640);
}

/** Takes the lock, waiting for it at most `lock-wait`. `token` is the event that waits, or 0. */
static bool take_lock(audit *a, uint64_t token)
{
    uint64_t deadline = now_millis() + a->lock_wait_millis;
    struct timespec pause = {.tv_nsec = 1000000};
    for (;;) {
        if (a->lock < 0 && (a->lock = open_in_folder(a, a->lock_name)) < 0)
            return failed(a, "%s.lock: cannot open it: %s", a->path, strerror(errno));
        if (flock(a->lock, LOCK_EX | LOCK_NB) == 0) {
            if (is_still(a, a->lock, a->lock_name)) return true;
            close_file(&a->lock); // The lock file was removed: what we hold is a lock on nothing.
        } else if (errno != EWOULDBLOCK && errno != EINTR) {
            return failed(a, "%s.lock: cannot lock it: %s", a->path, strerror(errno));
        }
        if (now_millis() >= deadline)
            return failed(a, "%s is in use: another process has held the lock on %s.lock for %llu ms. End that process, or raise "
                          "`lock-wait`", a->path, a->name, (unsigned long long)a->lock_wait_millis);
        if (token != 0 && a->host->is_cancelled(a->host, token))
            return failed(a, "cancelled while another process held the lock on %s.lock", a->path);
        nanosleep(&pause, NULL);
        if (pause.tv_nsec < 16000000) pause.tv_nsec *= 2;
    }
}

static void give_lock(audit *a)
{
    if (a->lock >= 0) flock(a->lock, LOCK_UN);
}

static bool open_file(audit *a)
{
    struct stat status;
    a->file = open_in_folder(a, a->name);
    if (a->file < 0) return failed(a, "%s: cannot open it: %s", a->path, strerror(errno));
    if (fstat(a->file, &status) != 0 || !S_ISREG(status.st_mode)) {
        close_file(&a->file);
        return failed(a, "%s is not an ordinary file: move it away, or choose another name with `file`", a->path);
    }
    // A file that was just made is on disk only when its folder is.
    if (fsync(a->directory) != 0) {
        int error = errno;
        close_file(&a->file);
        return failed(a, "%s: cannot sync its folder: %s", a->path, strerror(error));
    }
    chain_free(&a->chain);
    chain_init(&a->chain);
    return true;
}

/** Cuts off the beginning of a record that somebody did not finish. */
static bool cut_torn_tail(audit *a, uint64_t bytes)
{
    if (ftruncate(a->file, (off_t)a->chain.end) != 0 || fdatasync(a->file) != 0)
        return failed(a, "%s: cannot cut off %llu bytes of an unfinished record: %s", a->path, (unsigned long long)bytes, strerror(errno));
    say(a, CAPELET_LOG_WARNING, "%s: cut off %llu bytes of an unfinished record after record %llu (a crash in the middle of a write)",
        a->path, (unsigned long long)bytes, (unsigned long long)a->chain.records);
    return true;
}

/** Under the lock: opens the file if need be, and reads what was appended since the last time. */
static bool catch_up(audit *a)
{
    struct stat status;
    if (a->file >= 0 && !is_still(a, a->file, a->name)) {
        say(a, CAPELET_LOG_WARNING, "%s was moved, removed or replaced; it had %llu records, the last hash was %.64s", a->path,
            (unsigned long long)a->chain.records, a->chain.hash);
        close_file(&a->file);
    }
    if (a->file < 0 && !open_file(a)) return false;
    if (a->stale) {
        chain_free(&a->chain);
        chain_init(&a->chain);
        a->stale = false;
    }
    if (fstat(a->file, &status) != 0) return failed(a, "%s: cannot get its size: %s", a->path, strerror(errno));
    if ((uint64_t)status.st_size == a->chain.end) return true;
    if ((uint64_t)status.st_size < a->chain.end)
        return failed(a, "%s lost records while in use: it has %lld bytes, %llu were written. Keep it as evidence: move it away (a new "
                      "chain begins)", a->path, (long long)status.st_size, (unsigned long long)a->chain.end);

    chain_report report = chain_read(&a->chain, a->file, NULL, NULL);
    switch (report.how) {
    case CHAIN_WHOLE:
        return true;
    case CHAIN_TORN:
        return cut_torn_tail(a, report.torn_bytes);
    case CHAIN_BROKEN:
        return failed(a, "%s line %llu: %s. The log was changed or is damaged. Keep a copy as evidence; then restore the file from a "
                      "backup, or move it away (a new chain begins), and reload", a->path, (unsigned long long)report.line, report.problem);
    case CHAIN_UNREADABLE:
        return failed(a, "%s: cannot read it: %s", a->path, strerror(report.error));
    case CHAIN_NO_MEMORY:
        break;
    }
    a->stale = true;
    return failed(a, "%s: not enough memory for what has been recorded: raise the lambda's `memory`", a->path);
}

/** Writes the batch after the last record and waits until it is on disk. What cannot be finished is cut back. */
static bool append_batch(audit *a)
{
    struct rlimit limit;
    size_t written = 0;
    // Writing past this limit raises SIGXFSZ, which would end the worker: look first.
    if (getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY && a->chain.end + a->batch.size > limit.rlim_cur)
        return failed(a, "%s has reached the largest size this lambda may write (%llu bytes): raise its `file-size`, or move the file away",
                      a->path, (unsigned long long)limit.rlim_cur);
    while (written < a->batch.size) {
        ssize_t count = pwrite(a->file, a->batch.data + written, a->batch.size - written, (off_t)(a->chain.end + written));
        if (count > 0) {
            written += (size_t)count;
            continue;
        }
        if (count == 0) errno = ENOSPC;
        if (errno != EINTR) break;
    }
    int error = written < a->batch.size ? errno : fdatasync(a->file) != 0 ? errno : 0;
    if (error == 0) return true;
    if (ftruncate(a->file, (off_t)a->chain.end) != 0)
        say(a, CAPELET_LOG_ERROR, "%s: cannot cut back a failed write: %s; this is done before the next write", a->path, strerror(errno));
    const char *advice = error == ENOSPC ? ": free space on its disk"
                       : error == EDQUOT ? ": raise the disk quota or free space"
                       : error == EFBIG  ? ": the file system takes no larger file; move it away"
                                         : "";
    return failed(a, "%s: cannot write %zu bytes: %s%s", a->path, a->batch.size, strerror(error), advice);
}

static bool is_repeat(const audit *a, size_t domain, uint64_t offset, size_t pending_count, uint64_t *highest)
{
    if (offset_set_contains(&a->chain.domains[domain].offsets, offset)) return true;
    // Within a batch offsets nearly always rise, and one above all others cannot be among them.
    if (pending_count > 0 && offset <= *highest)
        for (size_t i = 0; i < pending_count; i++)
            if (a->pending[i].offset == offset && a->pending[i].domain == domain) return true;
    if (pending_count == 0 || offset > *highest) *highest = offset;
    return false;
}

static void set_outcome(int32_t *status, capelet_result *result, int32_t outcome, const char *message)
{
    *status = outcome;
    snprintf(result->message, sizeof result->message, "%s", message);
}

/** Under the lock and caught up: makes records of the events and writes them. Sets every status. */
static void record_events(audit *a, const capelet_event *const *events, size_t count, int32_t *statuses, capelet_result *const *results)
{
    char hash[SHA256_HEX];
    size_t pending_count = 0;
    uint64_t highest = 0;
    memcpy(hash, a->chain.hash, sizeof hash);
    a->batch.size = 0;
    for (size_t i = 0; i < count; i++) {
        slice name;
        size_t start = a->batch.size, domain = 0;
        bool repeat = false;
        statuses[i] = CAPELET_SUCCESS;
        record_status made = record_begin(&a->batch, a->chain.records + pending_count + 1, events[i], &name);
        if (made == RECORD_WRITTEN && (domain = chain_domain_index(&a->chain, name)) == SIZE_MAX) {
            a->batch.size = start;
            made = RECORD_NO_MEMORY;
        }
        if (made == RECORD_WRITTEN) {
            repeat = is_repeat(a, domain, events[i]->offset, pending_count, &highest);
            made = record_end(&a->batch, start, repeat, hash);
        }
        if (made == RECORD_NO_MEMORY)
            set_outcome(&statuses[i], results[i], CAPELET_RETRY, "not enough memory for the record: raise the lambda's `memory`");
        else if (made == RECORD_NOT_UTF8)
            set_outcome(&statuses[i], results[i], CAPELET_FATAL, "cannot be recorded: its domain, subject, type or id is not UTF-8");
        else if (made == RECORD_TOO_LONG)
            set_outcome(&statuses[i], results[i], CAPELET_FATAL, "cannot be recorded: the record would be longer than 64 KiB");
        else
            a->pending[pending_count++] = (pending_record){i, domain, events[i]->offset, repeat};
    }
    if (pending_count == 0) return;
    if (!append_batch(a)) {
        for (size_t i = 0; i < pending_count; i++)
            set_outcome(&statuses[a->pending[i].event], results[a->pending[i].event], CAPELET_RETRY, a->problem);
        return;
    }
    a->chain.end += a->batch.size;
    a->chain.records += pending_count;
    memcpy(a->chain.hash, hash, sizeof hash);
    for (size_t i = 0; i < pending_count; i++) {
        const pending_record *one = &a->pending[i];
        a->chain.repeats += one->repeat;
        // The records are safe, only the memory of them is not complete: read it from the file again next time.
        if (!one->repeat && offset_set_insert(&a->chain.domains[one->domain].offsets, one->offset) < 0) a->stale = true;
    }
}

static void audit_handle_batch(void *state, const capelet_event *const *events, size_t count, int32_t *statuses,
                               capelet_result *const *results)
{
    audit *a = state;
    for (size_t done = 0, part; done < count; done += part) {
        part = count - done < BATCH_MAX ? count - done : BATCH_MAX;
        bool locked = take_lock(a, events[done]->token);
        if (locked && catch_up(a)) {
            record_events(a, events + done, part, statuses + done, results + done);
        } else {
            for (size_t i = done; i < done + part; i++) set_outcome(&statuses[i], results[i], CAPELET_RETRY, a->problem);
        }
        if (locked) give_lock(a);
    }
}

static int32_t audit_handle(void *state, const capelet_event *event, capelet_result *result)
{
    int32_t status = CAPELET_RETRY;
    audit_handle_batch(state, &event, 1, &status, &result);
    return status;
}

static void audit_free(audit *a)
{
    close_file(&a->file);
    close_file(&a->lock);
    close_file(&a->directory);
    chain_free(&a->chain);
    text_free(&a->batch);
    free(a->name);
    free(a->lock_name);
    free(a->path);
    free(a);
}

static void audit_stop(void *state)
{
    audit *a = state;
    say(a, CAPELET_LOG_INFO, "%s: %llu records, %llu repeats, last hash %.64s", a->path, (unsigned long long)a->chain.records,
        (unsigned long long)a->chain.repeats, a->chain.hash);
    audit_free(a);
}

static char *join(capelet_bytes left, const char *middle, const char *right)
{
    size_t middle_size = strlen(middle), right_size = strlen(right);
    char *joined = malloc(left.size + middle_size + right_size + 1);
    if (joined == NULL) return NULL;
    if (left.size > 0) memcpy(joined, left.data, left.size);
    memcpy(joined + left.size, middle, middle_size);
    memcpy(joined + left.size + middle_size, right, right_size + 1);
    return joined;
}

/** Reads the configuration and opens the state folder. */
static int32_t configure(audit *a, capelet_result *result)
{
    static const char *const known[] = {"file", "lock-wait", NULL};
    const capelet_host *host = a->host;
    capelet_bytes file = {"audit.jsonl", 11};
    if (config_refuse_unknown(host, known, result) != 0) return -1;
    if (config_duration(host, "lock-wait", 0, 3600000, &a->lock_wait_millis, result) != 0) return -1;
    host->config(host, "file", &file);
    bool dots = (file.size == 1 || file.size == 2) && memcmp(file.data, "..", file.size) == 0;
    if (file.size == 0 || file.size > FILE_NAME_MAX || dots || memchr(file.data, '/', file.size) != NULL
        || memchr(file.data, 0, file.size) != NULL)
        return config_failure(result, "config file: write the name of a file in the lambda's state folder, without `/`, at most %d bytes",
                              FILE_NAME_MAX);
    a->name = join(file, "", "");
    a->lock_name = a->name == NULL ? NULL : join(file, ".lock", "");
    a->path = a->lock_name == NULL ? NULL : join(host->state_directory, "/", a->name);
    char *directory = a->path == NULL ? NULL : join(host->state_directory, "", "");
    if (directory == NULL) return config_failure(result, "not enough memory to start: raise the lambda's `memory`");
    a->directory = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int error = errno;
    free(directory);
    if (a->directory < 0) return config_failure(result, "cannot open the state folder of %s: %s", a->path, strerror(error));
    return 0;
}

static int32_t audit_start(const capelet_host *host, void **state, capelet_result *result)
{
    audit *a = calloc(1, sizeof *a);
    if (a == NULL) return config_failure(result, "not enough memory to start: raise the lambda's `memory`");
    a->host = host;
    a->lock_wait_millis = 5000;
    a->directory = a->lock = a->file = -1;
    chain_init(&a->chain);
    if (configure(a, result) != 0) {
        audit_free(a);
        return -1;
    }
    bool locked = take_lock(a, 0);
    if (!locked || !catch_up(a)) {
        config_failure(result, "%s", a->problem);
        audit_free(a); // closing gives the lock back
        return -1;
    }
    give_lock(a);
    say(a, CAPELET_LOG_INFO, "%s: %llu records, %llu repeats, last hash %.64s", a->path, (unsigned long long)a->chain.records,
        (unsigned long long)a->chain.repeats, a->chain.hash);
    *state = a;
    return 0;
}

const capelet_plugin *capelet_plugin_v1(void)
{
    static const capelet_lambda audit_log = {
        .struct_size = sizeof audit_log,
        .name = "audit-log",
        .summary = "appends every event to a tamper-evident log (audit.jsonl)",
        .start = audit_start,
        .stop = audit_stop,
        .handle = audit_handle,
        .handle_batch = audit_handle_batch,
        .batch_max = BATCH_MAX,
    };
    static const capelet_lambda *const lambdas[] = {&audit_log};
    static const capelet_plugin plugin = {
        .struct_size = sizeof plugin,
        .abi_version = CAPELET_ABI_VERSION,
        .version = AUDIT_LOG_VERSION,
        .lambda_count = 1,
        .lambdas = lambdas,
    };
    return &plugin;
}

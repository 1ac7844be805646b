/*
 * capelet.h - the plugin interface of Capelet, version 1.
 *
 * A plugin is a shared object that exports one function, `capelet_plugin_v1`. It returns a table of lambdas. A plugin links
 * nothing of Capelet: what it may ask of its host comes in as a table of functions (`capelet_host`).
 *
 * Growth. Every structure that may grow begins with its own size in bytes (`struct_size`), set by whoever made the structure. A
 * reader uses a field only if it lies within that size. Fields are only ever appended; a change that cannot be made so
 * gets a new entry point (`capelet_plugin_v2`). Arrays hold pointers, so that elements may grow too.
 *
 * Bytes. Strings and payloads are `capelet_bytes`: pointer and length, not terminated, possibly empty (the pointer of an
 * empty one may be NULL). Subjects, types, ids and header names are UTF-8.
 *
 * Lifetime. What an event points to is valid until `handle` (or `handle_batch`) returns, also when it returns
 * CAPELET_PENDING: a handler that goes on later copies what it needs first.
 *
 * Threads. Capelet calls `start`, `handle`, `handle_batch` and `stop` of one worker from one thread, one after another.
 * The functions of `capelet_host` may be called from any thread.
 *
 * Processes. Loading must not start threads (a plugin that does is run without template forking, which is slower).
 * Load-time constructors run before the process is forked; `start` runs once in each worker process.
 *
 * Licensed under the Apache License, Version 2.0.
 */
#ifndef CAPELET_H
#define CAPELET_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/** The version of this interface. A host refuses a plugin that was built for a newer one. */
#define CAPELET_ABI_VERSION 1u

/** Marks the entry point as visible, whatever the compiler's default visibility. */
#if defined(__GNUC__) || defined(__clang__)
#define CAPELET_EXPORT __attribute__((visibility("default")))
#else
#define CAPELET_EXPORT
#endif

/** Bytes or text: `size` bytes from `data`. Not terminated. This structure never grows. */
typedef struct capelet_bytes {
    const void *data;
    size_t size;
} capelet_bytes;

/** One header of an event: a name (lower case) and a value. This structure never grows. */
typedef struct capelet_header {
    capelet_bytes name;
    capelet_bytes value;
} capelet_header;

/** What one upstream lambda (`after:`) put out for this same event. This structure never grows. */
typedef struct capelet_input {
    capelet_bytes lambda;
    capelet_bytes output;
} capelet_input;

/** Bits of `capelet_event.flags`. */
enum {
    /** An operator took this event out of the dead letters. It may come out of the order of its subject. */
    CAPELET_EVENT_REDRIVEN = 1u << 0,
    /** An operator asked for this event to be delivered again. It may come out of the order of its subject. */
    CAPELET_EVENT_REPLAYED = 1u << 1,
};

/** One event, as a lambda sees it. */
typedef struct capelet_event {
    uint32_t struct_size;
    /** 1 for the first run of this event by this lambda, then 2, 3 and so on. */
    uint32_t attempt;
    /** CAPELET_EVENT_... bits. */
    uint32_t flags;
    uint32_t header_count;
    /** Names this run of this event in calls to the host. Never 0, never used again. */
    uint64_t token;
    /** Increasing within the subject; gaps are legal. */
    uint64_t sequence;
    /** Position in the journal of the domain. */
    uint64_t offset;
    /** When it happened, in microseconds since 1970-01-01T00:00:00Z. */
    int64_t time_micros;
    capelet_bytes domain;
    capelet_bytes subject;
    capelet_bytes type;
    capelet_bytes id;
    capelet_bytes payload;
    /** `header_count` headers. A trace context travels as `traceparent` and `tracestate`. */
    const capelet_header *headers;
    /** `input_count` outputs of upstream lambdas; none without `after:`. */
    const capelet_input *inputs;
    uint32_t input_count;
    uint32_t reserved;
} capelet_event;

/** How a run ended, or that it has not yet. */
typedef enum capelet_status {
    /** Done. Outputs and emitted events are committed together with this. */
    CAPELET_SUCCESS = 0,
    /** Failed for now: the event comes again after a delay, up to the lambda's number of attempts. */
    CAPELET_RETRY = 1,
    /** Failed for good: the event is given up on at once, as the lambda's `exhausted:` setting says. */
    CAPELET_FATAL = 2,
    /** Not finished: `capelet_host.complete` will be called later, from any thread. */
    CAPELET_PENDING = 3,
} capelet_status;

/** More about how a run ended. The host hands it in zeroed, with `struct_size` set. */
typedef struct capelet_result {
    uint32_t struct_size;
    uint32_t reserved;
    /** With CAPELET_RETRY: not before this many milliseconds. 0: the lambda's own backoff decides. */
    uint64_t retry_after_millis;
    /** With CAPELET_RETRY or CAPELET_FATAL: why, for the operator. UTF-8, terminated; longer text is cut. */
    char message[512];
} capelet_result;

/** How grave a line in the log is. */
typedef enum capelet_level {
    CAPELET_LOG_TRACE = 0,
    CAPELET_LOG_DEBUG = 1,
    CAPELET_LOG_INFO = 2,
    CAPELET_LOG_NOTICE = 3,
    CAPELET_LOG_WARNING = 4,
    CAPELET_LOG_ERROR = 5,
} capelet_level;

/** An event that a lambda wants to come about. The host gives it offset, sequence and, where absent, id and time. */
typedef struct capelet_emit {
    uint32_t struct_size;
    uint32_t header_count;
    /** The domain to emit to. It has to be in the routing file. */
    capelet_bytes domain;
    capelet_bytes subject;
    capelet_bytes type;
    /** Empty: the host makes one from the emitting event and the number of the emit, so that a repeat is recognised. */
    capelet_bytes id;
    capelet_bytes payload;
    const capelet_header *headers;
} capelet_emit;

/** What the calls of `capelet_host` answer with, other than 0 for done. */
enum {
    /** An argument is wrong: unknown token, text that is not UTF-8, a missing subject. */
    CAPELET_EINVAL = -1,
    /** A limit was passed: output over 1 MiB, more than 1,000 emits, over 16 MiB in all. The event fails as fatal. */
    CAPELET_ELIMIT = -2,
    /** The run was already completed, or its deadline has passed. */
    CAPELET_EGONE = -3,
    /** There is no such configuration key. */
    CAPELET_ENOENT = -4,
};

/**
 * What a plugin may ask of its host. One table for each worker; valid from `start` until `stop` has returned. The first argument
 * of every function is the table itself. All functions may be called from any thread.
 */
typedef struct capelet_host capelet_host;
struct capelet_lambda;
struct capelet_host {
    uint32_t struct_size;
    uint32_t abi_version;

    /** The lambda's name in the routing file. Also the name under which others see its outputs. */
    capelet_bytes lambda;
    /** A folder of the lambda's own: writable, kept across restarts and reloads. Shared by all workers of the lambda. */
    capelet_bytes state_directory;
    /** The lambda's `config:` as one JSON object. */
    capelet_bytes config_json;
    /** 0 for the first worker of the lambda, then 1, 2 and so on, up to `workers:` - 1. */
    uint32_t worker_index;
    uint32_t reserved;

    /**
     * Looks up one configuration value as text. Nested keys are joined with dots: `retry.count`; list elements are numbered from 0.
     * Writes to `*value` bytes that stay valid until `stop`. Returns 0 or CAPELET_ENOENT.
     */
    int32_t (*config)(const capelet_host *host, const char *key, capelet_bytes *value);

    /** Writes a line to the lambda's log. `token` ties it to an event; 0 to none. Lines over 8 KiB are cut. */
    void (*log)(const capelet_host *host, uint64_t token, int32_t level, const char *text, size_t size);

    /**
     * Sets this event's output: the input of the lambdas that come `after:` this one. A second call replaces the first. Up to
     * 1 MiB. Kept only if the run succeeds. Returns 0, CAPELET_EINVAL, CAPELET_ELIMIT or CAPELET_EGONE.
     */
    int32_t (*output)(const capelet_host *host, uint64_t token, const void *data, size_t size);

    /**
     * Emits an event. It is committed with this run's success, exactly once, or not at all. Returns 0, CAPELET_EINVAL,
     * CAPELET_ELIMIT or CAPELET_EGONE. An unknown domain makes the run fail as fatal when it ends.
     */
    int32_t (*emit)(const capelet_host *host, uint64_t token, const capelet_emit *emit);

    /**
     * Heartbeat: asks for `millis` milliseconds from now before this run counts as timed out. The host grants it up to the
     * lambda's `timeout-max`. Returns 0, CAPELET_EINVAL or CAPELET_EGONE.
     */
    int32_t (*extend)(const capelet_host *host, uint64_t token, uint64_t millis);

    /**
     * Completes a run whose handler has returned CAPELET_PENDING. May be called before the handler has returned. `result` may be
     * NULL. Returns 0, CAPELET_EINVAL or CAPELET_EGONE (completed before, or too late).
     */
    int32_t (*complete)(const capelet_host *host, uint64_t token, int32_t status, const capelet_result *result);

    /** 1 when this run's result is no longer wanted (deadline, shutdown): stop as soon as you can. Otherwise 0. Cheap. */
    int32_t (*is_cancelled)(const capelet_host *host, uint64_t token);

    /**
     * Which lambda this worker runs: the very element of the plugin's table, so that several lambdas can share one `start`. Its name
     * may differ from `lambda`, since a routing file can use an entry under another name.
     */
    const struct capelet_lambda *entry;
};

/** Bits of `capelet_lambda.flags`. None is defined in version 1. */

/** One lambda of a plugin. */
typedef struct capelet_lambda {
    uint32_t struct_size;
    uint32_t flags;
    /** The name by which routing files refer to it: letters, digits, `-`, `_`, at most 64 bytes. */
    const char *name;
    /** One line for `capelet lambdas`. May be NULL. */
    const char *summary;
    /**
     * Called once in each worker, before the first event. `*state` is handed to all later calls. Anything but 0 is a
     * failed start; `result->message` may say why. May be NULL.
     */
    int32_t (*start)(const capelet_host *host, void **state, capelet_result *result);
    /** Called once when the worker ends in good order. May be NULL. */
    void (*stop)(void *state);
    /** Handles one event; returns a `capelet_status`. Required unless there is `handle_batch`. */
    int32_t (*handle)(void *state, const capelet_event *event, capelet_result *result);
    /**
     * Handles up to `batch_max` events at once; writes one `capelet_status` for each into `statuses`, and may fill in the result that
     * `results[i]` points to. Events of one subject appear in order. When one of them does not succeed, the host runs the later ones of its
     * subject again, whatever their status says. May be NULL.
     */
    void (*handle_batch)(void *state, const capelet_event *const *events, size_t count, int32_t *statuses,
                         capelet_result *const *results);
    /** The most events `handle_batch` takes at once, 1 to 1,024. 0 means 64. */
    uint32_t batch_max;
    uint32_t reserved;
    /**
     * Called on a thread of Capelet's own, beside a running handler, when `is_cancelled` turns 1 for a run. May be NULL. Must
     * return at once.
     */
    void (*cancel)(void *state, uint64_t token);
} capelet_lambda;

/** What a plugin's entry point returns. It and all it points to stay valid for the life of the process. */
typedef struct capelet_plugin {
    uint32_t struct_size;
    /** CAPELET_ABI_VERSION, as the plugin was compiled. */
    uint32_t abi_version;
    /** The plugin's own version, for `capelet lambdas`. May be NULL. */
    const char *version;
    size_t lambda_count;
    const capelet_lambda *const *lambdas;
} capelet_plugin;

/** The one function that a plugin exports. It must be cheap and free of side effects; it may be called more than once. */
CAPELET_EXPORT const capelet_plugin *capelet_plugin_v1(void);

#ifdef __cplusplus
}
#endif

#endif

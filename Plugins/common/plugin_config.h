/*
 * plugin_config.h - reading a lambda's `config:` in the C plugins: durations, switches, whole numbers and the keys of an object.
 *
 * Values are asked of the host one by one (`capelet_host.config`). Only the names of keys, which the host does not list, are
 * taken from its JSON: to refuse a misspelt key, and to find out which `headers.*` there are.
 *
 * Everything here is for `start`: one thread, no state. Error texts name the key and never quote a value, which may be secret.
 */
#ifndef CAPELET_PLUGIN_CONFIG_H
#define CAPELET_PLUGIN_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "capelet.h"

/** Writes the text of a failed start (printf style) into `result` and returns -1, for `return config_failure(...)`. */
int32_t config_failure(capelet_result *result, const char *format, ...) __attribute__((format(printf, 2, 3)));

/** Reads "500ms", "10s", "5m" or "1h" (a fraction is allowed: "1.5s") as milliseconds. False if `text` is something else. */
bool config_parse_duration(capelet_bytes text, uint64_t *millis);

/** Reads the duration `key`; an absent key leaves `*millis`. Returns 0, or -1 with the message in `result`. */
int32_t config_duration(const capelet_host *host, const char *key, uint64_t min, uint64_t max, uint64_t *millis, capelet_result *result);

/** Reads the whole number `key`; an absent key leaves `*number`. Returns 0, or -1 with the message in `result`. */
int32_t config_number(const capelet_host *host, const char *key, uint64_t min, uint64_t max, uint64_t *number, capelet_result *result);

/** Reads `true` or `false` under `key`; an absent key leaves `*value`. Returns 0, or -1 with the message in `result`. */
int32_t config_bool(const capelet_host *host, const char *key, bool *value, capelet_result *result);

/** Copies the text under `key` into new memory, terminated. NULL if the key is absent, holds a NUL byte, or memory is short. */
char *config_copy(const capelet_host *host, const char *key);

/** Is called with each key of an object, terminated. Anything but 0 ends the walk and is its answer. */
typedef int32_t config_visit(void *context, const char *key);

/**
 * Walks the keys of the JSON object `json`, or of the object under its key `inside` when that is not NULL (no such key, or null:
 * nothing to walk). Returns what `visit` did, or -1 when the text is not such JSON.
 */
int32_t config_keys(capelet_bytes json, const char *inside, config_visit *visit, void *context);

/** Refuses a key that is not in `known` (ended by NULL). Returns 0, or -1 with the message in `result`. */
int32_t config_refuse_unknown(const capelet_host *host, const char *const *known, capelet_result *result);

#endif

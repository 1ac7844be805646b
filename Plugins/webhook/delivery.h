/*
 * delivery.h - one request from event to outcome. A delivery is reused for event after event; at any time one thread owns it: the one that
 * calls `handle` while it is prepared, the transfer thread from then until it is settled.
 */
#ifndef CAPELET_WEBHOOK_DELIVERY_H
#define CAPELET_WEBHOOK_DELIVERY_H

#include <curl/curl.h>

#include "settings.h"

enum {
    /** The most of an answer's body that is kept, and the largest output. */
    ANSWER_BYTES_MAX = 64 * 1024,
    REDIRECTS_MAX = 5,
};

typedef struct delivery {
    const settings *settings;
    CURL *easy;
    struct curl_slist *headers;
    uint64_t token;
    /** When the whole of it has to be over, redirects included: CLOCK_MONOTONIC, milliseconds. */
    uint64_t deadline;
    unsigned redirects;
    char *answer;
    size_t answer_size;
    /** The answer's body went on beyond ANSWER_BYTES_MAX, and the transfer was ended for it. */
    bool answer_cut;
    char error[CURL_ERROR_SIZE];
    /** Handed to the transfer thread, and known to libcurl. */
    bool active;
    struct delivery *next;
} delivery;

/** Makes the request for `event`; copies all it needs. False if memory is short. */
bool delivery_prepare(delivery *delivery, const settings *settings, const capelet_event *event);

/**
 * Judges a transfer that ended with `code`: a capelet_status, and the message in `result`. CAPELET_PENDING: a redirect is to be followed,
 * the transfer goes on with the same handle.
 */
int32_t delivery_judge(delivery *delivery, CURLcode code, capelet_result *result);

/** Frees what belongs to the event; the handle stays for the next. */
void delivery_clear(delivery *delivery);
/** Frees everything. */
void delivery_free(delivery *delivery);

#endif

#include "delivery.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "request.h"

enum { QUOTED_BYTES = 200, RETRY_AFTER_SECONDS_MAX = 24 * 3600 };

static uint64_t now_millis(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static size_t take_answer(char *data, size_t one, size_t size, void *context)
{
    delivery *delivery = context;
    (void)one;
    size_t room = ANSWER_BYTES_MAX - delivery->answer_size;
    size_t kept = size < room ? size : room;
    if (delivery->answer == NULL && (delivery->answer = malloc(ANSWER_BYTES_MAX)) == NULL) return 0;
    memcpy(delivery->answer + delivery->answer_size, data, kept);
    delivery->answer_size += kept;
    delivery->answer_cut = kept < size;
    return kept; // less than `size` ends the transfer
}

static bool set_options(delivery *delivery, const capelet_event *event)
{
    CURL *easy = delivery->easy;
    const settings *settings = delivery->settings;
    return curl_easy_setopt(easy, CURLOPT_URL, settings->url) == CURLE_OK
        && curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https") == CURLE_OK
        && curl_easy_setopt(easy, CURLOPT_POST, 1L) == CURLE_OK
        && curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)event->payload.size) == CURLE_OK
        && curl_easy_setopt(easy, CURLOPT_COPYPOSTFIELDS, event->payload.size > 0 ? event->payload.data : "") == CURLE_OK
        && curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, settings->method) == CURLE_OK
        && curl_easy_setopt(easy, CURLOPT_HTTPHEADER, delivery->headers) == CURLE_OK
        && curl_easy_setopt(easy, CURLOPT_USERAGENT, "capelet-webhook/0.1.0") == CURLE_OK
        && curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)settings->timeout_millis) == CURLE_OK
        && curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)settings->timeout_millis) == CURLE_OK
        && curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L) == CURLE_OK
        && curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L) == CURLE_OK
        // A name that resolves slowly must not hold up the other transfers when this one is given up.
        && curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L) == CURLE_OK
        && curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, take_answer) == CURLE_OK
        && curl_easy_setopt(easy, CURLOPT_WRITEDATA, delivery) == CURLE_OK
        && curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, delivery->error) == CURLE_OK
        && curl_easy_setopt(easy, CURLOPT_PRIVATE, delivery) == CURLE_OK;
}

bool delivery_prepare(delivery *delivery, const settings *settings, const capelet_event *event)
{
    if (delivery->easy == NULL && (delivery->easy = curl_easy_init()) == NULL) return false;
    delivery->settings = settings;
    delivery->token = event->token;
    delivery->deadline = now_millis() + settings->timeout_millis;
    delivery->redirects = 0;
    delivery->answer_size = 0;
    delivery->answer_cut = false;
    delivery->error[0] = 0;
    delivery->headers = request_headers(settings, event);
    return delivery->headers != NULL && set_options(delivery, event);
}

void delivery_clear(delivery *delivery)
{
    // Resetting also frees the copy of the payload; connections belong to the multi handle and stay.
    if (delivery->easy != NULL) curl_easy_reset(delivery->easy);
    curl_slist_free_all(delivery->headers);
    free(delivery->answer);
    delivery->headers = NULL;
    delivery->answer = NULL;
    delivery->answer_size = 0;
    delivery->token = 0;
}

void delivery_free(delivery *delivery)
{
    delivery_clear(delivery);
    curl_easy_cleanup(delivery->easy);
    delivery->easy = NULL;
}

/** The answer's first bytes as one line of UTF-8. */
static void quote(const delivery *delivery, char out[QUOTED_BYTES + 1])
{
    size_t size = delivery->answer_size < QUOTED_BYTES ? delivery->answer_size : QUOTED_BYTES, used = 0;
    for (size_t i = 0; i < size;) {
        const uint8_t *p = (const uint8_t *)delivery->answer + i;
        size_t length = *p < 0x80 ? 1 : *p >= 0xC2 && *p < 0xE0 ? 2 : *p >= 0xE0 && *p < 0xF0 ? 3 : *p >= 0xF0 && *p < 0xF5 ? 4 : 0;
        if (length > size - i) break; // a character that was cut
        for (size_t k = 1; k < length; k++)
            if ((p[k] & 0xC0) != 0x80) length = 0;
        bool odd = (*p == 0xE0 && p[1] < 0xA0) || (*p == 0xED && p[1] > 0x9F) || (*p == 0xF0 && p[1] < 0x90) || (*p == 0xF4 && p[1] > 0x8F);
        if (length == 0 || (length > 1 && odd)) {
            out[used++] = '?';
            i++;
            continue;
        }
        memcpy(out + used, p, length);
        if (*p < 0x20 || *p == 0x7F) out[used] = ' ';
        used += length;
        i += length;
    }
    while (used > 0 && out[used - 1] == ' ') used--;
    out[used] = 0;
}

/** Points the handle at the place a redirect names. Only within the same scheme, host and port: the headers may hold secrets. */
static bool follow(delivery *delivery, capelet_result *result)
{
    char *url = NULL;
    const char *origin = delivery->settings->origin;
    if (curl_easy_getinfo(delivery->easy, CURLINFO_REDIRECT_URL, &url) != CURLE_OK || url == NULL) {
        snprintf(result->message, sizeof result->message, "%s redirects without saying where to", origin);
        return false;
    }
    char *target = url_origin(url);
    if (target == NULL || strcmp(target, origin) != 0) {
        snprintf(result->message, sizeof result->message, "%s redirects to %.200s, which is not followed: set `url` to it", origin,
                 target != NULL ? target : "something that is not http or https");
        free(target);
        return false;
    }
    free(target);
    uint64_t now = now_millis();
    if (delivery->redirects++ == REDIRECTS_MAX) {
        snprintf(result->message, sizeof result->message, "%s redirects more than %d times", origin, REDIRECTS_MAX);
        return false;
    }
    delivery->answer_size = 0;
    delivery->answer_cut = false;
    curl_easy_setopt(delivery->easy, CURLOPT_TIMEOUT_MS, now < delivery->deadline ? (long)(delivery->deadline - now) : 1L);
    if (curl_easy_setopt(delivery->easy, CURLOPT_URL, url) == CURLE_OK) return true;
    snprintf(result->message, sizeof result->message, "not enough memory to follow a redirect");
    return false;
}

static bool is_retriable(long status) { return status == 408 || status == 425 || status == 429 || status >= 500 || status < 200; }

static void honour_retry_after(const delivery *delivery, capelet_result *result)
{
    curl_off_t seconds = 0;
    if (curl_easy_getinfo(delivery->easy, CURLINFO_RETRY_AFTER, &seconds) != CURLE_OK || seconds <= 0) return;
    if (seconds > RETRY_AFTER_SECONDS_MAX) seconds = RETRY_AFTER_SECONDS_MAX;
    result->retry_after_millis = (uint64_t)seconds * 1000;
}

int32_t delivery_judge(delivery *delivery, CURLcode code, capelet_result *result)
{
    const settings *settings = delivery->settings;
    char quoted[QUOTED_BYTES + 1];
    long status = 0;
    curl_easy_getinfo(delivery->easy, CURLINFO_RESPONSE_CODE, &status);
    if (code != CURLE_OK && !(code == CURLE_WRITE_ERROR && delivery->answer_cut)) {
        snprintf(result->message, sizeof result->message, "%s: %s", settings->origin,
                 delivery->error[0] != 0 ? delivery->error : curl_easy_strerror(code));
        return CAPELET_RETRY;
    }
    if (status >= 200 && status < 300) {
        if (!settings->output || !delivery->answer_cut) return CAPELET_SUCCESS;
        snprintf(result->message, sizeof result->message, "%s answered %ld with more than %d bytes, too many for an output",
                 settings->origin, status, ANSWER_BYTES_MAX);
        return CAPELET_FATAL;
    }
    if (settings->follow_redirects && (status == 301 || status == 302 || status == 307 || status == 308))
        return follow(delivery, result) ? CAPELET_PENDING : CAPELET_FATAL;
    quote(delivery, quoted);
    snprintf(result->message, sizeof result->message, "%s answered %ld%s%s", settings->origin, status, quoted[0] != 0 ? ": " : "", quoted);
    if (!is_retriable(status)) return CAPELET_FATAL;
    honour_retry_after(delivery, result);
    return CAPELET_RETRY;
}

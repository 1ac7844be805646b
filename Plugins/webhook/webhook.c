/*
 * webhook.c - the lambda `webhook`: delivers each event to a URL.
 *
 * `handle` makes the request, hands it to the transfer thread and returns CAPELET_PENDING; the thread runs all of them with one curl multi
 * handle and completes each run when its answer is there. So one worker holds `concurrency` requests at once. When all are in use,
 * `handle` waits for one: events not yet begun then wait in the host, which can give them to another worker.
 *
 * Threads
 * - Capelet's: `start`, `handle`, `stop`. `cancel` comes on another.
 * - The transfer thread, from `start` until `stop` has joined it. Only it touches the multi handle (but for curl_multi_wakeup).
 * `mutex` guards `idle`, `incoming` and `stopping`, and is never held during a call of libcurl's that does I/O or of the host's that
 * may wait. libcurl is initialised in `start`, never before the worker was forked.
 */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "delivery.h"

enum {
    /** While requests are under way, how often to ask whether one was cancelled. `cancel` tells sooner. */
    CANCEL_POLL_MILLIS = 250,
    IDLE_POLL_MILLIS = 60000,
    THREAD_STACK_BYTES = 512 * 1024,
};

/** The state of one worker. */
typedef struct webhook {
    const capelet_host *host;
    settings settings;
    bool curl_ready;
    CURLM *multi;
    pthread_t thread;
    bool thread_runs;
    pthread_mutex_t mutex;
    /** Something was put into `idle`, or a run was cancelled. */
    pthread_cond_t changed;
    bool stopping;
    /** `concurrency` of them; each is in `idle`, in `incoming`, or active. */
    delivery *deliveries;
    delivery *idle;
    delivery *incoming;
} webhook;

static void put_idle(webhook *hook, delivery *delivery)
{
    delivery_clear(delivery);
    pthread_mutex_lock(&hook->mutex);
    delivery->next = hook->idle;
    hook->idle = delivery;
    pthread_cond_signal(&hook->changed);
    pthread_mutex_unlock(&hook->mutex);
}

/** Waits for a delivery that is not in use. NULL when this run was cancelled meanwhile. */
static delivery *take_idle(webhook *hook, uint64_t token)
{
    delivery *taken = NULL;
    pthread_mutex_lock(&hook->mutex);
    while (hook->idle == NULL && !hook->host->is_cancelled(hook->host, token)) {
        struct timespec until;
        clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_nsec += CANCEL_POLL_MILLIS * 1000000L;
        until.tv_sec += until.tv_nsec / 1000000000;
        until.tv_nsec %= 1000000000;
        pthread_cond_timedwait(&hook->changed, &hook->mutex, &until);
    }
    taken = hook->idle;
    if (taken != NULL) hook->idle = taken->next;
    pthread_mutex_unlock(&hook->mutex);
    return taken;
}

static int32_t webhook_handle(void *state, const capelet_event *event, capelet_result *result)
{
    webhook *hook = state;
    delivery *delivery = take_idle(hook, event->token);
    if (delivery == NULL) {
        snprintf(result->message, sizeof result->message, "cancelled while it waited for one of %llu requests to end",
                 (unsigned long long)hook->settings.concurrency);
        return CAPELET_RETRY;
    }
    if (!delivery_prepare(delivery, &hook->settings, event)) {
        put_idle(hook, delivery);
        snprintf(result->message, sizeof result->message, "not enough memory for the request: raise the lambda's `memory`");
        return CAPELET_RETRY;
    }
    pthread_mutex_lock(&hook->mutex);
    delivery->next = hook->incoming;
    hook->incoming = delivery;
    pthread_mutex_unlock(&hook->mutex);
    curl_multi_wakeup(hook->multi);
    return CAPELET_PENDING;
}

static void webhook_cancel(void *state, uint64_t token)
{
    webhook *hook = state;
    (void)token; // the thread asks for each of the few under way
    pthread_mutex_lock(&hook->mutex);
    pthread_cond_broadcast(&hook->changed);
    pthread_mutex_unlock(&hook->mutex);
    curl_multi_wakeup(hook->multi);
}

/** Gives a delivery's outcome to the host and makes room for the next. */
static void settle(webhook *hook, delivery *delivery, int32_t status, const capelet_result *result)
{
    const capelet_host *host = hook->host;
    uint64_t token = delivery->token;
    if (status == CAPELET_SUCCESS && hook->settings.output) host->output(host, token, delivery->answer, delivery->answer_size);
    delivery->active = false;
    put_idle(hook, delivery);
    host->complete(host, token, status, result);
}

static void drop(webhook *hook, delivery *delivery, const char *why)
{
    capelet_result result = {.struct_size = sizeof result};
    snprintf(result.message, sizeof result.message, "%s", why);
    curl_multi_remove_handle(hook->multi, delivery->easy);
    settle(hook, delivery, CAPELET_RETRY, &result);
}

/** Hands a delivery to libcurl. */
static void begin(webhook *hook, delivery *delivery)
{
    delivery->active = true;
    CURLMcode code = curl_multi_add_handle(hook->multi, delivery->easy);
    if (code != CURLM_OK) drop(hook, delivery, curl_multi_strerror(code));
}

static void finish(webhook *hook, CURL *easy, CURLcode code)
{
    delivery *delivery = NULL;
    capelet_result result = {.struct_size = sizeof result};
    curl_easy_getinfo(easy, CURLINFO_PRIVATE, &delivery);
    int32_t status = delivery_judge(delivery, code, &result);
    curl_multi_remove_handle(hook->multi, easy);
    if (status == CAPELET_PENDING) begin(hook, delivery);
    else settle(hook, delivery, status, &result);
}

static void *transfer(void *context)
{
    webhook *hook = context;
    for (bool stopping = false; !stopping;) {
        pthread_mutex_lock(&hook->mutex);
        delivery *incoming = hook->incoming;
        hook->incoming = NULL;
        stopping = hook->stopping;
        pthread_mutex_unlock(&hook->mutex);
        while (incoming != NULL) {
            delivery *next = incoming->next; // beginning may fail, and put it into another list
            begin(hook, incoming);
            incoming = next;
        }
        bool busy = false;
        for (uint64_t i = 0; i < hook->settings.concurrency; i++) {
            delivery *one = &hook->deliveries[i];
            if (one->active && stopping) drop(hook, one, "the worker stops");
            else if (one->active && hook->host->is_cancelled(hook->host, one->token)) drop(hook, one, "cancelled");
        }
        int running;
        curl_multi_perform(hook->multi, &running);
        int left;
        for (CURLMsg *message; (message = curl_multi_info_read(hook->multi, &left)) != NULL;)
            if (message->msg == CURLMSG_DONE) finish(hook, message->easy_handle, message->data.result);
        for (uint64_t i = 0; i < hook->settings.concurrency && !busy; i++) busy = hook->deliveries[i].active;
        if (!stopping) curl_multi_poll(hook->multi, NULL, 0, busy ? CANCEL_POLL_MILLIS : IDLE_POLL_MILLIS, NULL);
    }
    return NULL;
}

static void webhook_free(webhook *hook)
{
    if (hook->thread_runs) {
        pthread_mutex_lock(&hook->mutex);
        hook->stopping = true;
        pthread_mutex_unlock(&hook->mutex);
        curl_multi_wakeup(hook->multi);
        pthread_join(hook->thread, NULL);
    }
    for (uint64_t i = 0; hook->deliveries != NULL && i < hook->settings.concurrency; i++) delivery_free(&hook->deliveries[i]);
    free(hook->deliveries);
    curl_multi_cleanup(hook->multi);
    settings_free(&hook->settings);
    if (hook->curl_ready) curl_global_cleanup();
    pthread_cond_destroy(&hook->changed);
    pthread_mutex_destroy(&hook->mutex);
    free(hook);
}

static void webhook_stop(void *state) { webhook_free(state); }

/** Starts the transfer thread with every signal blocked: they belong to the worker's own threads. */
static int start_thread(webhook *hook)
{
    sigset_t all, before;
    pthread_attr_t attributes;
    int error = pthread_attr_init(&attributes);
    if (error != 0) return error;
    pthread_attr_setstacksize(&attributes, THREAD_STACK_BYTES);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    error = pthread_create(&hook->thread, &attributes, transfer, hook);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
    hook->thread_runs = error == 0;
    return error;
}

static int32_t prepare(webhook *hook, capelet_result *result)
{
    CURLcode code = curl_global_init(CURL_GLOBAL_DEFAULT);
    if (code != CURLE_OK) return config_failure(result, "libcurl does not start: %s", curl_easy_strerror(code));
    hook->curl_ready = true;
    if (settings_read(&hook->settings, hook->host, result) != 0) return -1;
    hook->deliveries = calloc(hook->settings.concurrency, sizeof *hook->deliveries);
    hook->multi = curl_multi_init();
    if (hook->deliveries == NULL || hook->multi == NULL)
        return config_failure(result, "not enough memory to start: raise the lambda's `memory`");
    for (uint64_t i = hook->settings.concurrency; i-- > 0;) {
        hook->deliveries[i].next = hook->idle;
        hook->idle = &hook->deliveries[i];
    }
    int error = start_thread(hook);
    return error == 0 ? 0 : config_failure(result, "cannot start the transfer thread: %s", strerror(error));
}

static int32_t webhook_start(const capelet_host *host, void **state, capelet_result *result)
{
    webhook *hook = calloc(1, sizeof *hook);
    if (hook == NULL) return config_failure(result, "not enough memory to start: raise the lambda's `memory`");
    hook->host = host;
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_mutex_init(&hook->mutex, NULL);
    pthread_cond_init(&hook->changed, &attributes);
    pthread_condattr_destroy(&attributes);
    if (prepare(hook, result) != 0) {
        webhook_free(hook);
        return -1;
    }
    *state = hook;
    return 0;
}

const capelet_plugin *capelet_plugin_v1(void)
{
    static const capelet_lambda webhook = {
        .struct_size = sizeof webhook,
        .name = "webhook",
        .summary = "delivers every event to a URL as a CloudEvent",
        .start = webhook_start,
        .stop = webhook_stop,
        .handle = webhook_handle,
        .cancel = webhook_cancel,
    };
    static const capelet_lambda *const lambdas[] = {&webhook};
    static const capelet_plugin plugin = {
        .struct_size = sizeof plugin,
        .abi_version = CAPELET_ABI_VERSION,
        .version = "0.1.0",
        .lambda_count = 1,
        .lambdas = lambdas,
    };
    return &plugin;
}

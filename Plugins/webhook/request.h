/*
 * request.h - an event as HTTP headers: CloudEvents 1.0, HTTP protocol binding, binary content mode.
 */
#ifndef CAPELET_WEBHOOK_REQUEST_H
#define CAPELET_WEBHOOK_REQUEST_H

#include <curl/curl.h>

#include "settings.h"

/** All headers of the request for `event`, to be freed with curl_slist_free_all; NULL if memory is short. */
struct curl_slist *request_headers(const settings *settings, const capelet_event *event);

#endif

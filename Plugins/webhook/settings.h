/*
 * settings.h - the lambda's configuration, read and checked once in `start` and constant from then on.
 *
 * The URL, the headers and the proxy may hold secrets: neither messages nor logs show more of them than scheme, host and port.
 */
#ifndef CAPELET_WEBHOOK_SETTINGS_H
#define CAPELET_WEBHOOK_SETTINGS_H

#include "plugin_config.h"

/** One header of `headers:`. */
typedef struct extra_header {
    char *name;
    char *value;
} extra_header;

typedef struct settings {
    char *url;
    /** Scheme, host and port of `url`: what messages call the receiver, and what redirects may not leave. */
    char *origin;
    /** POST, PUT or PATCH. */
    char *method;
    uint64_t timeout_millis;
    uint64_t concurrency;
    bool output;
    bool follow_redirects;
    extra_header *headers;
    size_t header_count;
} settings;

/** Reads the configuration. Needs curl_global_init. Returns 0, or -1 with the message in `result`; free it in either case. */
int32_t settings_read(settings *settings, const capelet_host *host, capelet_result *result);
void settings_free(settings *settings);

/** Scheme, host and port of an http or https URL as `https://example.com:443`, to be freed; NULL if it is none. */
char *url_origin(const char *url);

/** Whether `headers:` names this header, which then replaces what the plugin would send. */
bool settings_replace(const settings *settings, const char *name);

#endif

#include "settings.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { HEADERS_MAX = 64, TIMEOUT_MILLIS_MAX = 3600000, CONCURRENCY_MAX = 1000 };

char *url_origin(const char *url)
{
    char *scheme = NULL, *host = NULL, *port = NULL, *origin = NULL;
    CURLU *parts = curl_url();
    if (parts != NULL && curl_url_set(parts, CURLUPART_URL, url, 0) == CURLUE_OK
        && curl_url_get(parts, CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK && curl_url_get(parts, CURLUPART_HOST, &host, 0) == CURLUE_OK
        && curl_url_get(parts, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT) == CURLUE_OK
        && (strcmp(scheme, "http") == 0 || strcmp(scheme, "https") == 0)) {
        size_t size = strlen(scheme) + strlen(host) + strlen(port) + sizeof "://:";
        origin = malloc(size);
        if (origin != NULL) snprintf(origin, size, "%s://%s:%s", scheme, host, port);
    }
    curl_free(scheme);
    curl_free(host);
    curl_free(port);
    curl_url_cleanup(parts);
    return origin;
}

static bool is_token(const char *name)
{
    static const char token[] = "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    return *name != 0 && name[strspn(name, token)] == 0;
}

/** Visible ASCII, spaces and tabs, and bytes above ASCII: nothing that could end the header and begin another. */
static bool is_header_value(const char *value)
{
    for (const unsigned char *p = (const unsigned char *)value; *p != 0; p++)
        if ((*p < 0x20 && *p != '\t') || *p == 0x7F) return false;
    return true;
}

/** What reading the keys of `headers:` needs. */
typedef struct header_reading {
    settings *settings;
    const capelet_host *host;
    capelet_result *result;
} header_reading;

static int32_t read_header(void *context, const char *name)
{
    header_reading *reading = context;
    settings *settings = reading->settings;
    char key[512];
    if (!is_token(name)) return config_failure(reading->result, "config headers.%s: this is not the name of an HTTP header", name);
    if (strcasecmp(name, "content-length") == 0 || strcasecmp(name, "transfer-encoding") == 0)
        return config_failure(reading->result, "config headers.%s: the length of the body is not yours to set; remove this", name);
    if (settings->header_count == HEADERS_MAX) return config_failure(reading->result, "config headers: more than %d", HEADERS_MAX);
    if (settings->headers == NULL && (settings->headers = calloc(HEADERS_MAX, sizeof *settings->headers)) == NULL)
        return config_failure(reading->result, "not enough memory to start: raise the lambda's `memory`");
    snprintf(key, sizeof key, "headers.%s", name);
    extra_header *header = &settings->headers[settings->header_count++];
    header->name = strdup(name);
    header->value = config_copy(reading->host, key);
    if (header->name == NULL || header->value == NULL || !is_header_value(header->value))
        return config_failure(reading->result, "config headers.%s: write text without line breaks or control characters", name);
    return 0;
}

static int32_t read_method(settings *settings, const capelet_host *host, capelet_result *result)
{
    static const char *const methods[] = {"POST", "PUT", "PATCH"};
    settings->method = config_copy(host, "method");
    capelet_bytes present;
    if (settings->method == NULL && host->config(host, "method", &present) != 0) settings->method = strdup("POST");
    for (size_t i = 0; settings->method != NULL && i < sizeof methods / sizeof methods[0]; i++)
        if (strcmp(settings->method, methods[i]) == 0) return 0;
    return config_failure(result, "config method: write POST, PUT or PATCH");
}

int32_t settings_read(settings *settings, const capelet_host *host, capelet_result *result)
{
    static const char *const known[] = {"url", "method", "timeout", "headers", "concurrency", "output", "follow-redirects", NULL};
    *settings = (struct settings){.timeout_millis = 10000, .concurrency = 16};
    if (config_refuse_unknown(host, known, result) != 0) return -1;
    settings->url = config_copy(host, "url");
    if (settings->url == NULL) return config_failure(result, "config url: write where to deliver to, such as https://example.com/hook");
    settings->origin = url_origin(settings->url);
    if (settings->origin == NULL)
        return config_failure(result, "config url: this is not an http:// or https:// URL; percent-encode spaces and special characters");
    if (read_method(settings, host, result) != 0) return -1;
    if (config_duration(host, "timeout", 1, TIMEOUT_MILLIS_MAX, &settings->timeout_millis, result) != 0) return -1;
    if (config_number(host, "concurrency", 1, CONCURRENCY_MAX, &settings->concurrency, result) != 0) return -1;
    if (config_bool(host, "output", &settings->output, result) != 0) return -1;
    if (config_bool(host, "follow-redirects", &settings->follow_redirects, result) != 0) return -1;
    header_reading reading = {settings, host, result};
    if (config_keys(host->config_json, "headers", read_header, &reading) != 0) {
        if (result->message[0] == 0) config_failure(result, "config headers: write an object of names and values");
        return -1;
    }
    return 0;
}

void settings_free(settings *settings)
{
    for (size_t i = 0; i < settings->header_count; i++) {
        free(settings->headers[i].name);
        free(settings->headers[i].value);
    }
    free(settings->headers);
    free(settings->url);
    free(settings->origin);
    free(settings->method);
    *settings = (struct settings){0};
}

bool settings_replace(const settings *settings, const char *name)
{
    for (size_t i = 0; i < settings->header_count; i++)
        if (strcasecmp(settings->headers[i].name, name) == 0) return true;
    return false;
}

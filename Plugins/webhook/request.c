#include "request.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/** The list in the making. After a failure nothing more is added. */
typedef struct header_list {
    const settings *settings;
    struct curl_slist *headers;
    bool failed;
} header_list;

/** Which bytes stay as they are; all others become %XX. */
typedef bool plain_byte(uint8_t byte);

/** CloudEvents HTTP binding 1.0.2, 3.1.3.2: all but visible ASCII, and of that also `"` and `%`, is encoded. */
static bool plain_in_value(uint8_t c) { return c > 0x20 && c < 0x7F && c != '"' && c != '%'; }

static bool plain_in_uri(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || (c != 0 && strchr("-._~", c) != NULL);
}

static bool plain_in_name(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || (c != 0 && strchr("!#$&'*+-.^_`|~", c) != NULL);
}

static bool plain_always(uint8_t c)
{
    (void)c;
    return true;
}

/** Whether a value may go out exactly as it is. */
static bool is_printable(capelet_bytes value)
{
    for (size_t i = 0; i < value.size; i++) {
        uint8_t c = ((const uint8_t *)value.data)[i];
        if (c < 0x20 || c > 0x7E) return false;
    }
    return true;
}

static size_t encode(char *out, capelet_bytes bytes, plain_byte *plain)
{
    static const char hex[] = "0123456789ABCDEF";
    size_t size = 0;
    for (size_t i = 0; i < bytes.size; i++) {
        uint8_t c = ((const uint8_t *)bytes.data)[i];
        if (plain(c)) {
            out[size++] = (char)c;
            continue;
        }
        out[size++] = '%';
        out[size++] = hex[c >> 4];
        out[size++] = hex[c & 15];
    }
    return size;
}

/** Adds `prefix` + `name`: `start` + `value`, unless the configuration has this header. */
static void add(header_list *list, const char *prefix, capelet_bytes name, const char *start, capelet_bytes value, plain_byte *plain)
{
    if (list->failed) return;
    char *line = malloc(strlen(prefix) + 3 * name.size + strlen(start) + 3 * value.size + 4);
    if (line == NULL) {
        list->failed = true;
        return;
    }
    size_t size = strlen(prefix);
    memcpy(line, prefix, size);
    size += encode(line + size, name, plain_in_name);
    line[size] = 0;
    if (!settings_replace(list->settings, line)) {
        if (value.size == 0 && *start == 0) {
            line[size++] = ';'; // libcurl's way to say: this header, empty
        } else {
            memcpy(line + size, ": ", 2);
            memcpy(line + size + 2, start, strlen(start));
            size += 2 + strlen(start);
            size += encode(line + size, value, plain);
        }
        line[size] = 0;
        struct curl_slist *longer = curl_slist_append(list->headers, line);
        if (longer == NULL) list->failed = true;
        else list->headers = longer;
    }
    free(line);
}

static capelet_bytes bytes_of(const char *text) { return (capelet_bytes){text, strlen(text)}; }

static void add_text(header_list *list, const char *name, const char *value)
{
    add(list, "", bytes_of(name), "", bytes_of(value), plain_always);
}

static void add_number(header_list *list, const char *name, uint64_t number)
{
    char digits[24];
    snprintf(digits, sizeof digits, "%llu", (unsigned long long)number);
    add_text(list, name, digits);
}

/** RFC 3339 in UTC. */
static void add_time(header_list *list, int64_t micros)
{
    time_t seconds = (time_t)(micros / 1000000 - (micros % 1000000 < 0));
    struct tm parts;
    char line[64];
    if (gmtime_r(&seconds, &parts) == NULL) return; // a year beyond 32 bits; the attribute is optional
    snprintf(line, sizeof line, "%04d-%02d-%02dT%02d:%02d:%02d.%06dZ", parts.tm_year + 1900, parts.tm_mon + 1, parts.tm_mday, parts.tm_hour,
             parts.tm_min, parts.tm_sec, (int)(micros - (int64_t)seconds * 1000000));
    add_text(list, "ce-time", line);
}

static bool is(capelet_bytes text, const char *other) { return text.size == strlen(other) && memcmp(text.data, other, text.size) == 0; }

/** Whether a header can travel as a CloudEvents extension: lower-case letters and digits, and not the name of a core attribute. */
static bool is_extension(capelet_bytes name)
{
    static const char *const core[] = {"id", "source", "specversion", "type", "subject", "time", "data", "datacontenttype"};
    for (size_t i = 0; i < name.size; i++) {
        char c = ((const char *)name.data)[i];
        if ((c < 'a' || c > 'z') && (c < '0' || c > '9')) return false;
    }
    for (size_t i = 0; i < sizeof core / sizeof core[0]; i++)
        if (is(name, core[i])) return false;
    return name.size > 0;
}

/** The event's own headers: trace context as it is, extensions as `ce-NAME`, all others as `capelet-header-NAME`. */
static void add_event_headers(header_list *list, const capelet_event *event)
{
    bool typed = false;
    for (uint32_t i = 0; i < event->header_count; i++) {
        capelet_bytes name = event->headers[i].name, value = event->headers[i].value;
        bool verbatim = is(name, "content-type") || is(name, "traceparent") || is(name, "tracestate");
        if (verbatim && (value.size == 0 || !is_printable(value))) continue;
        typed = typed || is(name, "content-type");
        if (verbatim) add(list, "", name, "", value, plain_always);
        else if (is_extension(name)) add(list, "ce-", name, "", value, plain_in_value);
        else if (name.size > 0) add(list, "capelet-header-", name, "", value, plain_in_value);
    }
    if (!typed) add_text(list, "content-type", "application/octet-stream");
}

struct curl_slist *request_headers(const settings *settings, const capelet_event *event)
{
    header_list list = {.settings = settings};
    add_text(&list, "ce-specversion", "1.0");
    // Both are required of a CloudEvent, and must not be empty; an event may have neither.
    char id[40];
    snprintf(id, sizeof id, "offset-%llu", (unsigned long long)event->offset);
    add(&list, "", bytes_of("ce-id"), "", event->id.size > 0 ? event->id : bytes_of(id), plain_in_value);
    add(&list, "", bytes_of("ce-type"), "", event->type.size > 0 ? event->type : bytes_of("event"), plain_in_value);
    add(&list, "", bytes_of("ce-source"), "/domains/", event->domain, plain_in_uri);
    if (event->subject.size > 0) add(&list, "", bytes_of("ce-subject"), "", event->subject, plain_in_value);
    add_time(&list, event->time_micros);
    add_number(&list, "capelet-offset", event->offset);
    add_number(&list, "capelet-sequence", event->sequence);
    add_number(&list, "capelet-attempt", event->attempt);
    add_event_headers(&list, event);
    for (size_t i = 0; i < settings->header_count && !list.failed; i++) {
        const extra_header *header = &settings->headers[i];
        size_t size = strlen(header->name) + strlen(header->value) + 4;
        char *line = malloc(size);
        struct curl_slist *longer = NULL;
        if (line != NULL) {
            snprintf(line, size, header->value[0] == 0 ? "%s;%s" : "%s: %s", header->name, header->value);
            longer = curl_slist_append(list.headers, line);
        }
        free(line);
        if (longer == NULL) list.failed = true;
        else list.headers = longer;
    }
    // libcurl would ask before it sends a large body, and wait a second for receivers that do not know the question.
    struct curl_slist *longer = list.failed ? NULL : curl_slist_append(list.headers, "Expect:");
    if (longer == NULL) {
        curl_slist_free_all(list.headers);
        return NULL;
    }
    return longer;
}

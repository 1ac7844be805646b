#include "record.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

bool text_reserve(text *out, size_t extra)
{
    if (out->failed) return false;
    if (out->capacity - out->size >= extra) return true;
    size_t capacity = out->capacity == 0 ? 4096 : out->capacity * 2;
    while (capacity - out->size < extra) capacity *= 2;
    char *data = realloc(out->data, capacity);
    if (data == NULL) {
        out->failed = true;
        return false;
    }
    out->data = data;
    out->capacity = capacity;
    return true;
}

void text_add(text *out, const void *data, size_t size)
{
    if (size == 0 || !text_reserve(out, size)) return;
    memcpy(out->data + out->size, data, size);
    out->size += size;
}

void text_add_number(text *out, uint64_t number)
{
    char digits[20];
    size_t count = 0;
    do digits[sizeof digits - ++count] = (char)('0' + number % 10);
    while ((number /= 10) > 0);
    text_add(out, digits + sizeof digits - count, count);
}

void text_free(text *out)
{
    free(out->data);
    *out = (text){0};
}

static void add_literal(text *out, const char *literal) { text_add(out, literal, strlen(literal)); }

/** How many bytes the character at `p` takes; 0 if it is not UTF-8 (RFC 3629: no surrogates, no overlong forms). */
static size_t utf8_length(const uint8_t *p, size_t left)
{
    uint8_t lead = p[0];
    if (lead < 0x80) return 1;
    size_t size = lead >= 0xC2 && lead <= 0xDF ? 2 : lead >= 0xE0 && lead <= 0xEF ? 3 : lead >= 0xF0 && lead <= 0xF4 ? 4 : 0;
    if (size == 0 || left < size) return 0;
    uint8_t low = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
    uint8_t high = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
    if (p[1] < low || p[1] > high) return 0;
    for (size_t i = 2; i < size; i++)
        if ((p[i] & 0xC0) != 0x80) return 0;
    return size;
}

/** Adds `bytes` as the inside of a JSON string. False if they are not UTF-8. */
static bool add_escaped(text *out, capelet_bytes bytes)
{
    static const char hex[] = "0123456789abcdef";
    const uint8_t *p = bytes.data;
    size_t at = 0, plain = 0; // what lies between `plain` and `at` goes in as it is
    while (at < bytes.size) {
        uint8_t c = p[at];
        if (c >= 0x20 && c != '"' && c != '\\' && c != 0x7F) {
            size_t size = utf8_length(p + at, bytes.size - at);
            if (size == 0) return false;
            at += size;
            continue;
        }
        text_add(out, p + plain, at - plain);
        plain = ++at;
        char escape[6] = {'\\', 'u', '0', '0', hex[c >> 4], hex[c & 15]};
        static const char from[] = "\"\\\b\f\n\r\t", to[] = "\"\\bfnrt";
        const char *simple = c != 0 ? strchr(from, c) : NULL;
        if (simple != NULL) escape[1] = to[simple - from];
        text_add(out, escape, simple != NULL ? 2 : 6);
    }
    if (bytes.size > plain) text_add(out, p + plain, at - plain);
    return true;
}

/** RFC 3339 in UTC with microseconds. */
static void add_time(text *out, int64_t micros)
{
    time_t seconds = (time_t)(micros / 1000000 - (micros % 1000000 < 0));
    struct tm parts;
    char line[64] = "";
    if (gmtime_r(&seconds, &parts) == NULL) return;
    int size = snprintf(line, sizeof line, "%04d-%02d-%02dT%02d:%02d:%02d.%06dZ", parts.tm_year + 1900, parts.tm_mon + 1, parts.tm_mday,
                        parts.tm_hour, parts.tm_min, parts.tm_sec, (int)(micros - (int64_t)seconds * 1000000));
    text_add(out, line, (size_t)size);
}

static record_status cut_back(text *out, size_t start, record_status status)
{
    out->size = start;
    out->failed = false;
    return status;
}

record_status record_begin(text *out, uint64_t n, const capelet_event *event, slice *domain)
{
    size_t start = out->size;
    char payload_hash[SHA256_HEX];
    // Escaping makes a byte six at most. Refusing what is far too long here keeps an absurd event from taking memory.
    if (event->domain.size + event->subject.size + event->type.size + event->id.size > RECORD_BYTES_MAX) return RECORD_TOO_LONG;
    sha256_hex(event->payload.data, event->payload.size, payload_hash);

    add_literal(out, "{\"n\":");
    text_add_number(out, n);
    add_literal(out, ",\"domain\":\"");
    size_t domain_start = out->size;
    bool utf8 = add_escaped(out, event->domain);
    size_t domain_size = out->size - domain_start;
    add_literal(out, "\",\"offset\":");
    text_add_number(out, event->offset);
    add_literal(out, ",\"sequence\":");
    text_add_number(out, event->sequence);
    add_literal(out, ",\"subject\":\"");
    utf8 = add_escaped(out, event->subject) && utf8;
    add_literal(out, "\",\"type\":\"");
    utf8 = add_escaped(out, event->type) && utf8;
    add_literal(out, "\",\"id\":\"");
    utf8 = add_escaped(out, event->id) && utf8;
    add_literal(out, "\",\"time\":\"");
    add_time(out, event->time_micros);
    add_literal(out, "\",\"attempt\":");
    text_add_number(out, event->attempt);
    add_literal(out, ",\"payload_size\":");
    text_add_number(out, event->payload.size);
    add_literal(out, ",\"payload_sha256\":\"");
    text_add(out, payload_hash, sizeof payload_hash);
    add_literal(out, "\"");
    if (!utf8) return cut_back(out, start, RECORD_NOT_UTF8);
    if (out->failed) return cut_back(out, start, RECORD_NO_MEMORY);
    *domain = (slice){out->data + domain_start, domain_size};
    return RECORD_WRITTEN;
}

record_status record_end(text *out, size_t start, bool repeat, char hash[SHA256_HEX])
{
    char own[SHA256_HEX];
    if (repeat) add_literal(out, ",\"repeat\":true");
    add_literal(out, ",\"previous\":\"");
    text_add(out, hash, SHA256_HEX);
    add_literal(out, "\"");
    if (out->failed) return cut_back(out, start, RECORD_NO_MEMORY);
    sha256_hex(out->data + start, out->size - start, own);
    add_literal(out, ",\"hash\":\"");
    text_add(out, own, sizeof own);
    add_literal(out, "\"}\n");
    if (out->failed) return cut_back(out, start, RECORD_NO_MEMORY);
    if (out->size - start > RECORD_BYTES_MAX) return cut_back(out, start, RECORD_TOO_LONG);
    memcpy(hash, own, sizeof own);
    return RECORD_WRITTEN;
}

/** What is left of the line. */
typedef struct reader {
    const char *at;
    const char *end;
} reader;

static bool take(reader *r, const char *literal)
{
    size_t size = strlen(literal);
    if ((size_t)(r->end - r->at) < size || memcmp(r->at, literal, size) != 0) return false;
    r->at += size;
    return true;
}

/** Digits, without leading zeros, that fit 64 bits. */
static bool take_number(reader *r, uint64_t *number)
{
    const char *start = r->at;
    *number = 0;
    for (; r->at < r->end && *r->at >= '0' && *r->at <= '9'; r->at++) {
        uint64_t digit = (uint64_t)(*r->at - '0');
        if (*number > (UINT64_MAX - digit) / 10) return false;
        *number = *number * 10 + digit;
    }
    return r->at > start && (*start != '0' || r->at == start + 1);
}

static bool is_hex(char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); }

/** The inside of a string and its closing quote. */
static bool take_string(reader *r, slice *out)
{
    const char *start = r->at;
    while (r->at < r->end) {
        uint8_t c = (uint8_t)*r->at++;
        if (c == '"') {
            *out = (slice){start, (size_t)(r->at - 1 - start)};
            return true;
        }
        if (c < 0x20) return false;
        if (c != '\\') continue;
        if (r->at == r->end) return false;
        c = (uint8_t)*r->at++;
        if (c == 'u') {
            if (r->end - r->at < 4 || r->at[0] != '0' || r->at[1] != '0' || !is_hex(r->at[2]) || !is_hex(r->at[3])) return false;
            r->at += 4;
        } else if (c == 0 || strchr("\"\\bfnrt", c) == NULL) {
            return false;
        }
    }
    return false;
}

static bool take_hash(reader *r, slice *out)
{
    if (!take_string(r, out) || out->size != SHA256_HEX) return false;
    for (size_t i = 0; i < out->size; i++)
        if (!is_hex(out->data[i])) return false;
    return true;
}

const char *record_read(const char *line, size_t size, record *out)
{
    reader r = {line, line + size};
    char own[SHA256_HEX];
    if (!take(&r, "{\"n\":") || !take_number(&r, &out->n)) return "it is not a record: `n` is missing or malformed";
    if (!take(&r, ",\"domain\":\"") || !take_string(&r, &out->domain)) return "`domain` is missing or malformed";
    if (!take(&r, ",\"offset\":") || !take_number(&r, &out->offset)) return "`offset` is missing or malformed";
    if (!take(&r, ",\"sequence\":") || !take_number(&r, &out->sequence)) return "`sequence` is missing or malformed";
    if (!take(&r, ",\"subject\":\"") || !take_string(&r, &out->subject)) return "`subject` is missing or malformed";
    if (!take(&r, ",\"type\":\"") || !take_string(&r, &out->type)) return "`type` is missing or malformed";
    if (!take(&r, ",\"id\":\"") || !take_string(&r, &out->id)) return "`id` is missing or malformed";
    if (!take(&r, ",\"time\":\"") || !take_string(&r, &out->time)) return "`time` is missing or malformed";
    if (!take(&r, ",\"attempt\":") || !take_number(&r, &out->attempt)) return "`attempt` is missing or malformed";
    if (!take(&r, ",\"payload_size\":") || !take_number(&r, &out->payload_size)) return "`payload_size` is missing or malformed";
    if (!take(&r, ",\"payload_sha256\":\"") || !take_hash(&r, &out->payload_sha256)) return "`payload_sha256` is missing or malformed";
    out->repeat = take(&r, ",\"repeat\":true");
    if (!take(&r, ",\"previous\":\"") || !take_hash(&r, &out->previous)) return "`previous` is missing or malformed";
    out->hashed_size = (size_t)(r.at - line);
    if (!take(&r, ",\"hash\":\"") || !take_hash(&r, &out->hash)) return "`hash` is missing or malformed";
    if (!take(&r, "}") || r.at != r.end) return "there is something after the record";
    sha256_hex(line, out->hashed_size, own);
    if (memcmp(own, out->hash.data, SHA256_HEX) != 0) return "its content does not match its hash";
    return NULL;
}

void record_add_plain(text *out, slice escaped)
{
    const char *p = escaped.data, *end = p + escaped.size;
    while (p < end) {
        if (*p != '\\') {
            text_add(out, p++, 1);
            continue;
        }
        p++;
        if (*p == 'u') {
            int high = p[3] <= '9' ? p[3] - '0' : p[3] - 'a' + 10, low = p[4] <= '9' ? p[4] - '0' : p[4] - 'a' + 10;
            char c = (char)(high * 16 + low);
            text_add(out, &c, 1);
            p += 5;
        } else {
            // \" is undone; \b and \f become themselves; the four that would break a line of the table stay escaped.
            if (*p == '"') text_add(out, p, 1);
            else if (*p == 'b') text_add(out, "\b", 1);
            else if (*p == 'f') text_add(out, "\f", 1);
            else text_add(out, p - 1, 2);
            p++;
        }
    }
}

#include "plugin_config.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { KEY_BYTES_MAX = 256, DEPTH_MAX = 64 };

int32_t config_failure(capelet_result *result, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(result->message, sizeof result->message, format, arguments);
    va_end(arguments);
    return -1;
}

bool config_parse_duration(capelet_bytes text, uint64_t *millis)
{
    static const struct { const char *unit; double millis; } units[] = {{"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}};
    char copy[32];
    if (text.size == 0 || text.size >= sizeof copy) return false;
    memcpy(copy, text.data, text.size);
    copy[text.size] = 0;
    // Digits and one point only: strtod would also take signs, exponents, "inf" and the point of the locale.
    const char *p = copy;
    double number = 0, scale = 1;
    size_t digits = 0;
    bool point = false;
    for (; (*p >= '0' && *p <= '9') || (*p == '.' && !point); p++) {
        if (*p == '.') {
            point = true;
            continue;
        }
        digits++;
        if (point) number += (*p - '0') * (scale /= 10);
        else number = number * 10 + (*p - '0');
    }
    if (digits == 0) return false;
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        if (strcmp(p, units[i].unit) != 0) continue;
        double total = number * units[i].millis;
        if (total > 1e15) return false;
        *millis = (uint64_t)(total + 0.5);
        return true;
    }
    return false;
}

int32_t config_duration(const capelet_host *host, const char *key, uint64_t min, uint64_t max, uint64_t *millis, capelet_result *result)
{
    capelet_bytes text;
    if (host->config(host, key, &text) != 0) return 0;
    uint64_t value;
    if (!config_parse_duration(text, &value) || value < min || value > max)
        return config_failure(result, "config %s: write a time between %llums and %llums, such as 500ms or 10s", key,
                              (unsigned long long)min, (unsigned long long)max);
    *millis = value;
    return 0;
}

int32_t config_number(const capelet_host *host, const char *key, uint64_t min, uint64_t max, uint64_t *number, capelet_result *result)
{
    capelet_bytes text;
    if (host->config(host, key, &text) != 0) return 0;
    uint64_t value = 0;
    bool good = text.size > 0 && text.size <= 18;
    for (size_t i = 0; good && i < text.size; i++) {
        char c = ((const char *)text.data)[i];
        good = c >= '0' && c <= '9';
        value = value * 10 + (uint64_t)(c - '0');
    }
    if (!good || value < min || value > max)
        return config_failure(result, "config %s: write a whole number from %llu to %llu", key, (unsigned long long)min,
                              (unsigned long long)max);
    *number = value;
    return 0;
}

int32_t config_bool(const capelet_host *host, const char *key, bool *value, capelet_result *result)
{
    capelet_bytes text;
    if (host->config(host, key, &text) != 0) return 0;
    if (text.size == 4 && memcmp(text.data, "true", 4) == 0) *value = true;
    else if (text.size == 5 && memcmp(text.data, "false", 5) == 0) *value = false;
    else return config_failure(result, "config %s: write true or false", key);
    return 0;
}

char *config_copy(const capelet_host *host, const char *key)
{
    capelet_bytes text;
    if (host->config(host, key, &text) != 0) return NULL;
    if (text.size > 0 && memchr(text.data, 0, text.size) != NULL) return NULL;
    char *copy = malloc(text.size + 1);
    if (copy == NULL) return NULL;
    if (text.size > 0) memcpy(copy, text.data, text.size);
    copy[text.size] = 0;
    return copy;
}

/* A walk over JSON text. It trusts nothing about the text, and knows of it only what finding keys takes. */

typedef struct scanner {
    const char *at;
    const char *end;
} scanner;

static void skip_space(scanner *s)
{
    while (s->at < s->end && (*s->at == ' ' || *s->at == '\t' || *s->at == '\n' || *s->at == '\r')) s->at++;
}

static bool take(scanner *s, char c)
{
    skip_space(s);
    if (s->at >= s->end || *s->at != c) return false;
    s->at++;
    return true;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

static bool take_hex4(scanner *s, uint32_t *code)
{
    if (s->end - s->at < 4) return false;
    *code = 0;
    for (int i = 0; i < 4; i++) {
        int digit = hex_digit(*s->at++);
        if (digit < 0) return false;
        *code = *code * 16 + (uint32_t)digit;
    }
    return true;
}

static size_t utf8_encode(uint32_t code, char out[4])
{
    if (code < 0x80) {
        out[0] = (char)code;
        return 1;
    }
    size_t size = code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    static const uint8_t lead[] = {0, 0, 0xC0, 0xE0, 0xF0};
    for (size_t i = size - 1; i > 0; i--, code >>= 6) out[i] = (char)(0x80 | (code & 0x3F));
    out[0] = (char)(lead[size] | code);
    return size;
}

/** Reads a string. `out` (may be NULL) takes it terminated; one that does not fit is an error. */
static bool take_string(scanner *s, char *out, size_t capacity)
{
    size_t size = 0;
    if (!take(s, '"')) return false;
    while (s->at < s->end) {
        char bytes[4] = {*s->at++};
        size_t count = 1;
        if (bytes[0] == '"') {
            if (out != NULL) out[size] = 0;
            return true;
        }
        if (bytes[0] == '\\') {
            if (s->at >= s->end) return false;
            static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
            char c = *s->at++;
            uint32_t code, low;
            const char *simple = c != 0 ? strchr(from, c) : NULL;
            if (simple != NULL) {
                bytes[0] = to[simple - from];
            } else if (c == 'u' && take_hex4(s, &code)) {
                if (code >= 0xD800 && code < 0xDC00) {
                    if (s->end - s->at < 6 || s->at[0] != '\\' || s->at[1] != 'u') return false;
                    s->at += 2;
                    if (!take_hex4(s, &low) || low < 0xDC00 || low > 0xDFFF) return false;
                    code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
                }
                count = utf8_encode(code, bytes);
            } else {
                return false;
            }
        }
        if (out == NULL) continue;
        if (size + count >= capacity) return false;
        memcpy(out + size, bytes, count);
        size += count;
    }
    return false;
}

static bool skip_value(scanner *s, int depth)
{
    skip_space(s);
    if (s->at >= s->end || depth > DEPTH_MAX) return false;
    char open = *s->at;
    if (open == '"') return take_string(s, NULL, 0);
    if (open == '{' || open == '[') {
        char close = open == '{' ? '}' : ']';
        s->at++;
        if (take(s, close)) return true;
        do {
            if (open == '{' && (!take_string(s, NULL, 0) || !take(s, ':'))) return false;
            if (!skip_value(s, depth + 1)) return false;
        } while (take(s, ','));
        return take(s, close);
    }
    const char *start = s->at;
    while (s->at < s->end && strchr(",]} \t\r\n", *s->at) == NULL) s->at++;
    return s->at > start;
}

int32_t config_keys(capelet_bytes json, const char *inside, config_visit *visit, void *context)
{
    scanner s = {json.data, (const char *)json.data + json.size};
    char key[KEY_BYTES_MAX];
    if (json.size == 0) return 0;
    if (!take(&s, '{')) {
        skip_space(&s);
        return s.end - s.at >= 4 && memcmp(s.at, "null", 4) == 0 ? 0 : -1;
    }
    if (take(&s, '}')) return 0;
    do {
        if (!take_string(&s, key, sizeof key) || !take(&s, ':')) return -1;
        skip_space(&s);
        const char *value = s.at;
        if (!skip_value(&s, 0)) return -1;
        if (inside == NULL) {
            int32_t answer = visit(context, key);
            if (answer != 0) return answer;
        } else if (strcmp(inside, key) == 0) {
            return config_keys((capelet_bytes){value, (size_t)(s.at - value)}, NULL, visit, context);
        }
    } while (take(&s, ','));
    return take(&s, '}') ? 0 : -1;
}

typedef struct unknown_search {
    const char *const *known;
    char found[KEY_BYTES_MAX];
} unknown_search;

static int32_t search_unknown(void *context, const char *key)
{
    unknown_search *search = context;
    for (const char *const *known = search->known; *known != NULL; known++)
        if (strcmp(*known, key) == 0) return 0;
    snprintf(search->found, sizeof search->found, "%.64s", key);
    return 1;
}

int32_t config_refuse_unknown(const capelet_host *host, const char *const *known, capelet_result *result)
{
    unknown_search search = {.known = known};
    int32_t answer = config_keys(host->config_json, NULL, search_unknown, &search);
    if (answer == 0) return 0;
    if (answer < 0) return config_failure(result, "config: is not a JSON object");
    char list[256] = "";
    for (size_t used = 0; *known != NULL && used < sizeof list; known++)
        used += (size_t)snprintf(list + used, sizeof list - used, "%s%s", used > 0 ? ", " : "", *known);
    return config_failure(result, "config: unknown key `%s`; there are: %s", search.found, list);
}

#include "chain.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { READ_BYTES = 256 * 1024 };

/** A torn write is at most one batch of records. More bytes than this without a line end were never written by the plugin. */
static const uint64_t torn_bytes_max = 256ull * RECORD_BYTES_MAX;

void chain_init(chain *chain)
{
    memset(chain, 0, sizeof *chain);
    memset(chain->hash, '0', sizeof chain->hash);
}

void chain_free(chain *chain)
{
    for (size_t i = 0; i < chain->domain_count; i++) {
        free(chain->domains[i].name);
        offset_set_clear(&chain->domains[i].offsets);
    }
    free(chain->domains);
    memset(chain, 0, sizeof *chain);
}

size_t chain_domain_index(chain *chain, slice name)
{
    for (size_t i = 0; i < chain->domain_count; i++)
        if (chain->domains[i].name_size == name.size && memcmp(chain->domains[i].name, name.data, name.size) == 0) return i;
    chain_domain *domains = realloc(chain->domains, (chain->domain_count + 1) * sizeof *domains);
    if (domains == NULL) return SIZE_MAX;
    chain->domains = domains;
    char *copy = malloc(name.size + 1);
    if (copy == NULL) return SIZE_MAX;
    memcpy(copy, name.data, name.size);
    domains[chain->domain_count] = (chain_domain){.name = copy, .name_size = name.size};
    return chain->domain_count++;
}

/** Takes one line, without its end, into the chain. Returns false when reading has to stop; `report` says why. */
static bool accept_line(chain *chain, const char *line, size_t size, record *record, chain_report *report)
{
    const char *problem = record_read(line, size, record);
    if (problem == NULL && record->n != chain->records + 1) problem = "its `n` is not one more than that of the line before";
    if (problem == NULL && memcmp(record->previous.data, chain->hash, SHA256_HEX) != 0)
        problem = "its `previous` is not the hash of the line before";
    if (problem == NULL) {
        size_t index = chain_domain_index(chain, record->domain);
        bool known = index != SIZE_MAX && offset_set_contains(&chain->domains[index].offsets, record->offset);
        if (record->repeat != known) {
            problem = "its `repeat` does not fit the lines before";
        } else if (index == SIZE_MAX || (!known && offset_set_insert(&chain->domains[index].offsets, record->offset) < 0)) {
            report->how = CHAIN_NO_MEMORY;
            return false;
        }
    }
    if (problem != NULL) {
        report->how = CHAIN_BROKEN;
        report->line = chain->records + 1;
        report->problem = problem;
        return false;
    }
    chain->records++;
    chain->repeats += record->repeat;
    chain->end += size + 1;
    memcpy(chain->hash, record->hash.data, SHA256_HEX);
    return true;
}

/** Measures what is left after `end` when there is no line end within the longest line's length. */
static void judge_endless_line(const chain *chain, int file, char *buffer, chain_report *report)
{
    uint64_t at = chain->end;
    for (;;) {
        ssize_t count = pread(file, buffer, READ_BYTES, (off_t)at);
        if (count < 0 && errno == EINTR) continue;
        if (count < 0) {
            report->how = CHAIN_UNREADABLE;
            report->error = errno;
            return;
        }
        if (count == 0) break;
        at += (uint64_t)count;
        if (memchr(buffer, '\n', (size_t)count) != NULL || at - chain->end > torn_bytes_max) {
            report->how = CHAIN_BROKEN;
            report->line = chain->records + 1;
            report->problem = "it is longer than any record";
            return;
        }
    }
    report->how = CHAIN_TORN;
    report->torn_bytes = at - chain->end;
}

chain_report chain_read(chain *chain, int file, chain_visit *visit, void *context)
{
    chain_report report = {.how = CHAIN_WHOLE};
    char *buffer = malloc(READ_BYTES);
    size_t held = 0; // bytes in the buffer, the first of them at `end`
    if (buffer == NULL) return (chain_report){.how = CHAIN_NO_MEMORY};
    for (;;) {
        ssize_t count = pread(file, buffer + held, READ_BYTES - held, (off_t)(chain->end + held));
        if (count < 0 && errno == EINTR) continue;
        if (count < 0) {
            report.how = CHAIN_UNREADABLE;
            report.error = errno;
            break;
        }
        if (count == 0) {
            if (held > 0) report.how = CHAIN_TORN, report.torn_bytes = held;
            break;
        }
        held += (size_t)count;
        size_t used = 0;
        bool going = true;
        for (char *line_end; going && (line_end = memchr(buffer + used, '\n', held - used)) != NULL;) {
            record record;
            size_t size = (size_t)(line_end - buffer) - used;
            going = accept_line(chain, buffer + used, size, &record, &report);
            if (going && visit != NULL) visit(context, &record);
            used += size + 1;
        }
        if (!going) break;
        held -= used;
        memmove(buffer, buffer + used, held);
        if (held > RECORD_BYTES_MAX) {
            judge_endless_line(chain, file, buffer, &report);
            break;
        }
    }
    free(buffer);
    return report;
}

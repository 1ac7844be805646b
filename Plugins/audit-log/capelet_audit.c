/*
 * capelet_audit.c - `capelet-audit`: checks and lists the log that the lambda `audit-log` writes. It only reads, takes no lock, and may be
 * used while the lambda is at work.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "chain.h"

enum { EXIT_BROKEN = 1, EXIT_USAGE = 2 };

static const char usage[] =
    "usage: capelet-audit verify FILE [--contains HASH]\n"
    "       capelet-audit list FILE\n"
    "\n"
    "  verify   check every record's hash, the chain from record to record, and the repeats; print the number of records,\n"
    "           unique events and repeats, and the last hash. With --contains, also require that HASH is the hash of one of the\n"
    "           records: note the last hash elsewhere from time to time, and nobody can cut the log or write it anew unseen.\n"
    "  list     print one line for each unique event: domain, offset, type, subject, separated by tabs. In them, a backslash, tab,\n"
    "           CR and LF are written \\\\, \\t, \\r, \\n.\n"
    "\n"
    "Exit code: 0 the log is whole; 1 it is not (the first bad line is named); 2 wrong usage, or the file cannot be read.\n";

/** What a walk over the records looks for or prints. */
typedef struct walk {
    bool list;
    const char *wanted_hash;
    uint64_t found_at;
    text out;
} walk;

static void flush(text *out)
{
    if (out->size > 0) fwrite(out->data, 1, out->size, stdout);
    out->size = 0;
}

static void visit(void *context, const record *record)
{
    walk *walk = context;
    if (walk->wanted_hash != NULL && memcmp(walk->wanted_hash, record->hash.data, SHA256_HEX) == 0) walk->found_at = record->n;
    if (!walk->list || record->repeat) return;
    record_add_plain(&walk->out, record->domain);
    text_add(&walk->out, "\t", 1);
    text_add_number(&walk->out, record->offset);
    text_add(&walk->out, "\t", 1);
    record_add_plain(&walk->out, record->type);
    text_add(&walk->out, "\t", 1);
    record_add_plain(&walk->out, record->subject);
    text_add(&walk->out, "\n", 1);
    if (walk->out.size > 65536) flush(&walk->out);
}

static int complain(const char *file, const char *what)
{
    fprintf(stderr, "capelet-audit: %s: %s\n", file, what);
    return EXIT_USAGE;
}

/** Reads the file and says how it ended. Returns an exit code. */
static int read_log(const char *name, chain *chain, walk *walk)
{
    int file = open(name, O_RDONLY | O_CLOEXEC);
    if (file < 0) return complain(name, strerror(errno));
    chain_report report = chain_read(chain, file, visit, walk);
    close(file);
    flush(&walk->out);
    switch (report.how) {
    case CHAIN_WHOLE:
        break;
    case CHAIN_TORN:
        fprintf(stderr, "capelet-audit: %s: note: %llu bytes of an unfinished record at the end: the lambda is writing, or died in it\n",
                name, (unsigned long long)report.torn_bytes);
        break;
    case CHAIN_BROKEN:
        fprintf(stderr, "capelet-audit: %s: line %llu: %s\n", name, (unsigned long long)report.line, report.problem);
        return EXIT_BROKEN;
    case CHAIN_UNREADABLE:
        return complain(name, strerror(report.error));
    case CHAIN_NO_MEMORY:
        return complain(name, "not enough memory");
    }
    if (walk->out.failed) return complain(name, "not enough memory");
    if (fflush(stdout) != 0 || ferror(stdout)) return complain("standard output", "cannot write");
    return 0;
}

int main(int count, char **arguments)
{
    for (int i = 1; i < count; i++) {
        if (strcmp(arguments[i], "--help") == 0 || strcmp(arguments[i], "-h") == 0) {
            fputs(usage, stdout);
            return 0;
        }
    }
    walk walk = {0};
    bool verify = count >= 3 && strcmp(arguments[1], "verify") == 0;
    walk.list = count == 3 && strcmp(arguments[1], "list") == 0;
    if (verify && count == 5 && strcmp(arguments[3], "--contains") == 0) walk.wanted_hash = arguments[4];
    if (!walk.list && (!verify || (count != 3 && walk.wanted_hash == NULL))) {
        fputs(usage, stderr);
        return EXIT_USAGE;
    }
    const char *name = arguments[2];
    if (walk.wanted_hash != NULL && (strlen(walk.wanted_hash) != SHA256_HEX || strspn(walk.wanted_hash, "0123456789abcdef") != SHA256_HEX))
        return complain("--contains", "write a hash of 64 lower-case hexadecimal digits");

    chain chain;
    chain_init(&chain);
    int code = read_log(name, &chain, &walk);
    if (verify && code != EXIT_USAGE)
        printf("records: %llu\nunique events: %llu\nrepeats: %llu\nlast hash: %.64s\n", (unsigned long long)chain.records,
               (unsigned long long)(chain.records - chain.repeats), (unsigned long long)chain.repeats, chain.hash);
    if (code == 0 && walk.wanted_hash != NULL) {
        if (walk.found_at > 0) {
            printf("contains: record %llu\n", (unsigned long long)walk.found_at);
        } else {
            fprintf(stderr, "capelet-audit: %s: no record has the hash %s: the log was cut or written anew\n", name, walk.wanted_hash);
            code = EXIT_BROKEN;
        }
    }
    chain_free(&chain);
    text_free(&walk.out);
    return code;
}

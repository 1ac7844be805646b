/*
 * chain.h - reading an audit log from front to back: the checks between records, and what has been recorded so far.
 *
 * The plugin and `capelet-audit` share it. A chain is always the result of reading whole, valid lines from the start of a file; `end`
 * is where the next record belongs. Not for several threads at once.
 */
#ifndef CAPELET_AUDIT_CHAIN_H
#define CAPELET_AUDIT_CHAIN_H

#include "offset_set.h"
#include "record.h"

/** The offsets of one domain. */
typedef struct chain_domain {
    /** As in the records: escaped. */
    char *name;
    size_t name_size;
    offset_set offsets;
} chain_domain;

/** What is known of the records up to `end`. */
typedef struct chain {
    /** Bytes of whole, valid records. */
    uint64_t end;
    /** Records; also the `n` of the last one. */
    uint64_t records;
    uint64_t repeats;
    /** The hash of the last record; 64 zeros before the first. */
    char hash[SHA256_HEX];
    chain_domain *domains;
    size_t domain_count;
} chain;

/** How reading ended. */
typedef enum chain_end {
    /** At the end of the file, after a whole record. */
    CHAIN_WHOLE,
    /** The bytes after `end` are the beginning of a record: somebody died, or still is, writing it. */
    CHAIN_TORN,
    /** Line `line`, at `end`, is not what belongs there: see `problem`. */
    CHAIN_BROKEN,
    /** The file could not be read: see `error`. */
    CHAIN_UNREADABLE,
    /** Memory was short. */
    CHAIN_NO_MEMORY,
} chain_end;

/** Where and why reading ended. */
typedef struct chain_report {
    chain_end how;
    /** Of a broken chain: the number of the line, from 1. */
    uint64_t line;
    /** Of a broken chain: what is wrong. */
    const char *problem;
    /** Of a torn one: the bytes after `end`. */
    uint64_t torn_bytes;
    /** errno of an unreadable one. */
    int error;
} chain_report;

/** Is called with each record that was found good, before the next one is read. */
typedef void chain_visit(void *context, const record *record);

/** An empty chain. */
void chain_init(chain *chain);
/** Gives its memory back. Must be initialised again before use. */
void chain_free(chain *chain);

/** Reads on from `end`, as far as the file goes. `visit` may be NULL. */
chain_report chain_read(chain *chain, int file, chain_visit *visit, void *context);

/** The index of a domain, which is made if it is new; SIZE_MAX if memory is short. `name` is as in a record. */
size_t chain_domain_index(chain *chain, slice name);

#endif

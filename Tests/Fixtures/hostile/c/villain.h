// What the hostile plugins in C and C++ share. A payload is a JSON string: the word for a fault, perhaps with an argument. Every run is noted as the
// fixture lambda `record` does it; what a fault finds out goes into the file `answers` of the state folder, one `word=answer` a line.
#pragma once

#include "../../c/fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>

#define TEXT(bytes) (int)(bytes).size, (const char *)(bytes).data

/// Appends to a file of the state folder by one write. Returns whether it could: a fault may have used up all descriptors.
static inline bool villain_note(const char *file, const char *line, size_t size) {
    char path[4096];
    snprintf(path, sizeof path, "%.*s/%s", TEXT(fixture_host->state_directory), file);
    int descriptor = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (descriptor < 0) return false;
    bool written = write(descriptor, line, size) == (ssize_t)size;
    close(descriptor);
    return written;
}

/// `B` when a run begins, `E` when it has ended.
static inline void villain_record(char mark, const capelet_event *event) {
    char line[2048];
    int size = snprintf(line, sizeof line, "%c %.*s %llu %u %d %u 1\n", mark, TEXT(event->subject), (unsigned long long)event->sequence,
                        event->attempt, (int)getpid(), event->flags);
    villain_note("record", line, (size_t)size);
}

/// Writes down what a fault found out.
__attribute__((format(printf, 2, 3))) static inline void villain_answer(const char *word, const char *format, ...) {
    char text[1024], line[1200];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    int size = snprintf(line, sizeof line, "%s=%s\n", word, text);
    villain_note("answers", line, (size_t)size);
}

/// The result of a call as a word: `ok` or the error's name.
static inline const char *villain_error(long result) {
    if (result >= 0) return "ok";
    const char *name = strerrorname_np(errno);
    return name ? name : "?";
}

/// The word of an event, without the quotes of a JSON string.
static inline const char *villain_word(const capelet_event *event, char *buffer, size_t size) {
    fixture_payload(event, buffer, size);
    size_t length = strlen(buffer);
    if (length < 2 || buffer[0] != '"') return buffer;
    buffer[length - 1] = 0;
    return buffer + 1;
}

#include "include/CLibC.h"

static int argument_count = 0;
static char **arguments = NULL;

/// glibc calls constructors with what `main` gets.
__attribute__((constructor)) static void keep_arguments(int count, char **values) {
    argument_count = count;
    arguments = values;
}

int capelet_linux_argument_count(void) { return argument_count; }
char **capelet_linux_arguments(void) { return arguments; }

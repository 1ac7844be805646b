#include "CLinux.h"

int capelet_linux_argument_count = 0;
char **capelet_linux_arguments = 0;

/// glibc calls constructors with what `main` gets.
__attribute__((constructor)) static void keep_arguments(int count, char **arguments) {
    capelet_linux_argument_count = count;
    capelet_linux_arguments = arguments;
}

// The C library for code that has no Glibc module: `capelet-worker` is Embedded Swift. Swift sees what these headers declare as plain
// functions; what they make of macros or variable arguments is in worker_process.h.
#pragma once

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

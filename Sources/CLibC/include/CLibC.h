// The C library for `capelet-worker` alone: Embedded Swift has no Glibc module. Nothing that imports Glibc or Foundation may import this
// too, because it is built with _GNU_SOURCE and those are not: the compiler would see two definitions of the same types.
#pragma once

#include "libc.h"
#include "confinement.h"
#include "worker_process.h"

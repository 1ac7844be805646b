// No header here defines _GNU_SOURCE: Swift's own Glibc module is built without it, and a file that imports both would see two
// different definitions of the same types, which is an error. What needs it goes into a .c file.
#pragma once

#include "checksum.h"
#include "socket_messages.h"
#include "channel_memory.h"
#include "child_process.h"
#include "hashing.h"
#include "polling.h"
#include "shared_memory.h"
#include "inotify.h"

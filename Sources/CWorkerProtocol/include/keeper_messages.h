// What the host and a keeper say to each other, over a SOCK_SEQPACKET socket that is descriptor CAPELET_KEEPER_SOCKET in the keeper.
// Keeper and template talk over a socket of their own in the same way.
//
// Start. The host spawns `capelet-worker keeper` with the socket as descriptor 3, sends LOAD, and waits for LOADED or LOAD_FAILED, with a
// limit (boot time). Then it sends SPAWN for each worker. The end of the host's side of the socket is the order to kill everything and exit.
//
// Trust. Keeper code is Capelet's own and runs no plugin code, so the host believes its messages after checking sizes. The keeper believes
// nothing from the template: a pid that the template names must be a child of the keeper's that no worker has yet.
#pragma once

#include <stdint.h>

enum {
    CAPELET_KEEPER_SOCKET = 3,
    /// The largest message, header included. Longer text is cut.
    CAPELET_KEEPER_MESSAGE_MAX = 8192,
};

/// Types of messages. The name says who sends it.
enum {
    /// Host: load a plugin. Descriptors: settings (a memfd, see below), the folder of the generation (O_PATH), then the `cgroup.procs` of up to 4
    /// control groups for the template.
    CAPELET_HOST_LOAD = 1,
    /// Host: make worker `id`. Descriptors, in this order: settings, inbox, outbox, bell, socket, standard output, standard error, then the
    /// `cgroup.procs` of up to 4 control groups.
    CAPELET_HOST_SPAWN = 2,
    /// Host: send signal `value` to worker `id` (and its process group); nothing if it is gone.
    CAPELET_HOST_KILL = 3,
    /// Host: kill what is left, reap it, exit.
    CAPELET_HOST_END = 4,

    /// Keeper: the template has loaded the plugin. `value`: its number of threads; 1: forking, more: exec mode, in which the template is gone.
    /// With plugin.exec the number is at least 2.
    CAPELET_KEEPER_LOADED = 16,
    /// Keeper: it could not be loaded; the body says why (dlerror's words, or how the template died). `value`: the wait status, or 0.
    CAPELET_KEEPER_LOAD_FAILED = 17,
    /// Keeper: worker `id` runs as process `value` (the pid in the keeper's namespace). Descriptor: its pidfd.
    CAPELET_KEEPER_STARTED = 18,
    /// Keeper: worker `id` could not be made; `value` is an errno.
    CAPELET_KEEPER_SPAWN_FAILED = 19,
    /// Keeper: worker `id` is dead and so are all its descendants. The body is a capelet_keeper_death.
    CAPELET_KEEPER_DIED = 20,
    /// Keeper: the template is dead. The body is a capelet_keeper_death. Workers live on; no more can be made.
    CAPELET_KEEPER_TEMPLATE_DIED = 21,
};

struct capelet_keeper_message {
    uint32_t type;
    uint32_t reserved;
    uint64_t id;
    uint64_t value;
};
_Static_assert(sizeof(struct capelet_keeper_message) == 24, "host and keeper agree on the layout");

struct capelet_keeper_death {
    /// As wait4 gives it.
    int32_t wait_status;
    uint32_t reserved;
    uint64_t user_micros;
    uint64_t system_micros;
    /// The most memory it ever had resident, in KiB.
    uint64_t peak_kib;
};
_Static_assert(sizeof(struct capelet_keeper_death) == 32, "host and keeper agree on the layout");

// Settings: a memfd with entries { u32 key size, u32 value size, key, value }, one after another, no padding. Keys are ASCII.
//
// For LOAD:
//   library            file name of the .so within the generation's folder
//   library.kind       absent: a plugin. "copy": a library that is no plugin, in the generation's folder. "system": such a library, which the
//                      loader finds by its name; the folder is only where it was found
//   plugin             name of the plugin, for messages
//   generation         its number, for messages
//   plugin.exec        "1": do not fork workers from a template; each loads for itself (also used when sandboxes are strict)
// For LOAD and SPAWN (a template's limits are those of its plugin's lambdas, at their largest; a worker's can only be lower):
//   limit.data         RLIMIT_DATA, bytes        limit.address     RLIMIT_AS, bytes
//   limit.cpu          RLIMIT_CPU, seconds       limit.files       RLIMIT_NOFILE
//   limit.file-size    RLIMIT_FSIZE, bytes       limit.stack       RLIMIT_STACK, bytes
//   limit.processes    RLIMIT_NPROC
//   environment.NAME   one variable of the worker's environment; nothing else is inherited
// For LOAD and for `describe`, the sandbox (what is not there is not done; what fails ends the start):
//   nice                      levels of priority to give up
//   sandbox.user              user and group id to become
//   sandbox.user-namespace    "1": a user namespace, after that
//   sandbox.no-capabilities   "1"
//   namespace.user, .pid, .mount, .network, .ipc, .proc       "1": the keeper enters them; .proc: and mounts /proc
//   mount.hide.N              folder that is covered by an empty one      mount.show.N    path that can be seen all the same
//   landlock.version          of the kernel; 0: no rules     landlock.network      "1": TCP is allowed
//   landlock.read.N, landlock.write.N, landlock.use.N         paths: see LandlockRules.swift
//   seccomp.base              program (struct sock_filter) for every process that loads or has loaded the plugin
//   seccomp.worker            program for those that copy themselves no more
//   seccomp.signals           "1": those can send signals to themselves only
// For SPAWN:
//   lambda.entry       name of the lambda within the plugin's table
//   lambda             name of the lambda in the routing file
//   state              path of the lambda's state folder
//   worker.index       decimal
//   config             JSON object
//   config.KEY         one flattened value
//   domain.NUMBER      name of the domain with that number
// For SPAWN of a lambda that is a function of a library (types, rules and outputs as in routing files, Docs/LAMBDAS.md):
//   function.symbol    its name
//   function.result    type of its result
//   function.success   zero, non-negative, non-null, any
//   function.output    none, result, buffer, buffer(result), buffer(string)
//   function.argument  once for each parameter, in their order: TYPE SOURCE VALUE with one space between them. Sources: integer, float, bool,
//                      text (the rest is the text), null; bytes, size, parsed-integer, parsed-float (of payload, subject, type, id, input);
//                      number (sequence, offset, time, attempt); header NAME; output SIZE, output-size, output-length

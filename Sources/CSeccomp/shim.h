// libseccomp, which turns rules on system calls into programs for the kernel. The actions are macros with arguments, which Swift cannot see.
#pragma once

#include <errno.h>
#include <seccomp.h>

static const uint32_t capelet_seccomp_allow = SCMP_ACT_ALLOW;
static const uint32_t capelet_seccomp_kill = SCMP_ACT_KILL_PROCESS;
static inline uint32_t capelet_seccomp_errno(int error) { return SCMP_ACT_ERRNO((uint32_t)error); }

// probe: tries what a sandbox is to deny, and answers with the error's name (rows 22 to 24 and 51). What to try stands in the payload: a word
// and, after a blank, a path, a pid or a port.
#include "villain.h"

#include <arpa/inet.h>
#include <linux/landlock.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

static long read_file(const char *path) {
    int descriptor = open(path, O_RDONLY | O_CLOEXEC);
    if (descriptor < 0) return -1;
    char byte;
    long result = read(descriptor, &byte, 1);
    int code = errno;
    close(descriptor);
    errno = code;
    return result;
}

static long write_file(const char *path) {
    int descriptor = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (descriptor < 0) return -1;
    close(descriptor);
    return 0;
}

static struct sockaddr_in address(const char *port) {
    return (struct sockaddr_in){
        .sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port)), .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
}

static long connect_tcp(const char *port) {
    int descriptor = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (descriptor < 0) return -1;
    struct sockaddr_in to = address(port);
    long result = connect(descriptor, (struct sockaddr *)&to, sizeof to);
    int code = errno;
    close(descriptor);
    errno = code;
    return result;
}

static long send_udp(const char *port) {
    int descriptor = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (descriptor < 0) return -1;
    struct sockaddr_in to = address(port);
    long result = sendto(descriptor, "x", 1, 0, (struct sockaddr *)&to, sizeof to);
    int code = errno;
    close(descriptor);
    errno = code;
    return result;
}

static long fork_child(void) {
    pid_t child = fork();
    if (child == 0) _exit(0);
    if (child > 0) waitpid(child, NULL, 0);
    return child;
}

static long raw_clone(void) {
    long child = syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
    if (child == 0) syscall(SYS_exit_group, 0);
    if (child > 0) waitpid((pid_t)child, NULL, 0);
    return child;
}

/// A program at an address where nothing is: EFAULT, where executing is allowed at all.
static long execute(void) {
    char *const nothing[] = {NULL};
    volatile uintptr_t nowhere = 1;
    return execve((const char *)nowhere, nothing, nothing);
}

static long raise_limit(void) {
    struct rlimit limit = {1 << 20, 1 << 20};
    return setrlimit(RLIMIT_NOFILE, &limit);
}

/// Reads a word of another process's memory, the way a debugger does it.
static long read_memory(pid_t pid) {
    long word;
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/mem", (int)pid);
    int descriptor = open(path, O_RDONLY | O_CLOEXEC);
    if (descriptor < 0) return -1;
    long result = pread(descriptor, &word, sizeof word, 4096);
    close(descriptor);
    // The address means nothing: that it could be opened is enough.
    return result < 0 ? 0 : result;
}

static int32_t probe(void *state, const capelet_event *event, capelet_result *result) {
    (void)state, (void)result;
    char buffer[1024];
    const char *word = villain_word(event, buffer, sizeof buffer);
    villain_record('B', event);
    const char *argument = strchr(word, ' ') ? strchr(word, ' ') + 1 : "";
    pid_t pid = (pid_t)atoi(argument);
    long code = -2;
    errno = 0;
    if (!strncmp(word, "read ", 5)) code = read_file(argument);
    else if (!strncmp(word, "write ", 6)) code = write_file(argument);
    else if (!strncmp(word, "tcp ", 4)) code = connect_tcp(argument);
    else if (!strncmp(word, "udp ", 4)) code = send_udp(argument);
    else if (!strncmp(word, "kill ", 5)) code = kill(pid, SIGKILL);
    else if (!strncmp(word, "signal ", 7)) code = kill(pid, 0);
    else if (!strncmp(word, "memory ", 7)) code = read_memory(pid);
    else if (!strncmp(word, "ptrace ", 7)) code = ptrace(PTRACE_SEIZE, pid, NULL, NULL);
    else if (!strcmp(word, "fork")) code = fork_child();
    else if (!strcmp(word, "clone")) code = raw_clone();
    else if (!strcmp(word, "exec")) code = execute();
    else if (!strcmp(word, "limit")) code = raise_limit();
    else if (!strcmp(word, "mount")) code = mount(NULL, "/", NULL, MS_SHARED | MS_PRIVATE, NULL); // Never anything but an error: both is EINVAL.
    else if (!strcmp(word, "bpf")) code = syscall(SYS_bpf, 0, NULL, 0);
    else if (!strcmp(word, "unshare")) code = unshare(CLONE_NEWUSER);
    else if (!strcmp(word, "io_uring")) code = syscall(SYS_io_uring_setup, 1, NULL);
    else if (!strcmp(word, "raw socket")) code = socket(AF_INET, SOCK_RAW, IPPROTO_ICMP);
    else if (!strcmp(word, "netlink")) code = socket(AF_NETLINK, SOCK_RAW, 0);
    else if (!strcmp(word, "setuid")) code = setuid(0);
    if (code != -2) villain_answer(word, "%s", villain_error(code));
    villain_record('E', event);
    return CAPELET_SUCCESS;
}

static const capelet_lambda lambda = {.struct_size = sizeof lambda, .name = "probe", .start = fixture_start, .handle = probe};
static const capelet_lambda *const all[] = {&lambda};
static const capelet_plugin plugin = {
    .struct_size = sizeof plugin, .abi_version = CAPELET_ABI_VERSION, .version = "1", .lambda_count = 1, .lambdas = all};

const capelet_plugin *capelet_plugin_v1(void) { return &plugin; }

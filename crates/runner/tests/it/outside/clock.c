/* The clocks of one process, as a test moves them: a library that is loaded before libc. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* By how many seconds: the wall clock, and the one that nobody can set. The file is looked for
   once, before a runner leaves for where it is not. */
static volatile int64_t *moved;

__attribute__((constructor)) static void find(void) {
    const char *path = getenv("CLOCK_MOVED");
    int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (file < 0)
        return;
    void *shown = mmap(NULL, 2 * sizeof *moved, PROT_READ, MAP_SHARED, file, 0);
    close(file);
    if (shown != MAP_FAILED)
        moved = shown;
}

int clock_gettime(clockid_t clock, struct timespec *time) {
    int failed = syscall(SYS_clock_gettime, clock, time);
    if (failed || !moved)
        return failed;
    if (clock == CLOCK_REALTIME)
        time->tv_sec += moved[0];
    if (clock == CLOCK_MONOTONIC || clock == CLOCK_BOOTTIME)
        time->tv_sec += moved[1];
    return 0;
}

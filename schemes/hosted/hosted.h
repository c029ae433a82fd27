/* What the simulated kernel side has beyond libredox.h: things that are plain libc calls on Redox. */
#ifndef HOSTED_HOSTED_H
#define HOSTED_HOSTED_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* fork() as relibc does it (redox-run.md 2.5). The library replaces fork itself by it. */
pid_t hosted_fork(void);

/*
 * Says which events (enum scheme_events) this process waits for on the handle FD, as an event queue
 * does; 0 for none any more. The handle becomes readable (POLLIN) when the daemon says so. Returns
 * the events ready now, or (size_t)-errno.
 */
size_t hosted_watch(size_t fd, uint32_t events);

/* A pipe that can carry descriptors, as Redox's pipes do: RET_FDS[0] is read. Returns 0 or a
 * negative errno. */
int hosted_pipe(int ret_fds[2]);

#endif

/*
 * Signals become bytes in a pipe and a flag for each signal: the part of the loop that runs inside
 * a signal handler. Process-wide; used by loop.c alone.
 */
#ifndef COMMON_SIGNAL_BELL_H
#define COMMON_SIGNAL_BELL_H

#include <stdbool.h>

#define SIGNAL_BELL_SIGNALS 65 // signals are 1 to 64

/*
 * Catches SIGNO for OWNER (not NULL): FD (borrowed, non-blocking) gets a byte for each arrival.
 * Returns 0; -EBUSY when another owner has it; -EINVAL for what cannot be caught. Again for the
 * same owner: 0, nothing changes.
 */
int signal_bell_hang(int signo, const void *owner, int fd);

/* Gives the old disposition of SIGNO back. */
void signal_bell_remove(int signo);

/* Whether SIGNO came for OWNER since the last question. */
bool signal_bell_take(int signo, const void *owner);

#endif

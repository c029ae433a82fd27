/* File descriptors: ownership by scope, flags from birth. */
#ifndef COMMON_FD_H
#define COMMON_FD_H

/* Closes *FD if it is not negative and sets it to -1. errno survives. */
void fd_close(int *fd);

/* Declares a local descriptor that is closed when it goes out of scope: auto_close int fd = -1; */
#define auto_close __attribute__((cleanup(fd_close)))

/* Returns *FD and sets it to -1: hands ownership on. */
int fd_take(int *fd);

/* Sets O_NONBLOCK and FD_CLOEXEC. Returns 0 or a negative errno. */
int fd_prepare(int fd);

/* A pipe, both ends non-blocking and CLOEXEC. Returns 0 or a negative errno. */
int fd_pipe(int ret_fds[2]);

/* Writes BYTE to FD and closes it, whatever happened. Returns 0 or a negative errno. */
int fd_tell(int fd, char byte);

#endif

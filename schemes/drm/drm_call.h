/*
 * Any DRM ioctl of the table as one SYS_CALL, for the client side: what relibc's ioctl() does for
 * the numbers that it knows, as a function that a program can link with -Wl,--wrap=ioctl.
 */
#ifndef DRM_DRM_CALL_H
#define DRM_DRM_CALL_H

#include <stddef.h>

/*
 * Does what ioctl(FD, REQUEST, ARGUMENT) does for a DRM request: packs the Linux struct and its
 * arrays, calls, unpacks. Returns the ioctl's value, or -1 with errno: EINVAL for a request that
 * the table lacks or whose size differs, EFAULT for a NULL argument, else the bridge's.
 */
int drm_call(size_t fd, unsigned long request, void *argument);

#endif

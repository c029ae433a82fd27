/* The clock that may be hostile. */
#ifndef HOSTED_CLOCK_H
#define HOSTED_CLOCK_H

/*
 * Reads REDOX_HOSTED_CLOCK; otherwise the first look at the clock does. That it is called from the
 * simulation makes the linker take our clock_gettime even where a sanitizer has one.
 */
void hosted_clock_prepare(void);

#endif

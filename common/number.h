/* Numbers in text that a person or a peer wrote. */
#ifndef COMMON_NUMBER_H
#define COMMON_NUMBER_H

#include <stdbool.h>
#include <stdint.h>

/* Whether the whole of TEXT is a decimal number (digits only, at most 19) of at most MAX. */
bool number_parse(const char *text, uint64_t max, uint64_t *ret_number);

#endif

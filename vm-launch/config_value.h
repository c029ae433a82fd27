/* Values of the configuration: text to numbers, sizes, words of a list, names, addresses. */
#ifndef VM_LAUNCH_CONFIG_VALUE_H
#define VM_LAUNCH_CONFIG_VALUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A decimal number from MIN to MAX. Returns 0, or -EINVAL. */
int config_value_number(const char *text, uint32_t min, uint32_t max, uint32_t *ret_number);

/* "512M", "2G": mebibytes from MIN to MAX. Returns 0, or -EINVAL. */
int config_value_memory(const char *text, uint32_t min_mib, uint32_t max_mib, uint32_t *ret_mib);

/* "1280x720", each side from 64 to 8192. Returns 0, or -EINVAL. */
int config_value_mode(const char *text, uint32_t *ret_width_px, uint32_t *ret_height_px);

/* The index of TEXT among WORDS, separated by '|'. Returns 0, or -EINVAL. */
int config_value_word(const char *text, const char *words, int *ret_index);

/* Whether TEXT is a name: a letter, then letters, digits, '-', '_', shorter than SIZE. */
bool config_value_is_name(const char *text, size_t size);

#endif

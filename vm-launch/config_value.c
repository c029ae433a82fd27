/*
 * Text to value. The invariant: the whole text is the value, nothing before or behind it is
 * ignored.
 */
#include "vm-launch/config_value.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

/*
 * The number at *TEXT, which is moved behind it: digits only, no sign, no blank, no leading zero.
 */
static int digits(const char **text, uint32_t *ret_number)
{
	const char *at = *text;
	uint64_t number = 0;

	if (!isdigit((unsigned char)*at) || (at[0] == '0' && isdigit((unsigned char)at[1]))) {
		return -EINVAL;
	}
	for (; isdigit((unsigned char)*at); at++) {
		number = number * 10 + (uint64_t)(*at - '0');
		if (number > UINT32_MAX) {
			return -EINVAL;
		}
	}
	*text = at;
	*ret_number = (uint32_t)number;
	return 0;
}

int config_value_number(const char *text, uint32_t min, uint32_t max, uint32_t *ret_number)
{
	uint32_t number;

	if (digits(&text, &number) < 0 || *text != '\0' || number < min || number > max) {
		return -EINVAL;
	}
	*ret_number = number;
	return 0;
}

int config_value_memory(const char *text, uint32_t min_mib, uint32_t max_mib, uint32_t *ret_mib)
{
	uint32_t number;

	if (digits(&text, &number) < 0 || number > UINT32_MAX / 1024) {
		return -EINVAL;
	}
	if (strcmp(text, "G") == 0) {
		number *= 1024;
	} else if (strcmp(text, "M") != 0) {
		return -EINVAL;
	}
	if (number < min_mib || number > max_mib) {
		return -EINVAL;
	}
	*ret_mib = number;
	return 0;
}

int config_value_mode(const char *text, uint32_t *ret_width_px, uint32_t *ret_height_px)
{
	uint32_t width, height;

	if (digits(&text, &width) < 0 || *text++ != 'x' || digits(&text, &height) < 0 ||
			*text != '\0') {
		return -EINVAL;
	}
	if (width < 64 || width > 8192 || height < 64 || height > 8192) {
		return -EINVAL;
	}
	*ret_width_px = width;
	*ret_height_px = height;
	return 0;
}

int config_value_word(const char *text, const char *words, int *ret_index)
{
	size_t length = strlen(text);

	for (int index = 0;; index++) {
		size_t word = strcspn(words, "|");

		if (word == length && strncmp(text, words, word) == 0) {
			*ret_index = index;
			return 0;
		}
		if (words[word] == '\0') {
			return -EINVAL;
		}
		words += word + 1;
	}
}

bool config_value_is_name(const char *text, size_t size)
{
	if (!isalpha((unsigned char)*text) || strlen(text) >= size) {
		return false;
	}
	for (; *text; text++) {
		if (!isalnum((unsigned char)*text) && *text != '-' && *text != '_') {
			return false;
		}
	}
	return true;
}

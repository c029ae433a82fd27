/* Numbers in text. strtoull() is not used: it takes blanks, signs and wraps around. */
#include "common/number.h"

#include <string.h>

#define DIGITS_MAX 19 // all such numbers fit into 64 bits

bool number_parse(const char *text, uint64_t max, uint64_t *ret_number)
{
	size_t digits = strspn(text, "0123456789");
	uint64_t number = 0;

	if (digits == 0 || digits > DIGITS_MAX || text[digits] != '\0') {
		return false;
	}
	for (size_t i = 0; i < digits; i++) {
		number = number * 10 + (uint64_t)(text[i] - '0');
	}
	if (number > max) {
		return false;
	}
	*ret_number = number;
	return true;
}

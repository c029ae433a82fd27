/* A table of the main block of the keyboard; keys without a character are 0. */
#include "schemes/hosted/inputd/keymap.h"

#include <stddef.h>

static const char plain[] = "\0\x1b"
			    "1234567890-=\x7f\tqwertyuiop[]\n\0asdfghjkl;'`\0\\zxcvbnm,./\0*\0 ";
static const char shifted[] = "\0\x1b"
			      "!@#$%^&*()_+\x7f\tQWERTYUIOP{}\n\0ASDFGHJKL:\"~\0|ZXCVBNM<>?\0*\0 ";

_Static_assert(sizeof(plain) == 0x3A + 1, "one for each code up to space");
_Static_assert(sizeof(shifted) == sizeof(plain), "the same keys");

char keymap_character(uint8_t scancode, bool shift)
{
	if (scancode >= sizeof(plain) - 1) {
		return '\0';
	}
	return shift ? shifted[scancode] : plain[scancode];
}

bool keymap_is_shift(uint8_t scancode)
{
	return scancode == 0x2A || scancode == 0x36;
}

unsigned keymap_function_key(uint8_t scancode)
{
	if (scancode >= 0x3B && scancode <= 0x44) {
		return scancode - 0x3Bu + 1;
	}
	return scancode == 0x57 ? 11 : scancode == 0x58 ? 12 : 0;
}

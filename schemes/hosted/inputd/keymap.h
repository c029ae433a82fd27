/* The US keymap over PS/2 set 1 make codes (redox-abi.md 5.4): what inputd puts into the key events
 * of producers. */
#ifndef HOSTED_INPUTD_KEYMAP_H
#define HOSTED_INPUTD_KEYMAP_H

#include <stdbool.h>
#include <stdint.h>

#define KEYMAP_SUPER 0x5B

/* The character of a key, 0 if it has none. */
char keymap_character(uint8_t scancode, bool shift);

/* Whether the key is one of the two shift keys. */
bool keymap_is_shift(uint8_t scancode);

/* 1 to 12 for the keys F1 to F12, else 0. */
unsigned keymap_function_key(uint8_t scancode);

#endif

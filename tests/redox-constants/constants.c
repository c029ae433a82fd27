/* Prints NAME=VALUE for what constants.def compares, and "# NAME: SOURCE" for what it does not. */
#include <stddef.h>
#include <stdio.h>
#include "schemes/scheme/libredox.h"
#include "schemes/scheme/wire.h"

#define COMPARED(name)          printf("%s=%llu\n", #name, (unsigned long long)(name));
#define SIZE(type)              printf("%s.size=%zu\n", #type, sizeof(struct type));
#define FIELD(type, field)      printf("%s.%s=%zu\n", #type, #field, offsetof(struct type, field));
#define ELSEWHERE(name, source) printf("# %s: %s\n", #name, source);

int main(void)
{
#include "tests/redox-constants/constants.def"
	return 0;
}

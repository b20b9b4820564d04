/* Numbers for people. */
#ifndef COMMON_BASE_DIGITS_H
#define COMMON_BASE_DIGITS_H

#include <stdint.h>

/* 4838065 as "4 838 065"; returns out. */
const char *digits_grouped(char out[static 32], uint64_t n);

#endif

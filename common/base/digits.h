/* Numbers as people write and read them.  Threads: any. */
#ifndef COMMON_BASE_DIGITS_H
#define COMMON_BASE_DIGITS_H

#include <stdint.h>
#include <stdio.h>

#include "common/base/err.h"

/* 4838065 as "4 838 065"; returns out. */
const char *digits_grouped(char out[static 32], uint64_t n);
/* Three digits and a prefix: "512", "12.3 k", "4.56 M"; returns out. */
const char *digits_short(char out[static 32], uint64_t n);

/* A line of a summary: the label in DIGITS_LABEL columns, the number, the note. */
#define DIGITS_LABEL 20
void digits_line(FILE *out, const char *label, uint64_t n, const char *note);
/* Only when n is not 0. */
void digits_line_if(FILE *out, const char *label, uint64_t n, const char *note);

/* The shortest decimal that reads back as the same number; returns out. */
const char *digits_real(char out[static 32], double v);

/* A whole number from low to high, decimal or hexadecimal with 0x.  A leading zero is
 * refused: it could mean octal.  0, or -EINVAL with a sentence. */
int digits_parse(
    const char *text, int64_t low, int64_t high, int64_t *ret, struct err *e);
/* A decimal number that is finite. */
int digits_parse_real(const char *text, double *ret, struct err *e);

#endif

/* The inside of option.h: values of options (text to value, value to text, for every kind),
 * the rows of a program, and what prints them. */
#ifndef COMMON_CONFIG_OPTION_PRIVATE_H
#define COMMON_CONFIG_OPTION_PRIVATE_H

#include <stdio.h>

#include "common/config/option.h"

#define OPTION_VALUE_TEXT 32 /* a number, size or duration as text, and NUL */

/* Replaces the value (a list: adds to it).  Negative: what was expected is in e, and
 * the value is as before. */
int option_value_parse(
    const struct option *o, const char *text, void *value, struct err *e);
/* Frees the value's memory and sets it to zero. */
void option_value_clear(const struct option *o, void *value);
/* Numbers, sizes, durations in the largest unit that is exact. */
void option_value_format(
    enum option_kind kind, uint64_t v, char out[static OPTION_VALUE_TEXT]);

/* Values of the options that every program has. */
struct option_builtin {
	const char *config;
	unsigned log_level;
	bool help, version, print_config, print_manual;
};

/* The i-th option: the program's own, the shared ones, the built-in ones; then NULL. */
const struct option *option_at(const struct option_program *p, unsigned i);
bool option_is_builtin(const struct option *o);
/* Where the value of o is. */
void *option_place(const struct option_program *p, const struct option *o, void *config,
    struct option_builtin *builtin);

/* The argument as help shows it: "FILE", "error|warning"; NULL: a flag. */
const char *option_argument(const struct option *o, char *out, size_t room);

void option_print_help(const struct option_program *p, FILE *out);
void option_print_manual(const struct option_program *p, FILE *out);
void option_print_config(const struct option_program *p, const void *config,
    const struct option_builtin *builtin, FILE *out);

#endif

/* The option table of a program: one row per option parses the command line and the
 * YAML configuration file, validates, prints (--print-config), helps (--help) and
 * completes the manual page (--print-manual).  A value on the command line wins over
 * the file.  Every program has the built-in options --config FILE, --help, --version,
 * --print-config, --print-manual and --log-level error|warning|info|debug
 * (option_parse sets the level and the program's name for log lines); those that the
 * exporter and the collector share are in option_shared.h.
 * Memory: all values are copies; option_free frees them. */
#ifndef COMMON_CONFIG_OPTION_H
#define COMMON_CONFIG_OPTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/clock.h"
#include "common/base/err.h"

enum option_kind {
	OPTION_FLAG,     /* bool */
	OPTION_STRING,   /* const char *; NULL when not given */
	OPTION_LIST,     /* struct option_list; repeatable; YAML list or scalar */
	OPTION_NUMBER,   /* uint64_t, min..max; suffixes k M G (1000s) */
	OPTION_SIZE,     /* uint64_t bytes; suffixes KiB MiB GiB k M G (1024s) */
	OPTION_DURATION, /* uint64_t ns; "15s" "200ms" "30min" "2h" "1d"; or seconds */
	OPTION_CHOICE,   /* unsigned, index into choices (NULL-terminated) */
};

struct option_list {
	const char **items;
	unsigned count;
};

struct option {
	const char *name; /* long name, without dashes; also the YAML key */
	char letter;      /* or 0 */
	enum option_kind kind;
	size_t offset;        /* of the value in the program's configuration struct */
	const char *argument; /* as help shows it: "FILE", "N" */
	const char *standard; /* default as text, or NULL: zero */
	uint64_t min, max;    /* NUMBER, SIZE, DURATION; max 0: no bound */
	const char *const *choices;
	const char *section; /* heading in help and manual; NULL: as the row before */
	const char *help;    /* one or more sentences */
};

/* The beginning of a row of each kind; offset, letter, section and help follow. */
#define ROW_FLAG(n)        .name = (n), .kind = OPTION_FLAG
#define ROW_STRING(n, arg) .name = (n), .kind = OPTION_STRING, .argument = (arg)
#define ROW_LIST(n, arg)   .name = (n), .kind = OPTION_LIST, .argument = (arg)
#define ROW_BOUNDED(n, k, arg, std, least, most)                                       \
	.name = (n), .kind = (k), .argument = (arg), .standard = (std),                \
	.min = (least), .max = (most)
#define ROW_NUMBER(n, std, least, most)                                                \
	ROW_BOUNDED(n, OPTION_NUMBER, "N", std, least, most)
#define ROW_SIZE(n, std, least, most)                                                  \
	ROW_BOUNDED(n, OPTION_SIZE, "BYTES", std, least, most)
#define ROW_DURATION(n, std, least, most)                                              \
	ROW_BOUNDED(n, OPTION_DURATION, "TIME", std, least, most)
#define ROW_CHOICE(n, arg, std, words)                                                 \
	.name = (n), .kind = OPTION_CHOICE, .argument = (arg), .standard = (std),      \
	.choices = (words)

struct option_program {
	const char *name;     /* "flowpair-exporter" */
	const char *summary;  /* one line for NAME */
	const char *synopsis; /* without the name; lines split by \n */
	const char *operands; /* help on the words after options; NULL: none allowed */
	/* man(7) source of the manual from DESCRIPTION on, in which the line @OPTIONS@
	 * stands for the option table. */
	const char *manual;
	const struct option *options;
	unsigned count;
	bool has_shared;
	size_t shared; /* of the struct option_shared in the configuration struct */
};

/* Fills config: zero, then defaults, then the file, then the command line.  Words that
 * are not options go to ret_words when operands are allowed.  argv ends with NULL.
 * 0: go on.  1: help or the like was printed, exit 0.  Negative: sentence in e, exit 2. */
int option_parse(const struct option_program *program, char **argv, void *config,
    struct option_list *ret_words, struct err *e);

/* Frees what option_parse allocated in config. */
void option_free(
    const struct option_program *program, void *config, struct option_list *words);

#define OPTION_DURATION_MAX_NS (100000 * NS_PER_DAY) /* longer means forever */

/* A duration as options take it: 15s, 30min, 2h, 7d; seconds without a unit.  0,
 * -EINVAL, or -ERANGE when it does not fit. */
int option_parse_duration(const char *text, uint64_t *ret_ns);

#endif

/* The options that the exporter and the collector share, and their values.  A program
 * that has them keeps this struct in its configuration (option_program.shared). */
#ifndef COMMON_CONFIG_OPTION_SHARED_H
#define COMMON_CONFIG_OPTION_SHARED_H

#include "common/config/option.h"

enum option_summary { SUMMARY_TEXT, SUMMARY_JSON, SUMMARY_NONE };
enum option_progress { PROGRESS_AUTO, PROGRESS_ALWAYS, PROGRESS_NEVER };

struct option_shared {
	/* certificates */
	const char *certificate, *key, *ca, *crl;
	bool tls12;
	/* schemas */
	const char *schemas;
	struct option_list elements;
	uint64_t own_pen;
	/* process */
	const char *user, *metrics_file;
	unsigned summary, progress; /* enum option_summary, enum option_progress */
};

/* The first option given that only encrypted transports use ("--ca"); NULL: none. */
const char *option_shared_tls(const struct option_shared *s);

#endif

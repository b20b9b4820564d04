/* The inside of a run: shared by run.c, run_import.c and run_listen.c. */
#ifndef COLLECTOR_RUN_RUN_PRIVATE_H
#define COLLECTOR_RUN_RUN_PRIVATE_H

#include "collector/run/run.h"

struct run {
	const struct options *o;
	struct elements *elements;
	struct tables *tables;
	struct store *store;
	struct summary summary;
	uint64_t begin_ns; /* monotonic */
	bool is_begun;     /* there is something to report */
};

/* The directory of --store, without "sqlite:". */
const char *run_store_directory(const struct run *r);
/* Creates a missing directory, owned by this user. */
int run_make_for_user(const char *path, const char *user, struct err *e);
void run_tls_settings(const struct options *o, struct tls_settings *ret);

#endif

/* The collector's options: command line and configuration file. */
#ifndef COLLECTOR_RUN_OPTIONS_H
#define COLLECTOR_RUN_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/err.h"
#include "common/config/option_shared.h"

enum options_compact { COMPACT_AUTO, COMPACT_NEVER };
enum options_udp_sessions { UDP_BY_PORT, UDP_BY_ADDRESS };

struct options {
	struct option_shared shared;
	/* input */
	struct option_list listen, files;
	const char *exporter, *port_file;
	/* tables */
	const char *store;
	struct option_list tables;
	uint64_t max_keys, flush_interval_ns, lateness_ns, skew_ns;
	uint64_t template_lifetime_ns;
	unsigned compact;
	/* journal */
	const char *journal;
	uint64_t journal_bytes, segment_bytes, sync_interval_ns;
	bool skip_damaged_journal;
	/* peers */
	bool insecure_no_client_auth;
	uint64_t max_errors;
	const char *peers;
	uint64_t max_peers_per_address, max_half_open, message_timeout_ns;
	uint64_t max_peers, max_spools, handshake_timeout_ns, idle_timeout_ns;
	/* datagrams */
	unsigned udp_sessions;
	uint64_t udp_sources, udp_idle_ns, udp_buffer_bytes;
	/* checks */
	bool check, explain;

	char **table_names; /* of tables, split at commas; NULL: all */
	unsigned table_count;
};

/* As option_parse(): 0 go on; 1 something was printed, exit 0; negative: exit 2. */
int options_parse(char **argv, struct options *ret, struct err *e);
/* Whether any --listen is encrypted, and so needs certificates. */
bool options_is_secured(const struct options *o);
void options_free(struct options *o);

#endif

/* The exporter's options: command line and configuration file. */
#ifndef EXPORTER_RUN_OPTIONS_H
#define EXPORTER_RUN_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/err.h"
#include "common/config/option_shared.h"

enum options_unit { UNIT_MS, UNIT_US, UNIT_S };
enum options_delivery { DELIVERY_FAILOVER, DELIVERY_DUPLICATE };

struct options {
	struct option_shared shared;
	/* input */
	struct option_list interfaces, files;
	const char *trace_csv;
	unsigned trace_unit; /* enum options_unit */
	const char *filter;
	uint64_t snaplen, ring_bytes, duration_ns, count;
	bool promiscuous;
	/* conversations */
	uint64_t max_conversations, idle_ns, active_ns;
	uint64_t idle_tcp_ns, idle_udp_ns, idle_icmp_ns;
	bool is_adaptive, vlan_in_key;
	uint64_t adaptive_min_ns, adaptive_max_ns, adaptive_factor;
	/* records */
	uint64_t domain, message_size, statistics_ns;
	const char *templates;
	bool list_elements;
	/* delivery */
	struct option_list to;
	uint64_t refresh_ns, refresh_messages;
	unsigned delivery; /* enum options_delivery */
	uint64_t failover_after_ns, spool_bytes;
	const char *spool;
	bool acknowledge, deliver_only, spool_status;
	uint64_t queue_bytes, give_up_ns;
};

/* As option_parse(): 0 go on; 1 something was printed, exit 0; negative: exit 2. */
int options_parse(char **argv, struct options *ret, struct err *e);
void options_free(struct options *o);
/* Live interfaces, not files. */
bool options_is_live(const struct options *o);
/* Whether any --to is encrypted, and so uses certificates. */
bool options_is_secured(const struct options *o);

#endif

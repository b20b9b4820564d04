/* A store with one table that stitches, and one-way flows for it. */
#ifndef TESTS_COLLECTOR_TABLES_SUPPORT_STITCH_H
#define TESTS_COLLECTOR_TABLES_SUPPORT_STITCH_H

#include "collector/store/store.h"
#include "tests/unit/collector/protocol/support_set.h"

#define WORLD_START 1493205077u /* 2017-04-26T11:11:17Z */
#define WORLD_FILE  "flows-2017-04-26.sqlite"
#define WORLD_LOOK                                                                     \
	"SELECT src_ip, src_port, dst_ip, dst_port, flows, fwd_packets, bwd_packets, " \
	"fwd_octets, bwd_octets FROM flows ORDER BY 1, 2, 3, 4"

struct flow {
	const char *src;
	unsigned sport;
	const char *dst;
	unsigned dport, protocol, start_ms, end_ms, packets, octets;
};

/* Two directions of one conversation. */
extern const struct flow flow_there, flow_back;

struct world {
	struct tables *tables;
	struct store *store;
	const char *directory;
	uint64_t position;
	uint64_t complete, pending; /* of the store, when it was opened last */
};

/* words: more lines of the table's schema. */
void world_open(struct world *w, const char *words);
void world_close(struct world *w);
/* Throws away what is in memory and starts again; 0 or what tables_resume() says. */
int world_restart(struct world *w, const char *words, struct err *e);
/* A record of the exporter; fields: more elements, whose bytes lie in `more`. */
void world_add(struct world *w, const char *exporter, uint32_t domain,
    const struct flow *f, const char *fields, const struct support_set *more);
void world_add_flow(struct world *w, const struct flow *f); /* of "r" */
/* Seconds after WORLD_START. */
void world_pass(struct world *w, unsigned seconds);
void world_flush(struct world *w);
/* Flushes what waits, too. */
void world_end(struct world *w);
/* What the day file says, or the main file. */
const char *world_ask(const struct world *w, const char *sql);
const char *world_ask_main(const struct world *w, const char *sql);
/* Ends, asks and closes. */
void world_expect(struct world *w, const char *sql, const char *rows);

#endif

/* Sessions under test, and messages for them. */
#ifndef TESTS_COLLECTOR_SESSION_SUPPORT_SESSION_H
#define TESTS_COLLECTOR_SESSION_SUPPORT_SESSION_H

#include <stddef.h>
#include <stdint.h>

#include "collector/session/session.h"
#include "common/ipfix/element.h"

/* A stage that counts what comes out of the sessions. */
struct stage {
	struct elements *elements;
	struct sessions *sessions;
	unsigned sets, records;
	char exporter[64];
	uint64_t position, arrival_ns;
	double rate; /* of sampling in the last set's domain */
	struct protocol_clock clock;
	int answer; /* instead of the records, when negative */
	struct session_counts counts;
	char counted_exporter[64];
	char counted_via[64]; /* "": none */
	unsigned rows;
	uint64_t refused_domain, templates; /* of all rows */
	uint64_t now_ns;                    /* arrival of messages; 0: 77 */
	uint64_t template_lifetime_ns;
};

/* Of a cmocka test: *state is a struct stage. */
int stage_set_up(void **state);
int stage_tear_down(void **state);
struct sessions *stage_sessions(struct stage *g);
/* New sessions with other settings in place of those there are. */
void stage_again(struct stage *g, const struct sessions_settings *settings);
void stage_open(
    struct stage *g, uint32_t number, const char *transport, const char *peer);
/* A message of one set with these 16-bit words as its body. */
size_t stage_build(uint8_t *out, uint32_t sequence, uint32_t domain, uint16_t set_id,
    const uint16_t *words, size_t count);
void stage_send(struct stage *g, uint32_t session, uint32_t sequence, uint32_t domain,
    uint16_t set_id, const uint16_t *words, size_t count);
#define SEND(g, session, sequence, domain, set_id, ...)                                \
	stage_send(g, session, sequence, domain, set_id,                               \
	    (const uint16_t[]){__VA_ARGS__},                                           \
	    sizeof(const uint16_t[]){__VA_ARGS__} / 2)

/* One record of template 256 in domain 7, on a stream. */
void stage_send_on(struct stage *g, uint16_t stream, uint32_t sequence);

/* Template id: sourceTransportPort and destinationTransportPort; 4 bytes a record. */
#define PORTS(id) id, 2, 7, 2, 11, 2

/* RFC 5610: element 12 of enterprise 9999 is called so; (pen, id) -> type and name,
 * scope of two. */
void stage_teach(struct stage *g, uint32_t session, const char *name);

/* Takes the counters into g->counts: of the last row, and how many rows there were. */
void stage_counts(struct stage *g);
void stage_take_counts(const struct session_counts *c, void *data);

#endif

/* What the collector keeps with a template: worked out once, not for each of its sets.
 * It lies in the template's one slot for its reader and goes with the template, or when
 * the registry of elements learns one of its fields.
 * Threads: the processing thread. */
#ifndef COLLECTOR_PROTOCOL_READER_H
#define COLLECTOR_PROTOCOL_READER_H

#include "common/ipfix/template.h"

enum reader_kind { /* what the records are */
	READER_FLOWS,
	READER_PACKETS, /* each is one packet (packet_section.h) */
	READER_EVENTS,  /* of a firewall, and they count (nsel.h) */
};

struct reader {
	enum reader_kind kind;
	void *plans; /* what the tables compiled; plans_free() releases it */
	void (*plans_free)(void *plans);
};

/* Made on first use; NULL when memory is short. */
struct reader *reader_of(struct template *t);
enum reader_kind reader_kind(struct template *t);

#endif

/* A wire format is a row: its name, how its messages are recognised and read, what its
 * numbers and clocks mean.  Nobody else knows a version.  A new format is one file with
 * a row, like ipfix.c, netflow9.c, netflow5.c and sflow5.c, a line in protocol.c, and a
 * fuzzer of its own.
 *
 * Behind the rows there are sets, records and templates as IPFIX (RFC 7011) has them.
 * Knows no clock.  Threads: any. */
#ifndef COLLECTOR_PROTOCOL_PROTOCOL_H
#define COLLECTOR_PROTOCOL_PROTOCOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/address.h"
#include "common/base/cursor.h"

/* What the exporter's clocks said when it sent a message; relative times in records
 * count from there. */
struct protocol_clock {
	uint64_t export_ns; /* since 1970, in whole seconds in most formats */
	uint32_t uptime_ms; /* modulo 2^32; where has_uptime */
	bool has_uptime;
};

struct protocol_header {
	uint32_t domain;      /* the exporter's own number for a part of itself */
	struct address agent; /* of has_agent: who observed; else zeros */
	uint32_t sequence;
	struct protocol_clock clock;
	uint16_t sampling; /* of has_sampling: one packet of this many; 0: not said */
	struct cursor body;
};

enum protocol_body {
	PROTOCOL_SETS,    /* each with an id and a length (RFC 7011 section 3.3) */
	PROTOCOL_RECORDS, /* of one built-in template */
	PROTOCOL_SAMPLES, /* that become records of built-in templates */
};

enum protocol_sequence { /* what sequence numbers count */
	PROTOCOL_COUNTS_RECORDS,
	PROTOCOL_COUNTS_MESSAGES,
};

enum protocol_time { /* where times in records count from */
	/* The header's time.  Options may say when the exporter started. */
	PROTOCOL_TIME_EXPORT,
	/* The exporter's uptime.  A clock that was never set does not matter. */
	PROTOCOL_TIME_UPTIME,
	/* The message's arrival. */
	PROTOCOL_TIME_ARRIVAL,
};

enum protocol_sample_kind {
	PROTOCOL_SAMPLE_RECORD,
	PROTOCOL_SAMPLE_COUNTERS, /* of an interface, or of another part of the agent */
	PROTOCOL_SAMPLE_UNKNOWN,
};

#define PROTOCOL_SAMPLE_MAX 96
struct protocol_sample {
	enum protocol_sample_kind kind;
	uint16_t template_id; /* built-in: of the record */
	size_t length;
	uint8_t record[PROTOCOL_SAMPLE_MAX];
};

#define PROTOCOL_REWRITE_MAX 131072 /* a template set at most twice as long */

struct protocol {
	const char *name; /* "NetFlow v9" */
	uint16_t number;  /* in snapshots: never changes */
	uint16_t begins;  /* the first 16 bits of every message, */
	bool (*is)(const uint8_t *bytes, size_t length); /* NULL, or more of it */
	/* 0, or -EPROTO: cut short. */
	int (*read_header)(
	    const uint8_t *bytes, size_t length, struct protocol_header *ret);
	/* In a file of messages back to back, of at least 4 bytes: how long the message
	 * is that begins here; 0: too few bytes to tell; -EPROTO: not a message. */
	int (*length)(const uint8_t *bytes, size_t available);
	/* How many bytes at the start of a datagram are messages, where anybody may
	 * have sent it for any purpose; 0: it is something else. */
	size_t (*in_datagram)(const uint8_t *bytes, size_t length);
	bool is_framed; /* messages tell their length: several share a datagram */
	bool has_agent, has_sampling; /* in the header */

	enum protocol_body body;
	enum protocol_sequence sequence;
	enum protocol_time time;
	bool has_withdrawals; /* of templates */
	/* Exporters send data before its template, on any transport. */
	bool has_late_templates;

	/* Sets: ids of templates and of options templates; NULL, or what makes IPFIX's
	 * of them.  Where a record is cut short, the result is, too.  *ret_bad: records
	 * that were left out. */
	uint16_t template_set, options_set;
	struct cursor (*rewrite)(bool is_options, struct cursor body,
	    uint8_t out[static PROTOCOL_REWRITE_MAX], unsigned *ret_bad);
	/* Records and samples: the body of an IPFIX template set; the template of all
	 * records; bytes of the body for each record, at least. */
	struct cursor (*built_in)(void);
	uint16_t record_template, record_least;
	/* Samples: 1; 0 at the end; -EBADMSG: malformed, the next may be asked for;
	 * -EPROTO: malformed, and nothing can be found behind it. */
	int (*next_sample)(struct cursor *body, struct protocol_sample *ret);
};

/* For built-in templates: a template record's beginning, and its field specifiers. */
#define PROTOCOL_TEMPLATE(id, fields)  (id) >> 8, (id)&0xff, 0, (fields)
#define PROTOCOL_FIELD(element, bytes) (element) >> 8, (element)&0xff, 0, (bytes)

extern const struct protocol protocol_ipfix, protocol_netflow9, protocol_netflow5,
    protocol_sflow5;

/* By how a message begins; NULL: none. */
const struct protocol *protocol_find(const uint8_t *bytes, size_t length);
/* By its number; NULL: none. */
const struct protocol *protocol_numbered(uint16_t number);
/* Reads a header.  0, or -EPROTO: no protocol's, or cut short. */
int protocol_read(const uint8_t *bytes, size_t length, const struct protocol **ret,
    struct protocol_header *ret_header);
/* As a row's length(), with any number of bytes. */
int protocol_length(const uint8_t *bytes, size_t available);
/* How much of what is left in a frame is its next message: all of it where that does
 * not tell its length. */
size_t protocol_next(const uint8_t *bytes, size_t left);
/* Whether these bytes are one message that tells its length, and no more. */
bool protocol_is_exact(const uint8_t *bytes, size_t length);

#endif

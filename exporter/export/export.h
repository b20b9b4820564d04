/* Flow records -> IPFIX messages, by the templates that schemas/templates.yaml
 * declares. Chooses the template by (packet or trace, IPv4 or IPv6, forward only or
 * biflow), builds messages and hands each full one to `send`.  Also sends options
 * records: exporting and metering process statistics, flow keys, interface names, RFC
 * 5610 types.
 * Threads: the capture thread. */
#ifndef EXPORTER_EXPORT_EXPORT_H
#define EXPORTER_EXPORT_EXPORT_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "common/base/err.h"
#include "common/ipfix/element.h"
#include "exporter/conversation/flow_record.h"

struct export;

struct export_settings {
	const char *templates_file; /* schemas/templates.yaml */
	uint32_t domain;            /* observation domain id */
	uint32_t message_size;      /* at most 65535; 1400 suits UDP, 16384 DTLS */
	/* Gets each finished message (sequence number 0) and the count of its records,
	 * and copies what it needs. */
	void (*send)(
	    const uint8_t *message, size_t length, uint32_t records, void *data);
	void *data;
};

struct export_statistics {        /* for the statistics options records */
	uint64_t packets, octets; /* observed */
	uint64_t dropped_packets, ignored_packets;
	uint64_t not_sent_records; /* the sender dropped them */
	uint64_t first_ns;         /* of the metering process */
};

struct export_interface {
	uint32_t index;
	const char *name, *description;
};

/* 0, or negative with the sentence. */
int export_new(const struct export_settings *s, const struct elements *elements,
    struct export **ret, struct err *e);
void export_free(struct export *x);

/* Templates and the options records that describe types, keys and interfaces, as
 * messages: what every new connection must see first.  Their sequence numbers are right
 * as they are, from 0; the next message of the connection has sequence number
 * `records`.  A sender that connects later sets the export time
 * (message_set_export_time).  Valid until export_free(). */
struct export_preamble {
	const uint8_t *bytes; /* whole messages, one after the other */
	size_t length;
	uint32_t records; /* options records inside */
};
/* Before the first export_preamble(); the list is copied.  0 or -ENOMEM. */
int export_set_interfaces(
    struct export *x, const struct export_interface *list, unsigned n);
/* NULL: no memory. */
const struct export_preamble *export_preamble(struct export *x, uint64_t now_ns);

void export_record(struct export *x, const struct flow_record *r, uint64_t now_ns);
void export_statistics(
    struct export *x, const struct export_statistics *s, uint64_t now_ns);
/* Sends the message under construction, if it has records. */
void export_flush(struct export *x, uint64_t now_ns);
uint64_t export_records(const struct export *x); /* data records so far */

/* What schemas/templates.yaml may name, one line each, for --list-elements. */
void export_list_elements(FILE *out);

#endif

/* Acknowledged delivery, flowpair/1: what both ends say beside plain IPFIX, on one
 * ordered, secured stream whose ends agreed on DELIVERY_ALPN.
 *
 * The exporter says hello once.  The collector answers with a word: welcome and the
 * number of the message that it wants next, or busy.  Then the exporter sends whole
 * IPFIX messages: first `preamble` messages that open the session (templates, options;
 * they have no number and come with every connection), then those of its spool,
 * numbered one by one from delivery_start().  Whenever messages have become durable, the
 * collector sends a word with the number of the first that has not: earlier ones need
 * never be sent again.  When the exporter ends its stream properly, the collector
 * answers with the last such word before it ends its own.
 *
 * Numbers are 64 bits, belong to a spool and are never reused in it.  (certificate
 * identity, spool id, number) names a message for good.
 * All numbers big-endian.  On message transports hello and each word are one message.
 */
#ifndef COMMON_IPFIX_DELIVERY_H
#define COMMON_IPFIX_DELIVERY_H

#include <stddef.h>
#include <stdint.h>

#define DELIVERY_ALPN  "flowpair/1"
#define DELIVERY_HELLO 64u /* bytes */
#define DELIVERY_WORD  16u

struct delivery_hello {
	uint8_t spool[16]; /* random, made with the spool */
	uint32_t preamble; /* messages without a number at the beginning */
	uint64_t first;    /* number of the oldest message held, or next */
	uint64_t next;     /* number that the next new message will get; >= first */
	uint64_t lost_messages; /* of this spool, dropped by its bound and never sent */
	uint64_t lost_records;  /* data records inside them */
};

enum delivery_status {
	DELIVERY_WELCOME = 1,  /* number: what is wanted next */
	DELIVERY_ACKNOWLEDGED, /* number: everything before it is durable */
	/* Another connection has this spool: a clone's, or one of the exporter's own
	 * whose end is not known here yet.  Try again later. */
	DELIVERY_BUSY,
	DELIVERY_FULL, /* the collector tracks as many spools as it may */
};

struct delivery_word {
	enum delivery_status status;
	uint64_t number;
};

void delivery_write_hello(
    const struct delivery_hello *h, uint8_t out[static DELIVERY_HELLO]);
/* 0, or -EPROTO: not a hello, or one that contradicts itself. */
int delivery_read_hello(
    const uint8_t bytes[static DELIVERY_HELLO], struct delivery_hello *ret);
void delivery_write_word(
    const struct delivery_word *w, uint8_t out[static DELIVERY_WORD]);
/* 0, or -EPROTO. */
int delivery_read_word(
    const uint8_t bytes[static DELIVERY_WORD], struct delivery_word *ret);

/* Number of the first message of a connection, as both ends reckon it. */
static inline uint64_t
delivery_start(const struct delivery_hello *h, uint64_t wanted)
{
	return h->first > wanted ? h->first : wanted;
}

#endif

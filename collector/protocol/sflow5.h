/* sFlow v5 (sflow.org/sflow_version_5.txt): samples of packets.  Each flow sample
 * becomes a record of one packet, of a built-in template: IPv4, IPv6, or without
 * addresses.  Its times are the message's arrival, its samplingInterval is the sample's
 * rate.  Samples of counters are told apart, not read.
 * Threads: any. */
#ifndef COLLECTOR_PROTOCOL_SFLOW5_H
#define COLLECTOR_PROTOCOL_SFLOW5_H

#include "collector/protocol/envelope.h"

#define SFLOW5_RECORD_MAX 96
/* Ids of the built-in templates. */
#define SFLOW5_IPV4      256
#define SFLOW5_IPV6      257
#define SFLOW5_OTHER     258
#define SFLOW5_TEMPLATES 3

enum sflow5_kind {
	SFLOW5_PACKET,
	SFLOW5_COUNTERS, /* of an interface or of anything else of the agent's */
	SFLOW5_UNKNOWN,  /* another format, or an enterprise's own */
};

struct sflow5_sample {
	enum sflow5_kind kind;
	uint16_t template; /* of the packet's record */
	size_t length;
	uint8_t record[SFLOW5_RECORD_MAX];
};

/* Whether a datagram begins as sFlow v5 does (NetFlow v5 begins otherwise). */
bool sflow5_is(const uint8_t *bytes, size_t length);
/* As envelope_read(); the body is samples.  The domain is the sub-agent: one of its
 * agent's, each of which numbers its datagrams by itself. */
int sflow5_read_header(const uint8_t *bytes, size_t length, struct envelope *ret);
/* The next sample of a body: 1; 0 at the end (zeros up to there are padding); -EBADMSG:
 * its lengths contradict each other, the next may be asked for; -EPROTO: it runs over
 * the end, so that nothing can be found behind it. */
int sflow5_next(struct cursor *body, struct sflow5_sample *ret);
/* A packet as a record of a built-in template. */
struct sflow5_packet;
void sflow5_write(const struct sflow5_packet *p, struct sflow5_sample *ret);
/* The body of an IPFIX template set that defines the built-in templates. */
struct cursor sflow5_template_set(void);

#endif

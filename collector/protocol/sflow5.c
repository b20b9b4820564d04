/* sFlow v5 (sflow.org/sflow_version_5.txt): samples of packets.  Samples of counters are
 * told apart, not read. */
#include "collector/protocol/sflow5.h"

#include <errno.h>
#include <string.h>

#include "common/ipfix/message.h"

#define NUMBER            0x8005 /* beyond all versions in headers of 16 bits */
#define VERSION           5
#define LEAST_SAMPLE      8
#define ADDRESS_IPV4      1
#define ADDRESS_IPV6      2
#define INTERFACE_UNKNOWN 0x3fffffffu

/* Formats; the upper 20 bits are an enterprise, 0: sFlow's own. */
enum {
	FLOW_SAMPLE = 1,
	COUNTER_SAMPLE = 2,
	EXPANDED_FLOW_SAMPLE = 3,
	EXPANDED_COUNTER_SAMPLE = 4
};

#define FIELD(id, length) (id) >> 8, (id)&0xff, 0, (length)
#define COMMON                                                                         \
	FIELD(10, 4),      /* ingressInterface */                                      \
	    FIELD(14, 4),  /* egressInterface */                                       \
	    FIELD(34, 4),  /* samplingInterval */                                      \
	    FIELD(2, 4),   /* packetDeltaCount */                                      \
	    FIELD(1, 4),   /* octetDeltaCount */                                       \
	    FIELD(158, 4), /* flowStartDeltaMicroseconds */                            \
	    FIELD(159, 4), /* flowEndDeltaMicroseconds */                              \
	    FIELD(56, 6),  /* sourceMacAddress */                                      \
	    FIELD(80, 6),  /* destinationMacAddress */                                 \
	    FIELD(58, 2)   /* vlanId */
#define COMMON_FIELDS 10
#define IP                                                                             \
	FIELD(4, 1),      /* protocolIdentifier */                                     \
	    FIELD(5, 1),  /* ipClassOfService */                                       \
	    FIELD(7, 2),  /* sourceTransportPort */                                    \
	    FIELD(11, 2), /* destinationTransportPort */                               \
	    FIELD(6, 1),  /* tcpControlBits */                                         \
	    FIELD(192, 1) /* ipTTL */
#define IP_FIELDS 6

struct cursor
sflow5_template_set(void)
{
	static const uint8_t set[] = {
	    SFLOW5_IPV4 >> 8,
	    SFLOW5_IPV4 & 0xff,
	    0,
	    COMMON_FIELDS + IP_FIELDS + 2,
	    COMMON,
	    IP,
	    FIELD(8, 4),
	    FIELD(12, 4),
	    SFLOW5_IPV6 >> 8,
	    SFLOW5_IPV6 & 0xff,
	    0,
	    COMMON_FIELDS + IP_FIELDS + 2,
	    COMMON,
	    IP,
	    FIELD(27, 16),
	    FIELD(28, 16),
	    SFLOW5_OTHER >> 8,
	    SFLOW5_OTHER & 0xff,
	    0,
	    COMMON_FIELDS,
	    COMMON,
	};

	return cursor_of(set, sizeof set);
}

/* NetFlow v5 begins otherwise. */
static bool
is_sflow5(const uint8_t *bytes, size_t length)
{
	return length >= 28 && load_u32(bytes) == VERSION &&
	       (load_u32(bytes + 4) == ADDRESS_IPV4 ||
		   load_u32(bytes + 4) == ADDRESS_IPV6);
}

/* The domain is the sub-agent: one of its agent's, each of which numbers its datagrams
 * by itself. */
static int
read_header(const uint8_t *bytes, size_t length, struct protocol_header *ret)
{
	struct cursor c = cursor_of(bytes, length);
	struct protocol_header h = {.clock.has_uptime = true};
	const uint8_t *agent;
	bool is_ipv6;

	(void)cursor_u32(&c); /* version */
	is_ipv6 = cursor_u32(&c) == ADDRESS_IPV6;
	agent = cursor_take(&c, is_ipv6 ? 16 : 4);
	h.domain = cursor_u32(&c);
	h.sequence = cursor_u32(&c);
	h.clock.uptime_ms = cursor_u32(&c);
	(void)cursor_u32(&c); /* how many samples */
	if (c.failed) {
		return -EPROTO;
	}
	if (is_ipv6) {
		memcpy(h.agent.bytes, agent, sizeof h.agent.bytes);
	} else {
		address_from_ipv4(&h.agent, agent);
	}
	h.body = c;
	*ret = h;
	return 0;
}

/* Only one is in a file. */
static int
length_in_file(const uint8_t *bytes, size_t available)
{
	(void)bytes;
	return available < MESSAGE_MAX ? (int)available : MESSAGE_MAX;
}

static size_t
in_datagram(const uint8_t *bytes, size_t length)
{
	(void)bytes;
	return length;
}

/* Only of format 0 it is an interface, else a reason or a number of them. */
static uint32_t
interface_of(uint32_t format, uint32_t value)
{
	return format != 0 || value == INTERFACE_UNKNOWN ? 0 : value;
}

static void
read_interfaces(struct cursor *c, bool is_expanded, struct sflow5_packet *p)
{
	uint32_t in_format = 0, out_format = 0, in, out;

	if (is_expanded) {
		in_format = cursor_u32(c);
		in = cursor_u32(c);
		out_format = cursor_u32(c);
		out = cursor_u32(c);
	} else {
		in = cursor_u32(c);
		out = cursor_u32(c);
		in_format = in >> 30; /* the top two bits */
		out_format = out >> 30;
	}
	p->ingress = interface_of(in_format, in);
	p->egress = interface_of(out_format, out);
}

static int
read_flow_sample(struct cursor c, bool is_expanded, struct sflow5_packet *p)
{
	uint32_t records;
	int rc = 0;

	(void)cursor_take(&c, is_expanded ? 12 : 8); /* sequence, source */
	p->rate = cursor_u32(&c);
	(void)cursor_take(&c, 8); /* pool, drops */
	read_interfaces(&c, is_expanded, p);
	records = cursor_u32(&c);
	/* As many as there are: each takes 8 bytes of the sample. */
	for (uint32_t i = 0; i < records && rc == 0 && !c.failed; i++) {
		uint32_t format = cursor_u32(&c), length = cursor_u32(&c);
		struct cursor record = cursor_sub(&c, length);
		if (!c.failed) {
			rc = sflow5_packet_read(p, format, record);
		}
	}
	return c.failed ? -EBADMSG : rc;
}

static void
put(struct protocol_sample *s, uint64_t v, size_t n)
{
	for (size_t i = n; i > 0; i--, v >>= 8) {
		s->record[s->length + i - 1] = (uint8_t)v;
	}
	s->length += n;
}

static void
put_bytes(struct protocol_sample *s, const uint8_t *bytes, size_t n)
{
	memcpy(s->record + s->length, bytes, n);
	s->length += n;
}

/* In the order of the templates' fields. */
void
sflow5_write(const struct sflow5_packet *p, struct protocol_sample *s)
{
	size_t address = p->version == 4 ? 4 : 16;

	s->kind = PROTOCOL_SAMPLE_RECORD;
	s->template_id = p->version == 4   ? SFLOW5_IPV4
			 : p->version == 6 ? SFLOW5_IPV6
					   : SFLOW5_OTHER;
	s->length = 0;
	put(s, p->ingress, 4);
	put(s, p->egress, 4);
	put(s, p->rate, 4);
	put(s, 1, 4);
	put(s, p->octets, 4);
	put(s, 0, 8);
	put_bytes(s, p->source_mac, 6);
	put_bytes(s, p->destination_mac, 6);
	put(s, p->vlan, 2);
	if (p->version == 0) {
		return;
	}
	put(s, p->protocol, 1);
	put(s, p->tos, 1);
	put(s, p->source_port, 2);
	put(s, p->destination_port, 2);
	put(s, p->tcp_flags, 1);
	put(s, p->ttl, 1);
	put_bytes(s, p->source, address);
	put_bytes(s, p->destination, address);
}

static int
next_sample(struct cursor *body, struct protocol_sample *ret)
{
	size_t left = cursor_left(body);
	struct cursor sample, head = cursor_of(body->at, left < 8 ? left : 8);
	struct sflow5_packet packet = {0};
	uint32_t format, length;
	int rc;

	/* Format 0 is none.  The rest is looked at once only. */
	if (cursor_is_zero(head)) {
		return cursor_is_zero(*body) ? 0 : -EPROTO;
	}
	format = cursor_u32(body);
	length = cursor_u32(body);
	sample = cursor_sub(body, length);
	if (body->failed) {
		return -EPROTO;
	}
	switch (format) {
	case FLOW_SAMPLE:
	case EXPANDED_FLOW_SAMPLE:
		rc = read_flow_sample(sample, format == EXPANDED_FLOW_SAMPLE, &packet);
		if (rc < 0) {
			return rc;
		}
		sflow5_write(&packet, ret);
		break;
	case COUNTER_SAMPLE:
	case EXPANDED_COUNTER_SAMPLE:
		ret->kind = PROTOCOL_SAMPLE_COUNTERS;
		break;
	default:
		ret->kind = PROTOCOL_SAMPLE_UNKNOWN;
		break;
	}
	return 1;
}

const struct protocol protocol_sflow5 = {
    .name = "sFlow v5",
    .number = NUMBER,
    .begins = VERSION >> 16,
    .is = is_sflow5,
    .read_header = read_header,
    .length = length_in_file,
    .in_datagram = in_datagram,
    .has_agent = true,
    .body = PROTOCOL_SAMPLES,
    .sequence = PROTOCOL_COUNTS_MESSAGES,
    .time = PROTOCOL_TIME_ARRIVAL,
    .built_in = sflow5_template_set,
    .record_least = LEAST_SAMPLE,
    .next_sample = next_sample,
};

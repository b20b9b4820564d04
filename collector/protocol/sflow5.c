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

#define COMMON                                                                         \
	PROTOCOL_FIELD(10, 4),      /* ingressInterface */                             \
	    PROTOCOL_FIELD(14, 4),  /* egressInterface */                              \
	    PROTOCOL_FIELD(34, 4),  /* samplingInterval */                             \
	    PROTOCOL_FIELD(2, 4),   /* packetDeltaCount */                             \
	    PROTOCOL_FIELD(1, 4),   /* octetDeltaCount */                              \
	    PROTOCOL_FIELD(158, 4), /* flowStartDeltaMicroseconds */                   \
	    PROTOCOL_FIELD(159, 4), /* flowEndDeltaMicroseconds */                     \
	    PROTOCOL_FIELD(56, 6),  /* sourceMacAddress */                             \
	    PROTOCOL_FIELD(80, 6),  /* destinationMacAddress */                        \
	    PROTOCOL_FIELD(58, 2)   /* vlanId */
#define COMMON_FIELDS 10
#define IP                                                                             \
	PROTOCOL_FIELD(4, 1),      /* protocolIdentifier */                            \
	    PROTOCOL_FIELD(5, 1),  /* ipClassOfService */                              \
	    PROTOCOL_FIELD(7, 2),  /* sourceTransportPort */                           \
	    PROTOCOL_FIELD(11, 2), /* destinationTransportPort */                      \
	    PROTOCOL_FIELD(6, 1),  /* tcpControlBits */                                \
	    PROTOCOL_FIELD(192, 1) /* ipTTL */
#define IP_FIELDS 6

struct cursor
sflow5_template_set(void)
{
	static const uint8_t set[] = {
	    PROTOCOL_TEMPLATE(SFLOW5_IPV4, COMMON_FIELDS + IP_FIELDS + 2),
	    COMMON,
	    IP,
	    PROTOCOL_FIELD(8, 4),
	    PROTOCOL_FIELD(12, 4),
	    PROTOCOL_TEMPLATE(SFLOW5_IPV6, COMMON_FIELDS + IP_FIELDS + 2),
	    COMMON,
	    IP,
	    PROTOCOL_FIELD(27, 16),
	    PROTOCOL_FIELD(28, 16),
	    PROTOCOL_TEMPLATE(SFLOW5_OTHER, COMMON_FIELDS),
	    COMMON,
	};

	return cursor_of(set, sizeof set);
}

/* Version 5, and an agent's address of a known kind. */
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

/* The value is an interface in format 0 only; else a reason, or how many there are. */
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
	/* The count may lie: each takes 8 bytes of the sample. */
	for (uint32_t i = 0; i < records && rc == 0 && !c.failed; i++) {
		uint32_t format = cursor_u32(&c), length = cursor_u32(&c);
		struct cursor record = cursor_sub(&c, length);
		if (!c.failed) {
			rc = sflow5_packet_read(p, format, record);
		}
	}
	return c.failed ? -EBADMSG : rc;
}

/* In the order of the templates' fields. */
void
sflow5_write(const struct sflow5_packet *p, struct protocol_sample *s)
{
	struct write_cursor c = write_cursor_of(s->record, sizeof s->record);
	size_t address = p->version == 4 ? 4 : 16;

	s->kind = PROTOCOL_SAMPLE_RECORD;
	s->template_id = p->version == 4   ? SFLOW5_IPV4
			 : p->version == 6 ? SFLOW5_IPV6
					   : SFLOW5_OTHER;
	cursor_put_u32(&c, p->ingress);
	cursor_put_u32(&c, p->egress);
	cursor_put_u32(&c, p->rate);
	cursor_put_u32(&c, 1); /* packets */
	cursor_put_u32(&c, p->octets);
	cursor_put_zeros(&c, 8); /* start and end: with the message */
	cursor_put_bytes(&c, p->source_mac, 6);
	cursor_put_bytes(&c, p->destination_mac, 6);
	cursor_put_u16(&c, p->vlan);
	if (p->version != 0) {
		cursor_put_u8(&c, p->protocol);
		cursor_put_u8(&c, p->tos);
		cursor_put_u16(&c, p->source_port);
		cursor_put_u16(&c, p->destination_port);
		cursor_put_u8(&c, p->tcp_flags);
		cursor_put_u8(&c, p->ttl);
		cursor_put_bytes(&c, p->source, address);
		cursor_put_bytes(&c, p->destination, address);
	}
	s->length = cursor_written(&c);
}

static int
next_sample(struct cursor *body, struct protocol_sample *ret)
{
	size_t left = cursor_left(body);
	struct cursor sample, head = cursor_of(body->at, left < 8 ? left : 8);
	struct sflow5_packet packet = {0};
	uint32_t format, length;
	int rc;

	/* Format 0 does not exist: padding, which is looked at once only. */
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

#include "collector/protocol/sflow5_packet.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <string.h>

#include "common/capture/link.h"

#define LINK_RAW       101
#define EXTENSIONS_MAX 8

/* Formats of records; the upper 20 bits are an enterprise, 0: sFlow's own. */
enum {
	RAW_HEADER = 1,
	ETHERNET_FRAME = 2,
	IPV4_PACKET = 3,
	IPV6_PACKET = 4,
	SWITCH = 1001
};

/* As far as the bytes go: a header that is cut leaves zeros. */
static void
read_transport(struct sflow5_packet *p, struct cursor c)
{
	switch (p->protocol) {
	case IPPROTO_TCP:
	case IPPROTO_UDP:
	case IPPROTO_DCCP:
	case IPPROTO_SCTP:
	case IPPROTO_UDPLITE:
		p->source_port = cursor_u16(&c);
		p->destination_port = cursor_u16(&c);
		(void)cursor_take(&c, 9);
		p->tcp_flags = p->protocol == IPPROTO_TCP ? cursor_u8(&c) : 0;
		break;
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		p->destination_port = cursor_u16(&c); /* type and code */
		break;
	default:
		break;
	}
}

static bool
read_ipv4(struct sflow5_packet *p, struct cursor c)
{
	const uint8_t *h = cursor_take(&c, 20);

	if (h == NULL || (h[0] & 15) < 5) {
		return false;
	}
	p->version = 4;
	p->tos = h[1];
	p->octets = load_u16(h + 2) > 0 ? load_u16(h + 2) : p->octets;
	p->ttl = h[8];
	p->protocol = h[9];
	memcpy(p->source, h + 12, 4);
	memcpy(p->destination, h + 16, 4);
	(void)cursor_take(&c, (size_t)(h[0] & 15) * 4 - 20);
	if ((load_u16(h + 6) & 0x1fff) == 0) { /* later fragments have no ports */
		read_transport(p, c);
	}
	return true;
}

static bool
read_ipv6(struct sflow5_packet *p, struct cursor c)
{
	const uint8_t *h = cursor_take(&c, 40), *x;
	bool is_later = false;

	if (h == NULL) {
		return false;
	}
	p->version = 6;
	p->tos = (uint8_t)(load_u16(h) >> 4);
	p->octets = load_u16(h + 4) > 0 ? 40u + load_u16(h + 4) : p->octets;
	p->protocol = h[6];
	p->ttl = h[7];
	memcpy(p->source, h + 8, 16);
	memcpy(p->destination, h + 24, 16);
	for (unsigned i = 0; i < EXTENSIONS_MAX; i++) {
		if (p->protocol != IPPROTO_HOPOPTS && p->protocol != IPPROTO_ROUTING &&
		    p->protocol != IPPROTO_FRAGMENT && p->protocol != IPPROTO_DSTOPTS) {
			break;
		}
		x = cursor_take(&c, 8);
		if (x == NULL) {
			return true;
		}
		is_later |=
		    p->protocol == IPPROTO_FRAGMENT && (load_u16(x + 2) & 0xfff8) != 0;
		if (p->protocol != IPPROTO_FRAGMENT) {
			(void)cursor_take(&c, 8 * (size_t)x[1]);
		}
		p->protocol = x[0];
	}
	if (!is_later) {
		read_transport(p, c);
	}
	return true;
}

static void
read_ip(struct sflow5_packet *p, struct cursor c)
{
	unsigned version = cursor_left(&c) > 0 ? c.at[0] >> 4 : 0;

	if (version == 4) {
		(void)read_ipv4(p, c);
	} else if (version == 6) {
		(void)read_ipv6(p, c);
	}
}

void
sflow5_packet_read_bytes(struct sflow5_packet *p, uint32_t header, struct cursor bytes)
{
	struct link_payload link = {0};
	size_t length = cursor_left(&bytes);
	int type = header == SFLOW5_HEADER_ETHERNET ? LINK_ETHERNET : LINK_RAW;

	if (header == SFLOW5_HEADER_ETHERNET && length >= 12) {
		memcpy(p->destination_mac, bytes.at, 6);
		memcpy(p->source_mac, bytes.at + 6, 6);
	} else if (header != SFLOW5_HEADER_ETHERNET && header != SFLOW5_HEADER_IPV4 &&
		   header != SFLOW5_HEADER_IPV6) {
		return;
	}
	if (link_find_ip(type, bytes.at, (uint32_t)length, &link) != LINK_IP) {
		return;
	}
	p->vlan = link.vlan != 0 ? link.vlan : p->vlan;
	(void)cursor_take(&bytes, link.offset);
	read_ip(p, bytes);
}

static int
read_raw_header(struct sflow5_packet *p, struct cursor c)
{
	uint32_t header = cursor_u32(&c), frame = cursor_u32(&c);
	struct cursor bytes;
	uint32_t length;

	(void)cursor_u32(&c); /* stripped */
	length = cursor_u32(&c);
	bytes = cursor_sub(&c, length);
	if (c.failed) {
		return -EBADMSG;
	}
	p->octets = frame;
	sflow5_packet_read_bytes(p, header, bytes);
	return 0;
}

/* sampled_ipv4 and sampled_ipv6: fields in 32 bits each. */
static int
read_fields(struct sflow5_packet *p, struct cursor c, uint8_t version)
{
	struct sflow5_packet q = *p;
	size_t address = version == 4 ? 4 : 16;
	const uint8_t *source, *destination;

	q.version = version;
	q.octets = cursor_u32(&c);
	q.protocol = (uint8_t)cursor_u32(&c);
	source = cursor_take(&c, address);
	destination = cursor_take(&c, address);
	q.source_port = (uint16_t)cursor_u32(&c);
	q.destination_port = (uint16_t)cursor_u32(&c);
	q.tcp_flags = (uint8_t)cursor_u32(&c);
	q.tos = (uint8_t)cursor_u32(&c);
	if (c.failed) {
		return -EBADMSG;
	}
	if (p->version == 0) {
		memcpy(q.source, source, address);
		memcpy(q.destination, destination, address);
		*p = q;
	}
	return 0;
}

static int
read_ethernet(struct sflow5_packet *p, struct cursor c)
{
	uint32_t length = cursor_u32(&c);
	const uint8_t *source = cursor_take(&c, 8), *destination = cursor_take(&c, 8);

	if (c.failed) {
		return -EBADMSG;
	}
	p->octets = p->octets == 0 ? length : p->octets;
	memcpy(p->source_mac, source, 6);
	memcpy(p->destination_mac, destination, 6);
	return 0;
}

static int
read_switch(struct sflow5_packet *p, struct cursor c)
{
	uint32_t vlan = cursor_u32(&c); /* of what came in */

	if (c.failed) {
		return -EBADMSG;
	}
	p->vlan = p->vlan == 0 ? (uint16_t)(vlan & 0xfff) : p->vlan;
	return 0;
}

int
sflow5_packet_read(struct sflow5_packet *p, uint32_t format, struct cursor record)
{
	switch (format) {
	case RAW_HEADER:
		return read_raw_header(p, record);
	case ETHERNET_FRAME:
		return read_ethernet(p, record);
	case IPV4_PACKET:
		return read_fields(p, record, 4);
	case IPV6_PACKET:
		return read_fields(p, record, 6);
	case SWITCH:
		return read_switch(p, record);
	default:
		return 0;
	}
}

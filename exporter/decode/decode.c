#include "exporter/decode/decode.h"

#include <netinet/in.h>
#include <stdlib.h>

#include "common/base/cursor.h"
#include "common/capture/link.h"
#include "exporter/decode/decode_fragment.h"
#include "exporter/decode/decode_ip.h"
#include "exporter/decode/decode_transport.h"

struct decoder {
	struct fragments *fragments;
	bool vlan_in_key;
};

struct decoder *
decoder_new(bool vlan_in_key)
{
	struct decoder *d = calloc(1, sizeof *d);

	if (d == NULL) {
		return NULL;
	}
	d->vlan_in_key = vlan_in_key;
	d->fragments = fragments_new();
	if (d->fragments == NULL) {
		free(d);
		return NULL;
	}
	return d;
}

void
decoder_free(struct decoder *d)
{
	if (d != NULL) {
		fragments_free(d->fragments);
		free(d);
	}
}

static inline void
set_address(struct address *a, const uint64_t words[static 2])
{
	store_u64(a->bytes, words[0]);
	store_u64(a->bytes + 8, words[1]);
}

/* Which end sent a packet is unpredictable, and a mispredicted branch costs more than
 * everything else here, so masks swap the ends.  s and d: addresses as two words. */
static inline void
set_ends(struct packet *ret, const uint64_t s[static 2], const uint64_t d[static 2],
    uint32_t source_port, uint32_t destination_port)
{
	struct packet_key *key = &ret->key;
	uint64_t mask, x[2];
	uint32_t xp;
	bool above;

	above =
	    (s[0] > d[0]) |
	    ((s[0] == d[0]) &
		((s[1] > d[1]) | ((s[1] == d[1]) & (source_port > destination_port))));
	mask = -(uint64_t)above;
	x[0] = (s[0] ^ d[0]) & mask;
	x[1] = (s[1] ^ d[1]) & mask;
	xp = (source_port ^ destination_port) & (uint32_t)mask;
	set_address(&key->low, (uint64_t[2]){s[0] ^ x[0], s[1] ^ x[1]});
	set_address(&key->high, (uint64_t[2]){d[0] ^ x[0], d[1] ^ x[1]});
	key->low_port = (uint16_t)(source_port ^ xp);
	key->high_port = (uint16_t)(destination_port ^ xp);
	ret->from_high = above;
}

/* What plain_ipv4() and plain_ipv6() share; expanded in each, so that what is constant
 * there costs nothing. */
static inline __attribute__((always_inline)) bool
plain_transport(const struct ip_packet *ip, struct packet *ret)
{
	const uint8_t *t = ip->transport;
	uint32_t ports, header = 8;

	ret->tcp_flags = 0;
	ret->tcp_sequence = 0;
	if (ip->protocol == IPPROTO_TCP) {
		header = (t[12] >> 4) * 4U;
		if (header < 20) {
			return false;
		}
		ret->tcp_flags = t[13];
		ret->tcp_sequence = load_u32(t + 4) & -(t[13] >> 1 & 1U);
	} else if (ip->protocol != IPPROTO_UDP) {
		return false;
	}
	if (ip->length < header) {
		return false;
	}
	ports = load_u32(t);
	set_ends(ret, ip->source, ip->destination, ports >> 16, ports & 0xffff);
	ret->key.protocol = ip->protocol;
	ret->key.vlan = 0;
	ret->octets = ip->octets;
	ret->payload = (uint16_t)(ip->length - header);
	ret->ttl = ip->ttl;
	ret->tos = ip->tos;
	ret->vlan = 0;
	return true;
}

/* Ethernet and an IPv4 header without options or fragments have been seen. */
static inline bool
plain_ipv4(const struct capture_packet *in, struct packet *ret)
{
	const uint8_t *h = in->bytes + 14;
	uint32_t total = load_u16(h + 2);
	struct ip_packet ip = {
	    .source = {0, 0xffffULL << 32 | load_u32(h + 12)},
	    .destination = {0, 0xffffULL << 32 | load_u32(h + 16)},
	    .transport = h + 20,
	    .length = total - 20,
	    .octets = total,
	    .protocol = h[9],
	    .ttl = h[8],
	    .tos = h[1],
	};

	if (total < 20 || total > in->wire - 14 || (load_u16(h + 6) & 0x3fff) != 0) {
		return false;
	}
	return plain_transport(&ip, ret);
}

/* Ethernet and an IPv6 header have been seen. */
static inline bool
plain_ipv6(const struct capture_packet *in, struct packet *ret)
{
	const uint8_t *h = in->bytes + 14;
	uint32_t length = load_u16(h + 4);
	struct ip_packet ip = {
	    .source = {load_u64(h + 8), load_u64(h + 16)},
	    .destination = {load_u64(h + 24), load_u64(h + 32)},
	    .transport = h + 40,
	    .length = length,
	    .octets = length + 40,
	    .protocol = h[6],
	    .ttl = h[7],
	    .tos = (uint8_t)(load_u16(h) >> 4),
	};

	if (length == 0 || length + 40 > in->wire - 14) {
		return false;
	}
	return plain_transport(&ip, ret);
}

/* Nearly every packet: plain Ethernet, IP without options, fragments or extension
 * headers, TCP or UDP, and the headers captured.  False: it is another kind, or
 * invalid, and goes through decode_any(), which gives the same answers for plain
 * packets too. */
static inline bool
decode_plain(const struct capture_packet *in, struct packet *ret)
{
	uint32_t type_and_version;

	if (in->link_type != LINK_ETHERNET || in->captured < 14 + 20 + 20) {
		return false;
	}
	type_and_version = load_u32(in->bytes + 12);
	if (type_and_version >> 8 == 0x080045) {
		return plain_ipv4(in, ret);
	}
	return type_and_version >> 12 == 0x86dd6 && in->captured >= 14 + 40 + 20 &&
	       plain_ipv6(in, ret);
}

static void
set_fragment_key(struct fragment_key *key, const struct ip_packet *ip, uint16_t vlan)
{
	set_address(&key->source, ip->source);
	set_address(&key->destination, ip->destination);
	key->id = ip->fragment_id;
	key->vlan = vlan;
	key->protocol = ip->fragment_protocol;
}

/* A first fragment is a packet whose ports are remembered; a later one takes them from
 * there, and its protocol too, which extension headers may hide. */
static enum packet_drop
decode_fragment(struct decoder *d, struct ip_packet *ip, uint16_t vlan,
    uint64_t time_ns, struct transport *ret)
{
	struct fragment_key key;
	struct fragment_ends ends;
	const struct fragment_ends *first;
	enum packet_drop drop;

	set_fragment_key(&key, ip, vlan);
	if (ip->is_later_fragment) {
		*ret = (struct transport){.payload = ip->length};
		first = fragments_find(d->fragments, &key, time_ns);
		if (first != NULL) {
			ip->protocol = first->protocol;
			ret->source_port = first->source_port;
			ret->destination_port = first->destination_port;
			ret->icmp = first->icmp;
		}
		return PACKET_KEPT;
	}
	drop = transport_decode(ip, ret);
	if (drop == PACKET_KEPT) {
		ends.source_port = (uint16_t)ret->source_port;
		ends.destination_port = (uint16_t)ret->destination_port;
		ends.icmp = (uint16_t)ret->icmp;
		ends.protocol = ip->protocol;
		fragments_add(d->fragments, &key, &ends, time_ns);
	}
	return drop;
}

static enum packet_drop
find_ip(const struct capture_packet *in, struct link_payload *ret)
{
	switch (link_find_ip(in->link_type, in->bytes, in->captured, ret)) {
	case LINK_IP:
		return PACKET_KEPT;
	case LINK_NOT_IP:
		return PACKET_NOT_IP;
	case LINK_TRUNCATED:
		return PACKET_LINK_TRUNCATED;
	default:
		return PACKET_LINK_UNKNOWN;
	}
}

/* Decodes every kind of packet. */
static enum packet_drop
decode_any(struct decoder *d, const struct capture_packet *in, struct packet *ret)
{
	struct link_payload link;
	struct transport t;
	struct ip_packet ip;
	enum packet_drop drop;

	drop = find_ip(in, &link);
	if (drop != PACKET_KEPT) {
		return drop;
	}
	drop = ip_decode(in->bytes + link.offset, in->captured - link.offset,
	    in->wire - link.offset, &ip);
	if (drop != PACKET_KEPT) {
		return drop;
	}
	if (link.version != 0 && link.version != ip.version) {
		return PACKET_IP_BAD;
	}
	ret->key.vlan = d->vlan_in_key ? link.vlan : 0;
	drop = ip.is_fragment ? decode_fragment(d, &ip, ret->key.vlan, in->time_ns, &t)
			      : transport_decode(&ip, &t);
	if (drop != PACKET_KEPT) {
		return drop;
	}
	set_ends(ret, ip.source, ip.destination, t.source_port, t.destination_port);
	ret->key.protocol = ip.protocol;
	ret->octets = ip.octets;
	ret->tcp_sequence = t.tcp_sequence | t.icmp; /* one of them is 0 */
	ret->payload = (uint16_t)(t.payload > UINT16_MAX ? UINT16_MAX : t.payload);
	ret->ttl = ip.ttl;
	ret->tcp_flags = (uint8_t)t.tcp_flags;
	ret->tos = ip.tos;
	ret->vlan = link.vlan;
	return PACKET_KEPT;
}

enum packet_drop
decode_packet(struct decoder *d, const struct capture_packet *in, struct packet *ret)
{
	ret->key.extra = 0;
	ret->time_ns = in->time_ns;
	if (decode_plain(in, ret)) {
		return PACKET_KEPT;
	}
	return decode_any(d, in, ret);
}

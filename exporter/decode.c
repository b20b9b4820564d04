#include "exporter/decode.h"

#include <stdlib.h>

#include "common/cursor.h"
#include "common/link.h"
#include "exporter/decode_fragment.h"
#include "exporter/decode_ip.h"
#include "exporter/decode_transport.h"

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

/* Whole words, because the key is soon hashed as words. */
static inline void
set_ipv4(struct address *a, uint32_t v)
{
	uint64_t word = htobe64(0xffffULL << 32 | v);

	memset(a->bytes, 0, 8);
	memcpy(a->bytes + 8, &word, sizeof word);
}

static inline void
set_ends(struct packet *ret, const struct ip_packet *ip, uint16_t source_port,
    uint16_t destination_port)
{
	struct packet_key *key = &ret->key;
	bool from_high;

	if (ip->version == 4) {
		uint32_t s = load_u32(ip->source), d = load_u32(ip->destination);

		from_high = s > d || (s == d && source_port > destination_port);
		set_ipv4(&key->low, from_high ? d : s);
		set_ipv4(&key->high, from_high ? s : d);
	} else {
		int order = memcmp(ip->source, ip->destination, 16);

		from_high = order > 0 || (order == 0 && source_port > destination_port);
		memcpy(key->low.bytes, from_high ? ip->destination : ip->source, 16);
		memcpy(key->high.bytes, from_high ? ip->source : ip->destination, 16);
	}
	key->low_port = from_high ? destination_port : source_port;
	key->high_port = from_high ? source_port : destination_port;
	ret->from_high = from_high;
}

static void
set_fragment_key(struct fragment_key *key, const struct ip_packet *ip, uint16_t vlan)
{
	if (ip->version == 4) {
		set_ipv4(&key->source, load_u32(ip->source));
		set_ipv4(&key->destination, load_u32(ip->destination));
	} else {
		memcpy(key->source.bytes, ip->source, 16);
		memcpy(key->destination.bytes, ip->destination, 16);
	}
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
		ends.source_port = ret->source_port;
		ends.destination_port = ret->destination_port;
		ends.icmp = ret->icmp;
		ends.protocol = ip->protocol;
		fragments_add(d->fragments, &key, &ends, time_ns);
	}
	return drop;
}

/* Nearly every packet is IPv4 in plain Ethernet: its link header is read here. */
static inline enum packet_drop
find_ip(int link_type, const struct capture_packet *in, struct link_payload *ret)
{
	if (link_type == LINK_ETHERNET && in->captured >= 14 &&
	    load_u16(in->bytes + 12) == 0x0800) {
		*ret = (struct link_payload){.offset = 14, .version = 4};
		return PACKET_KEPT;
	}
	switch (link_find_ip(link_type, in->bytes, in->captured, ret)) {
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

enum packet_drop
decode_packet(struct decoder *d, int link_type, const struct capture_packet *in,
    struct packet *ret)
{
	struct link_payload link;
	struct transport transport;
	struct ip_packet ip;
	enum packet_drop drop;

	drop = find_ip(link_type, in, &link);
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
	if (!ip.is_fragment) {
		drop = transport_decode(&ip, &transport);
	} else {
		drop = decode_fragment(d, &ip, ret->key.vlan, in->time_ns, &transport);
	}
	if (drop != PACKET_KEPT) {
		return drop;
	}
	set_ends(ret, &ip, transport.source_port, transport.destination_port);
	ret->key.protocol = ip.protocol;
	ret->key.extra = 0;
	ret->time_ns = in->time_ns;
	ret->octets = ip.octets;
	ret->tcp_sequence = transport.tcp_sequence | transport.icmp; /* one is 0 */
	ret->payload =
	    (uint16_t)(transport.payload > UINT16_MAX ? UINT16_MAX : transport.payload);
	ret->ttl = ip.ttl;
	ret->tcp_flags = transport.tcp_flags;
	ret->tos = ip.tos;
	ret->vlan = link.vlan;
	return PACKET_KEPT;
}

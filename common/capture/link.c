#include "common/capture/link.h"

#include "common/base/cursor.h"

/* LINKTYPE_* and DLT_* numbers.  12 and 14 are DLT_RAW on Linux and OpenBSD, 101 is
 * what files say. */
enum {
	LINK_NULL = 0,
	LINK_PPP = 9,
	LINK_DLT_RAW = 12,
	LINK_DLT_RAW_OPENBSD = 14,
	LINK_PPP_HDLC = 50,
	LINK_PPP_ETHER = 51,
	LINK_RAW = 101,
	LINK_C_HDLC = 104,
	LINK_LOOP = 108,
	LINK_LINUX_SLL = 113,
	LINK_PPP_WITH_DIRECTION = 204,
	LINK_IPV4 = 228,
	LINK_IPV6 = 229,
	LINK_LINUX_SLL2 = 276,
};

enum {
	ETHERTYPE_802_3_MAX = 0x05ff, /* up to here the field is a length */
	ETHERTYPE_IPV4 = 0x0800,
	ETHERTYPE_IPV6 = 0x86dd,
	ETHERTYPE_VLAN = 0x8100,         /* 802.1Q */
	ETHERTYPE_VLAN_SERVICE = 0x88a8, /* 802.1ad */
	ETHERTYPE_VLAN_OLD = 0x9100,
	ETHERTYPE_VLAN_OLDER = 0x9200,
	ETHERTYPE_PPPOE_SESSION = 0x8864,
};

#define VLAN_TAGS_MAX 16 /* only hostile frames stack deeper */

static enum link_result
found(const struct cursor *c, const uint8_t *bytes, uint8_t version,
    struct link_payload *ret)
{
	if (c->failed) {
		return LINK_TRUNCATED;
	}
	ret->offset = (uint32_t)(c->at - bytes);
	ret->version = version;
	return LINK_IP;
}

/* PPP from its protocol field on, which may be compressed to one byte (RFC 1661
 * section 6.5: odd protocols below 256). */
static enum link_result
find_in_ppp(struct cursor *c, const uint8_t *bytes, struct link_payload *ret)
{
	uint16_t protocol = cursor_u8(c);

	if ((protocol & 1) == 0) {
		protocol = (uint16_t)(protocol << 8 | cursor_u8(c));
	}
	if (c->failed) {
		return LINK_TRUNCATED;
	}
	switch (protocol) {
	case 0x0021:
		return found(c, bytes, 4, ret);
	case 0x0057:
		return found(c, bytes, 6, ret);
	default:
		return LINK_NOT_IP;
	}
}

static enum link_result
find_in_pppoe(struct cursor *c, const uint8_t *bytes, struct link_payload *ret)
{
	cursor_take(c, 6); /* version, code, session, length (RFC 2516) */
	return find_in_ppp(c, bytes, ret);
}

/* 802.2: SNAP with the Ethernet OUI carries an EtherType.  *type is left alone when
 * there is none. */
static bool
read_snap(struct cursor *c, uint16_t *ret_type)
{
	static const uint8_t snap[6] = {0xaa, 0xaa, 0x03, 0, 0, 0};

	if (cursor_left(c) < 8 || memcmp(c->at, snap, sizeof snap) != 0) {
		return false;
	}
	cursor_take(c, sizeof snap);
	*ret_type = cursor_u16(c);
	return true;
}

/* Follows EtherTypes: tags, SNAP, PPPoE, at last IP.  c stands behind the type. */
static enum link_result
find_by_ethertype(
    struct cursor *c, uint16_t type, const uint8_t *bytes, struct link_payload *ret)
{
	for (unsigned tags = 0; tags < VLAN_TAGS_MAX; tags++) {
		if (c->failed) {
			return LINK_TRUNCATED;
		}
		switch (type) {
		case ETHERTYPE_IPV4:
			return found(c, bytes, 4, ret);
		case ETHERTYPE_IPV6:
			return found(c, bytes, 6, ret);
		case ETHERTYPE_VLAN:
		case ETHERTYPE_VLAN_SERVICE:
		case ETHERTYPE_VLAN_OLD:
		case ETHERTYPE_VLAN_OLDER: {
			uint16_t id = cursor_u16(c) & 0x0fff;
			if (ret->vlan == 0) { /* an id of 0 is a priority alone */
				ret->vlan = id;
			}
			type = cursor_u16(c);
			break;
		}
		case ETHERTYPE_PPPOE_SESSION:
			return find_in_pppoe(c, bytes, ret);
		default:
			if (type > ETHERTYPE_802_3_MAX || !read_snap(c, &type)) {
				return LINK_NOT_IP;
			}
		}
	}
	return LINK_NOT_IP;
}

/* BSD loopback: an address family in the byte order of the writing machine (NULL) or
 * the network's (LOOP).  Families are small numbers, so the order shows. */
static enum link_result
find_in_loopback(struct cursor *c, const uint8_t *bytes, struct link_payload *ret)
{
	uint32_t family = cursor_u32(c);

	if (c->failed) {
		return LINK_TRUNCATED;
	}
	if ((family & 0xffff0000) != 0) {
		family = __builtin_bswap32(family);
	}
	switch (family) {
	case 2:
		return found(c, bytes, 4, ret);
	case 10: /* AF_INET6: Linux */
	case 24: /* NetBSD, OpenBSD */
	case 28: /* FreeBSD */
	case 30: /* macOS */
		return found(c, bytes, 6, ret);
	default:
		return LINK_NOT_IP;
	}
}

/* Linux "cooked": the protocol is an EtherType, or one of Linux's own numbers below
 * 0x600, of which 4 is 802.2.  Some devices (netlink) put other things there. */
static enum link_result
find_in_sll(
    struct cursor *c, bool is_version2, const uint8_t *bytes, struct link_payload *ret)
{
	const uint8_t *p = cursor_take(c, is_version2 ? 20 : 16);
	uint16_t device, type;

	if (p == NULL) {
		return LINK_TRUNCATED;
	}
	device = load_u16(p + (is_version2 ? 8 : 2));
	type = load_u16(p + (is_version2 ? 0 : 14));
	if (device == 824 /* ARPHRD_NETLINK */ ||
	    (type <= ETHERTYPE_802_3_MAX && type != 4)) {
		return LINK_NOT_IP;
	}
	return find_by_ethertype(c, type, bytes, ret);
}

/* PPP in HDLC-like framing (RFC 1662: address 0xff, control 3, either may be left out),
 * or Cisco's HDLC with an EtherType (address 0x0f or 0x8f, control 0), which files of
 * either PPP type hold too: no PPP protocol begins so. */
static enum link_result
find_in_hdlc(
    int link_type, struct cursor *c, const uint8_t *bytes, struct link_payload *ret)
{
	uint8_t address;

	if (link_type == LINK_PPP_WITH_DIRECTION) {
		cursor_take(c, 1);
	}
	if (cursor_left(c) < 2) {
		return LINK_TRUNCATED;
	}
	address = *c->at;
	if (link_type == LINK_C_HDLC ||
	    ((address == 0x0f || address == 0x8f) && c->at[1] == 0)) {
		cursor_take(c, 2);
		return find_by_ethertype(c, cursor_u16(c), bytes, ret);
	}
	if (address == 0xff && c->at[1] == 0x03) {
		cursor_take(c, 2);
	}
	return find_in_ppp(c, bytes, ret);
}

enum link_result
link_find_ip(
    int link_type, const uint8_t *bytes, uint32_t captured, struct link_payload *ret)
{
	struct cursor c = cursor_of(bytes, captured);

	*ret = (struct link_payload){0};
	switch (link_type) {
	case LINK_ETHERNET:
		cursor_take(&c, 12);
		return find_by_ethertype(&c, cursor_u16(&c), bytes, ret);
	case LINK_LINUX_SLL:
		return find_in_sll(&c, false, bytes, ret);
	case LINK_LINUX_SLL2:
		return find_in_sll(&c, true, bytes, ret);
	case LINK_NULL:
	case LINK_LOOP:
		return find_in_loopback(&c, bytes, ret);
	case LINK_DLT_RAW:
	case LINK_DLT_RAW_OPENBSD:
	case LINK_RAW:
		return found(&c, bytes, 0, ret);
	case LINK_IPV4:
		return found(&c, bytes, 4, ret);
	case LINK_IPV6:
		return found(&c, bytes, 6, ret);
	case LINK_PPP:
	case LINK_PPP_HDLC:
	case LINK_PPP_WITH_DIRECTION:
	case LINK_C_HDLC:
		return find_in_hdlc(link_type, &c, bytes, ret);
	case LINK_PPP_ETHER:
		return find_in_pppoe(&c, bytes, ret);
	default:
		return LINK_UNKNOWN;
	}
}

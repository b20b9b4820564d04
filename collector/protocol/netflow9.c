#include "collector/protocol/netflow9.h"

#include <errno.h>

#include "common/base/clock.h"
#include "common/ipfix/message.h"
#include "common/ipfix/template.h"

int
netflow9_read_header(const uint8_t *bytes, size_t length, struct envelope *ret)
{
	struct cursor c = cursor_of(bytes, length);
	struct envelope e = {.version = cursor_u16(&c)};

	(void)cursor_u16(&c); /* count of records: too often wrong to be of use */
	e.clock.uptime_ms = cursor_u32(&c);
	e.clock.has_uptime = true;
	e.clock.export_ns = cursor_u32(&c) * NS_PER_SECOND;
	e.sequence = cursor_u32(&c);
	e.domain = cursor_u32(&c);
	if (c.failed || e.version != NETFLOW9_VERSION) {
		return -EPROTO;
	}
	e.body = c;
	*ret = e;
	return 0;
}

/* Flowset ids 2 to 255 are reserved: there the next message begins. */
int
netflow9_length(const uint8_t *bytes, size_t available)
{
	size_t at = NETFLOW9_HEADER;

	if (available < NETFLOW9_HEADER) {
		return available < 4 ? 0 : -EPROTO;
	}
	if (available > MESSAGE_MAX) {
		available = MESSAGE_MAX;
	}
	while (available - at >= MESSAGE_SET_HEADER) {
		uint16_t id = load_u16(bytes + at), length = load_u16(bytes + at + 2);
		if (id > NETFLOW9_OPTIONS && id < TEMPLATE_MIN_ID) {
			return (int)at;
		}
		if (length < MESSAGE_SET_HEADER || length > available - at) {
			break;
		}
		at += length;
	}
	return (int)available;
}

/* RFC 3954 section 6.1: what options are about.  The whole device is what exports. */
static uint16_t
scope_element(uint16_t type)
{
	static const uint16_t elements[] = {
	    [1] = 144, /* System: exportingProcessId */
	    [2] = 10,  /* Interface: ingressInterface */
	    [3] = 141, /* Line Card: lineCardId */
	    [4] = 143, /* NetFlow Cache: meteringProcessId */
	    [5] = 145, /* Template: templateId */
	};

	return type >= 1 && type <= 5 ? elements[type] : type;
}

struct rewriting {
	struct cursor in;
	uint8_t *out;
	size_t used;
	unsigned bad;
};

static void
put_u16(struct rewriting *r, uint16_t v)
{
	store_u16(r->out + r->used, v);
	r->used += 2;
}

/* Four bytes become four, or eight with Cisco's number: never more than twice as many.
 */
static void
rewrite_field(struct rewriting *r, bool is_scope)
{
	uint16_t type = cursor_u16(&r->in), length = cursor_u16(&r->in);

	if (r->in.failed) {
		return;
	}
	put_u16(r, is_scope ? scope_element(type) : type);
	put_u16(r, length);
	if ((type & ELEMENT_ENTERPRISE) != 0) {
		store_u32(r->out + r->used, NETFLOW9_CISCO_PEN);
		r->used += 4;
	}
}

static void
rewrite_template(struct rewriting *r)
{
	uint16_t id = cursor_u16(&r->in), count = cursor_u16(&r->in);

	put_u16(r, id);
	put_u16(r, count);
	for (unsigned i = 0; i < count && !r->in.failed; i++) {
		rewrite_field(r, false);
	}
}

/* RFC 3954 section 6.1: the lengths of both lists in bytes, scopes first.  Where one of
 * them is no whole fields, what the record means is unknown, but not where it ends. */
static void
rewrite_options(struct rewriting *r)
{
	uint16_t id = cursor_u16(&r->in);
	unsigned scopes = cursor_u16(&r->in), options = cursor_u16(&r->in);

	if (r->in.failed) {
		return;
	}
	if (scopes % 4 != 0 || options % 4 != 0) {
		r->bad++;
		(void)cursor_take(&r->in, scopes + options);
		return;
	}
	scopes /= 4;
	options /= 4;
	put_u16(r, id);
	put_u16(r, (uint16_t)(scopes + options));
	put_u16(r, (uint16_t)scopes);
	for (unsigned i = 0; i < scopes + options && !r->in.failed; i++) {
		rewrite_field(r, i < scopes);
	}
}

struct cursor
netflow9_rewrite(uint16_t flowset, struct cursor body,
    uint8_t out[static NETFLOW9_REWRITE_MAX], unsigned *ret_bad)
{
	struct rewriting r = {.in = body, .out = out};

	/* What is shorter than a record is padding. */
	while (cursor_left(&r.in) >= (flowset == NETFLOW9_OPTIONS ? 6 : 4)) {
		if (flowset == NETFLOW9_OPTIONS) {
			rewrite_options(&r);
		} else {
			rewrite_template(&r);
		}
	}
	*ret_bad = r.bad;
	return cursor_of(out, r.used);
}

/* NetFlow v9 (RFC 3954): its data flowsets are data sets as IPFIX has them; template
 * flowsets are rewritten as IPFIX template sets, so that nothing behind knows of them.
 *   field types above 32767   Cisco's enterprise elements: number 9 and the low 15 bits
 *   scope types 1 to 5        the elements that mean the same, see scope_element()
 *   options templates         lengths in bytes become counts of fields */
#include <errno.h>

#include "collector/protocol/protocol.h"
#include "common/base/clock.h"
#include "common/ipfix/message.h"
#include "common/ipfix/template.h"

#define VERSION   9
#define HEADER    20
#define TEMPLATES 0 /* ids of flowsets */
#define OPTIONS   1

static int
read_header(const uint8_t *bytes, size_t length, struct protocol_header *ret)
{
	struct cursor c = cursor_of(bytes, length);
	struct protocol_header h = {.clock.has_uptime = true};

	/* Version, and count of records: too often wrong to be of use. */
	(void)cursor_take(&c, 4);
	h.clock.uptime_ms = cursor_u32(&c);
	h.clock.export_ns = cursor_u32(&c) * NS_PER_SECOND;
	h.sequence = cursor_u32(&c);
	h.domain = cursor_u32(&c);
	if (c.failed) {
		return -EPROTO;
	}
	h.body = c;
	*ret = h;
	return 0;
}

static size_t
in_datagram(const uint8_t *bytes, size_t length)
{
	return length >= HEADER && load_u16(bytes + 2) > 0 ? length : 0;
}

/* The header has no length: the message goes on to where its flowsets stop making
 * sense.  Flowset ids 2 to 255 are reserved: there the next message begins. */
static int
length_in_file(const uint8_t *bytes, size_t available)
{
	size_t at = HEADER;

	if (available < HEADER) {
		return -EPROTO;
	}
	if (available > MESSAGE_MAX) {
		available = MESSAGE_MAX;
	}
	while (available - at >= MESSAGE_SET_HEADER) {
		uint16_t id = load_u16(bytes + at), length = load_u16(bytes + at + 2);
		if (id > OPTIONS && id < TEMPLATE_MIN_ID) {
			return (int)at;
		}
		if (length < MESSAGE_SET_HEADER || length > available - at) {
			break;
		}
		at += length;
	}
	return (int)available;
}

/* RFC 3954 section 6.1: what options are about.  The system is the exporting process. */
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
	struct write_cursor out;
	unsigned bad;
};

/* Four bytes become four, or eight with Cisco's number. */
static void
rewrite_field(struct rewriting *r, bool is_scope)
{
	uint16_t type = cursor_u16(&r->in), length = cursor_u16(&r->in);

	if (r->in.failed) {
		return;
	}
	cursor_put_u16(&r->out, is_scope ? scope_element(type) : type);
	cursor_put_u16(&r->out, length);
	if ((type & ELEMENT_ENTERPRISE) != 0) {
		cursor_put_u32(&r->out, ELEMENT_PEN_CISCO);
	}
}

static void
rewrite_template(struct rewriting *r)
{
	uint16_t id = cursor_u16(&r->in), count = cursor_u16(&r->in);

	cursor_put_u16(&r->out, id);
	cursor_put_u16(&r->out, count);
	for (unsigned i = 0; i < count && !r->in.failed; i++) {
		rewrite_field(r, false);
	}
}

/* RFC 3954 section 6.1: the lengths of both lists in bytes, scopes first.  Where one of
 * them ends within a field, the record has no meaning, but it is known where it ends. */
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
	cursor_put_u16(&r->out, id);
	cursor_put_u16(&r->out, (uint16_t)(scopes + options));
	cursor_put_u16(&r->out, (uint16_t)scopes);
	for (unsigned i = 0; i < scopes + options && !r->in.failed; i++) {
		rewrite_field(r, i < scopes);
	}
}

static struct cursor
rewrite(bool is_options, struct cursor body, uint8_t out[static PROTOCOL_REWRITE_MAX],
    unsigned *ret_bad)
{
	struct rewriting r = {
	    .in = body, .out = write_cursor_of(out, PROTOCOL_REWRITE_MAX)};

	/* Less than a record is padding. */
	while (cursor_left(&r.in) >= (is_options ? 6 : 4)) {
		if (is_options) {
			rewrite_options(&r);
		} else {
			rewrite_template(&r);
		}
	}
	*ret_bad = r.bad;
	return cursor_of(out, cursor_written(&r.out));
}

const struct protocol protocol_netflow9 = {
    .name = "NetFlow v9",
    .number = VERSION,
    .begins = VERSION,
    .read_header = read_header,
    .length = length_in_file,
    .in_datagram = in_datagram,
    .body = PROTOCOL_SETS,
    .sequence = PROTOCOL_COUNTS_MESSAGES,
    .time = PROTOCOL_TIME_UPTIME,
    .has_late_templates = true,
    .template_set = TEMPLATES,
    .options_set = OPTIONS,
    .rewrite = rewrite,
};

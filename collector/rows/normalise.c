#include "collector/rows/normalise_plan.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "collector/protocol/wire_time.h"

#define REVERSE_INITIATOR 2 /* biflowDirection (RFC 5103 section 6.3) */

/* An uptime is known modulo 49 days: the time that is nearest to the export. */
static inline int64_t
uptime_ns(const struct protocol_clock *c, uint64_t uptime_ms)
{
	int32_t before = (int32_t)(c->uptime_ms - (uint32_t)uptime_ms);
	int64_t ns = (int64_t)c->export_ns - (int64_t)before * NS_PER_MS;

	return ns > 0 ? ns : 0; /* a router whose clock stands at 1970 */
}

static inline int64_t
since_ns(const struct protocol_clock *c, uint64_t since_ms, uint64_t uptime_ms)
{
	struct protocol_clock started = {.export_ns = c->export_ns};

	started.export_ns -= started.export_ns % NS_PER_MS; /* since is exact */
	started.uptime_ms = (uint32_t)(c->export_ns / NS_PER_MS - since_ms);
	return uptime_ns(&started, uptime_ms);
}

static inline int64_t
before_ns(const struct protocol_clock *c, uint64_t us)
{
	return us < c->export_ns / NS_PER_US ? (int64_t)(c->export_ns - us * NS_PER_US)
					     : 0;
}

/* Texts in fields of fixed length are filled up with zeros. */
static inline size_t
text_length(const uint8_t *p, size_t n)
{
	while (n > 0 && p[n - 1] == 0) {
		n--;
	}
	return n;
}

static int64_t
octets_text(struct intern *s, const uint8_t *p, size_t n)
{
	static const char digits[] = "0123456789abcdef";
	char text[INTERN_MAX];
	size_t used = 0;

	for (size_t i = 0; i < n && used + 2 <= sizeof text; i++) {
		text[used++] = digits[p[i] >> 4];
		text[used++] = digits[p[i] & 15];
	}
	return intern_add(s, text, used);
}

/* One field of the records of a batch, from row `first` on. */
struct wire {
	const uint8_t *at;
	size_t stride; /* from one record to the next */
	unsigned length, count, first;
};

static void
decode_u64(const uint8_t *p, size_t stride, unsigned n, int64_t *out, struct batch *b)
{
	int64_t any = 0;

	for (unsigned i = 0; i < n; i++, p += stride) {
		out[i] = (int64_t)load_u64(p);
		any |= out[i];
	}
	for (unsigned i = 0; any < 0 && i < n; i++) {
		if (out[i] < 0) {
			out[i] = INT64_MAX;
			b->saturated++;
		}
	}
}

static void
decode_ipv6(const uint8_t *p, size_t stride, unsigned n, struct address *out)
{
	for (unsigned i = 0; i < n; i++, p += stride) {
		memcpy(out[i].bytes, p, 16);
	}
}

static void
decode_ipv4(const uint8_t *p, size_t stride, unsigned n, struct address *out)
{
	for (unsigned i = 0; i < n; i++, p += stride) {
		address_from_ipv4(&out[i], p);
	}
}

static void
decode_uint_else(struct wire w, int64_t *out, struct batch *b)
{
	const uint8_t *p = w.at;

	for (unsigned i = 0; i < w.count; i++, p += w.stride) {
		uint64_t v = out[i] == 0 ? load_uint(p, w.length) : 0;
		b->saturated += v > INT64_MAX;
		out[i] = v == 0 ? out[i] : v > INT64_MAX ? INT64_MAX : (int64_t)v;
	}
}

/* 0.0.0.0 or :: */
static bool
is_unspecified(const struct address *a)
{
	static const uint8_t zeros[16];
	bool is_ipv4 = address_is_ipv4(a);

	return memcmp(a->bytes + (is_ipv4 ? 12 : 0), zeros, is_ipv4 ? 4 : 16) == 0;
}

static void
decode_address_else(struct wire w, struct address *out)
{
	const uint8_t *p = w.at;

	for (unsigned i = 0; i < w.count; i++, p += w.stride) {
		struct address other;
		if (!is_unspecified(&out[i])) {
			continue;
		}
		if (w.length == 4) {
			address_from_ipv4(&other, p);
		} else {
			memcpy(other.bytes, p, 16);
		}
		if (!is_unspecified(&other)) {
			out[i] = other;
		}
	}
}

static void
run_wire(const struct op *op, struct wire w, struct batch *b)
{
	int64_t *out = batch_values(b, op->column) + w.first;
	const uint8_t *p = w.at;
	size_t stride = w.stride;
	unsigned length = w.length, n = w.count, first = w.first;

#define EACH(value)                                                                    \
	for (unsigned i = 0; i < n; i++, p += stride) {                                \
		out[i] = (value);                                                      \
	}                                                                              \
	break
	switch (op->kind) {
	case OP_U8:
		EACH(p[0]);
	case OP_U16:
		EACH(load_u16(p));
	case OP_U32:
		EACH(load_u32(p));
	case OP_U64:
		decode_u64(p, stride, n, out, b);
		break;
	case OP_UINT:
		EACH((int64_t)load_uint(p, length));
	case OP_INT:
		EACH(load_int(p, length));
	case OP_BOOL:
		EACH(p[0] == 1); /* RFC 7011 section 6.1.5: 1 true, 2 false */
	case OP_F32:
		EACH(load_real_bits(p, 4));
	case OP_F64:
		EACH(load_real_bits(p, 8));
	case OP_TIME_S:
		EACH((int64_t)(load_u32(p) * NS_PER_SECOND));
	case OP_TIME_MS:
		EACH(milliseconds_ns(p));
	case OP_TIME_US:
		EACH(ntp_us(p));
	case OP_TIME_NS:
		EACH(ntp_ns(p));
	case OP_UPTIME:
		EACH(uptime_ns(&b->clock, load_uint(p, length)));
	case OP_BEFORE_EXPORT:
		EACH(before_ns(&b->clock, load_uint(p, length)));
	case OP_IPV4:
		decode_ipv4(p, stride, n, batch_addresses(b, op->column) + first);
		break;
	case OP_IPV6:
		decode_ipv6(p, stride, n, batch_addresses(b, op->column) + first);
		break;
	case OP_TEXT:
		EACH(intern_add(b->intern, p, text_length(p, length)));
	case OP_OCTETS:
		EACH(octets_text(b->intern, p, length));
	case OP_ADDRESS_ELSE:
		decode_address_else(w, batch_addresses(b, op->column) + first);
		break;
	case OP_UINT_ELSE:
		decode_uint_else(w, out, b);
		break;
	default:
		break;
	}
#undef EACH
}

/* The same for operations on several fields: w is the records, or one that was walked
 * (at NULL). */
static __attribute__((noinline)) void
run_several(
    const struct plan *p, const struct op *op, const struct wire *w, struct batch *b)
{
	int64_t *out = batch_values(b, op->column) + w->first;
	const uint8_t *record = w->at;

	for (unsigned i = 0; i < w->count; i++) {
		bool is_walked = record == NULL;
		if (op->kind == OP_LISTS) {
			out[i] = normalise_lists(p, op, record, b);
		} else {
			const uint8_t *uptime =
			    is_walked ? p->starts[op->field] : record + op->offset;
			const uint8_t *since = is_walked ? p->starts[op->since]
							 : record + op->since_offset;
			size_t length = is_walked ? p->lengths[op->field] : op->length;
			out[i] = since_ns(
			    &b->clock, load_u64(since), load_uint(uptime, length));
		}
		if (!is_walked) {
			record += w->stride;
		}
	}
}

/* All operations on the wire, of records in a row or of one that was walked. */
static void
run_ops(const struct plan *p, const struct wire *records, struct batch *b)
{
	bool is_walked = records->at == NULL;

	for (unsigned i = 0; i < p->op_count && p->ops[i].kind < OP_CONSTANT; i++) {
		const struct op *op = &p->ops[i];
		struct wire field = *records;
		if (op->kind >= OP_SEVERAL) {
			run_several(p, op, records, b);
			continue;
		}
		field.at = is_walked ? p->starts[op->field] : records->at + op->offset;
		field.length = is_walked ? p->lengths[op->field] : op->length;
		run_wire(op, field, b);
	}
}

/* Column swaps of a row whose initiator is the destination (RFC 5103 section 6.3). */
static void
swap_row(const struct plan *p, struct batch *b, unsigned row)
{
	for (unsigned i = 0; i < p->swap_count; i++) {
		const struct swap *s = &p->swaps[i];
		if (b->layout->fields[s->a].kind == KIND_ADDRESS) {
			struct address *x = batch_addresses(b, s->a) + row;
			struct address *y = batch_addresses(b, s->b) + row, t = *x;
			*x = *y;
			*y = t;
		} else {
			int64_t *x = batch_values(b, s->a) + row;
			int64_t *y = batch_values(b, s->b) + row, t = *x;
			*x = *y;
			*y = t;
		}
	}
	batch_values(b, p->direction)[row] = 1;
}

/* Whether memory was short for a text of the row: as another text it would count for
 * another key. */
static bool
has_lost_text(const struct plan *p, const struct batch *b, unsigned row)
{
	const struct layout *l = b->layout;

	for (unsigned i = 0; i < l->count; i++) {
		if (l->fields[i].kind == KIND_TEXT &&
		    !nulls_has(&p->nulls[0], (int)i) &&
		    batch_values(b, (int)i)[row] == INTERN_NONE) {
			return true;
		}
	}
	return false;
}

static void
group_rows(const struct plan *p, struct batch *b)
{
	bool may_have_lost =
	    intern_failures(b->intern) != b->failures || b->exporter == INTERN_NONE;
	const int64_t *direction =
	    p->direction >= 0 ? batch_values(b, p->direction) : NULL;

	b->failures = intern_failures(b->intern);
	b->row_count[0] = b->row_count[1] = 0;
	b->nulls[0] =
	    p->needs_uptime && !b->clock.has_uptime ? &p->undated[0] : &p->nulls[0];
	b->nulls[1] = b->nulls[0] + 1;
	for (unsigned i = 0; i < b->count; i++) {
		unsigned group = 0;
		if (may_have_lost && has_lost_text(p, b, i)) {
			b->no_memory++;
			continue;
		}
		if (direction != NULL && direction[i] == REVERSE_INITIATOR) {
			swap_row(p, b, i);
			group = p->nulls_differ;
		}
		b->rows[group][b->row_count[group]++] = (uint8_t)i;
	}
}

/* Finds where the fields of one record lie.  Its length, 0 when what is left is shorter
 * than any record, or -EBADMSG. */
static ssize_t
walk_record(const struct plan *p, const uint8_t *bytes, size_t left)
{
	const struct template *t = p->of;
	struct cursor c = cursor_of(bytes, left);

	if (left < t->record_length) {
		return 0;
	}
	for (unsigned i = 0; i < t->field_count; i++) {
		uint32_t n = t->fields[i].length;
		if (n == ELEMENT_VARIABLE) { /* RFC 7011 section 7 */
			n = cursor_u8(&c);
			n = n == 255 ? cursor_u16(&c) : n;
		}
		p->lengths[i] = n;
		p->starts[i] = cursor_take(&c, n);
		if (c.failed) {
			return -EBADMSG;
		}
	}
	return c.at - bytes;
}

/* Records of variable length, one by one.  Returns their number; -EBADMSG only when the
 * first of them fails, so that what came before it is stored. */
static int
decode_variable(const struct plan *p, const uint8_t *bytes, size_t length, size_t *at,
    struct batch *b)
{
	unsigned n = 0;

	for (; n < BATCH_ROWS; n++) {
		ssize_t used = walk_record(p, bytes + *at, length - *at);
		if (used < 0 && n == 0) {
			return -EBADMSG;
		}
		if (used <= 0) {
			break;
		}
		run_ops(p, &(struct wire){.count = 1, .first = n}, b);
		*at += (size_t)used;
	}
	return (int)n;
}

int
plan_decode(const struct plan *p, const uint8_t *bytes, size_t length, size_t *at,
    struct batch *b)
{
	size_t stride = p->of->record_length;
	size_t left = length - *at;
	int n;

	if (p->of->is_variable) {
		n = decode_variable(p, bytes, length, at, b);
	} else {
		n = left / stride < BATCH_ROWS ? (int)(left / stride) : BATCH_ROWS;
		run_ops(p,
		    &(struct wire){
			.at = bytes + *at, .stride = stride, .count = (unsigned)n},
		    b);
		*at += (size_t)n * stride;
	}
	if (n <= 0) {
		return n;
	}
	b->count = (unsigned)n;
	for (unsigned i = 0; i < p->op_count; i++) {
		if (p->ops[i].kind >= OP_CONSTANT) {
			plan_compute(p, &p->ops[i], b);
		}
	}
	group_rows(p, b);
	return n;
}

#include "common/ipfix/encode.h"

#include <errno.h>
#include <float.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/address.h"
#include "common/base/clock.h"
#include "common/base/cursor.h"
#include "common/base/utf8.h"

/* A plan is a list of ops.  The frequent shapes (a source that is copied, swapped or
 * narrowed to a whole word) have ops of their own; everything else takes the general
 * OP_UINT.  Every length is fixed when the plan is compiled, strings have an upper
 * bound, so encode_record() checks nothing. */

#define STRING_MAX 255
#define NTP_EPOCH  2208988800u /* 1900 to 1970 in seconds */

enum op_kind {
	OP_NONE,
	OP_U8,      /* one byte */
	OP_U16,     /* swapped */
	OP_U32,     /* swapped */
	OP_U64,     /* swapped; also double to float64 */
	OP_U8_U16,  /* one byte widened to two */
	OP_UINT,    /* any width to any length, saturated at max */
	OP_BOOL,    /* RFC 7011 section 6.1.5: 1 true, 2 false */
	OP_F32,     /* double to float32 */
	OP_SECONDS, /* ns to the various times */
	OP_MILLIS,
	OP_NTP_MICROS,
	OP_NTP_NANOS,
	OP_ADDRESS4,
	OP_ADDRESS16,
	OP_STRING,
	OP_U8_PAIR, /* two of the same kind, the second from offset2 */
	OP_U16_PAIR,
	OP_U32_PAIR,
	OP_U64_PAIR,
	OP_NTP_NANOS_PAIR,
	OP_ADDRESS4_PAIR,
};

struct op {
	uint8_t kind;
	uint8_t source; /* OP_UINT, OP_BOOL: enum encode_source */
	uint16_t length;
	uint32_t offset;
	union {
		uint64_t max;     /* OP_UINT */
		uint32_t offset2; /* pairs */
	};
};

struct field { /* for the template record */
	uint32_t pen;
	uint16_t id, length;
};

struct encode_plan {
	uint16_t template_id;
	uint16_t scope_count;
	unsigned count, op_count;
	size_t max_length;
	struct field *fields; /* count of them */
	struct op ops[];
};

static const char *const source_names[] = {
    [ENCODE_U8] = "an unsigned number",
    [ENCODE_U16] = "an unsigned number",
    [ENCODE_U32] = "an unsigned number",
    [ENCODE_U64] = "an unsigned number",
    [ENCODE_F64] = "a floating-point number",
    [ENCODE_TIME_NS] = "a time",
    [ENCODE_ADDRESS] = "an address",
    [ENCODE_STRING] = "text",
};

static bool
is_unsigned(enum encode_source source)
{
	return source <= ENCODE_U64;
}

static unsigned
source_width(enum encode_source source)
{
	return 1u << source; /* ENCODE_U8 to ENCODE_U64 */
}

/* The op for an integer element of `length` bytes. */
static void
choose_integer(const struct encode_field *f, struct op *op)
{
	unsigned bits = op->length * 8u;
	if (f->element->type >= ELEMENT_I8 && f->element->type <= ELEMENT_I64) {
		bits--; /* two's complement, and the value is never negative */
	}
	op->max = bits == 64 ? UINT64_MAX : (UINT64_C(1) << bits) - 1;
	op->kind = OP_UINT;
	unsigned width = source_width(f->source);
	bool fits = width * 8 <= bits;
	if (!fits) {
		return;
	}
	if (width == op->length) {
		static const uint8_t same[] = {
		    [ENCODE_U8] = OP_U8,
		    [ENCODE_U16] = OP_U16,
		    [ENCODE_U32] = OP_U32,
		    [ENCODE_U64] = OP_U64,
		};
		op->kind = same[f->source];
	} else if (width == 1 && op->length == 2) {
		op->kind = OP_U8_U16;
	}
}

static bool
is_integer(const struct element *element)
{
	return element->type >= ELEMENT_U8 && element->type <= ELEMENT_I64;
}

/* Fills op's kind and max.  False: the source cannot become this element. */
static bool
choose(const struct encode_field *f, struct op *op)
{
	static const struct {
		uint8_t kind, source;
	} shapes[] = {
	    [ELEMENT_F32] = {OP_F32, ENCODE_F64},
	    [ELEMENT_F64] = {OP_U64, ENCODE_F64},
	    [ELEMENT_STRING] = {OP_STRING, ENCODE_STRING},
	    [ELEMENT_TIME_S] = {OP_SECONDS, ENCODE_TIME_NS},
	    [ELEMENT_TIME_MS] = {OP_MILLIS, ENCODE_TIME_NS},
	    [ELEMENT_TIME_US] = {OP_NTP_MICROS, ENCODE_TIME_NS},
	    [ELEMENT_TIME_NS] = {OP_NTP_NANOS, ENCODE_TIME_NS},
	    [ELEMENT_IPV4] = {OP_ADDRESS4, ENCODE_ADDRESS},
	    [ELEMENT_IPV6] = {OP_ADDRESS16, ENCODE_ADDRESS},
	};
	enum element_type type = f->element->type;

	if (is_integer(f->element) && is_unsigned(f->source)) {
		choose_integer(f, op);
		return true;
	}
	if (type == ELEMENT_BOOL) {
		op->kind = OP_BOOL;
		return is_unsigned(f->source);
	}
	if (type >= sizeof shapes / sizeof shapes[0]) {
		return false;
	}
	op->kind = shapes[type].kind;
	if (type == ELEMENT_F64 && op->length == 4) {
		op->kind = OP_F32;
	}
	return op->kind != OP_NONE && f->source == shapes[type].source;
}

/* RFC 7011 section 6.2: integers may be shorter than their type, float64 may be a
 * float32. */
static bool
length_is_allowed(const struct element *element, uint16_t length)
{
	return length == element->length ||
	       (is_integer(element) && length >= 1 && length < element->length) ||
	       (element->type == ELEMENT_F64 && length == 4);
}

static int
compile_field(
    const struct encode_field *f, struct op *op, struct field *ret, struct err *e)
{
	uint16_t length = f->length != 0 ? f->length : f->element->length;
	if (!length_is_allowed(f->element, length)) {
		return err_set(e, -EINVAL,
		    "%s cannot be sent with length %u (its natural length is %u)",
		    f->element->name, length, f->element->length);
	}
	*op = (struct op){
	    .length = length,
	    .offset = (uint32_t)f->offset,
	    .source = (uint8_t)f->source,
	};
	if (!choose(f, op)) {
		return err_set(e, -EINVAL, "%s cannot be filled from %s",
		    f->element->name, source_names[f->source]);
	}
	*ret = (struct field){
	    .pen = f->element->pen, .id = f->element->id, .length = length};
	return 0;
}

/* Makes one op of two neighbours of the same frequent kind: dispatching an op costs
 * more than most of them do. */
static void
fuse_pairs(struct encode_plan *p)
{
	static const uint8_t pair_of[] = {
	    [OP_U8] = OP_U8_PAIR,
	    [OP_U16] = OP_U16_PAIR,
	    [OP_U32] = OP_U32_PAIR,
	    [OP_U64] = OP_U64_PAIR,
	    [OP_NTP_NANOS] = OP_NTP_NANOS_PAIR,
	    [OP_ADDRESS4] = OP_ADDRESS4_PAIR,
	    [OP_STRING] = 0,
	};
	unsigned n = 0;
	for (unsigned i = 0; i < p->op_count; i++) {
		struct op op = p->ops[i];
		if (i + 1 < p->op_count && p->ops[i + 1].kind == op.kind &&
		    pair_of[op.kind] != 0) {
			op.kind = pair_of[op.kind];
			op.length = (uint16_t)(op.length * 2);
			op.offset2 = p->ops[++i].offset;
		}
		p->ops[n++] = op;
	}
	p->op_count = n;
}

int
encode_compile(const struct encode_layout *l, struct encode_plan **ret, struct err *e)
{
	unsigned count = l->count;
	struct encode_plan *p;
	int rc = -ENOMEM;

	if (count == 0 || count > UINT16_MAX || l->scope_count > count) {
		return err_set(e, -EINVAL,
		    "template %u: invalid field counts (%u fields, %u of them scope)",
		    l->template_id, count, l->scope_count);
	}
	p = calloc(1, sizeof *p + count * sizeof p->ops[0]);
	if (p == NULL || (p->fields = calloc(count, sizeof p->fields[0])) == NULL) {
		err_set(e, rc, "no memory for template %u", l->template_id);
		goto out;
	}
	p->template_id = l->template_id;
	p->scope_count = (uint16_t)l->scope_count;
	p->count = count;
	for (unsigned i = 0; i < count; i++) {
		rc = compile_field(&l->fields[i], &p->ops[i], &p->fields[i], e);
		if (rc < 0) {
			goto out;
		}
		p->max_length +=
		    p->ops[i].kind == OP_STRING ? 3 + STRING_MAX : p->ops[i].length;
	}
	p->op_count = count;
	fuse_pairs(p);
	*ret = p;
	p = NULL;
	rc = 0;
out:
	encode_free(p);
	return rc;
}

void
encode_free(struct encode_plan *p)
{
	if (p == NULL) {
		return;
	}
	free(p->fields);
	free(p);
}

uint16_t
encode_template_id(const struct encode_plan *p)
{
	return p->template_id;
}

size_t
encode_max_length(const struct encode_plan *p)
{
	return p->max_length;
}

static inline uint16_t
native_u16(const uint8_t *p)
{
	uint16_t v;
	memcpy(&v, p, sizeof v);
	return v;
}

static inline uint32_t
native_u32(const uint8_t *p)
{
	uint32_t v;
	memcpy(&v, p, sizeof v);
	return v;
}

static inline uint64_t
native_u64(const uint8_t *p)
{
	uint64_t v;
	memcpy(&v, p, sizeof v);
	return v;
}

static inline double
native_f64(const uint8_t *p)
{
	double v;
	memcpy(&v, p, sizeof v);
	return v;
}

static uint64_t
native_uint(const uint8_t *p, unsigned source)
{
	switch (source) {
	case ENCODE_U8:
		return *p;
	case ENCODE_U16:
		return native_u16(p);
	case ENCODE_U32:
		return native_u32(p);
	default:
		return native_u64(p);
	}
}

/* Big-endian in any length of 1 to 8 bytes. */
static void
store_uint(uint8_t *out, uint64_t v, unsigned length)
{
	uint64_t swapped = htobe64(v);
	memcpy(out, (const uint8_t *)&swapped + 8 - length, length);
}

static void
store_float(uint8_t *out, double v)
{
	float narrow = v > FLT_MAX ? FLT_MAX : v < -FLT_MAX ? -FLT_MAX : (float)v;
	uint32_t bits;
	memcpy(&bits, &narrow, sizeof bits);
	store_u32(out, bits);
}

/* NTP timestamps (RFC 7011 sections 6.1.9, 6.1.10): seconds since 1900, then 32 bits of
 * fraction, of which the microseconds leave the last 11 zero.  The fraction is rounded
 * up, so that a reader who truncates and one who rounds both get the very nanosecond
 * (or microsecond) back. */
static void
store_ntp_nanos(uint8_t *out, uint64_t ns)
{
	uint64_t rest = ns % NS_PER_SECOND;
	store_u32(out, (uint32_t)(ns / NS_PER_SECOND + NTP_EPOCH));
	store_u32(
	    out + 4, (uint32_t)(((rest << 32) + NS_PER_SECOND - 1) / NS_PER_SECOND));
}

static void
store_ntp_micros(uint8_t *out, uint64_t ns)
{
	uint64_t rest = ns % NS_PER_SECOND / NS_PER_US;
	store_u32(out, (uint32_t)(ns / NS_PER_SECOND + NTP_EPOCH));
	store_u32(out + 4, (uint32_t)(((rest << 21) + 999999) / 1000000) << 11);
}

static uint32_t
seconds_of(uint64_t ns)
{
	uint64_t s = ns / NS_PER_SECOND;
	return s > UINT32_MAX ? UINT32_MAX : (uint32_t)s;
}

/* RFC 7011 section 7: one length byte, or 255 and two. */
static uint8_t *
put_string(uint8_t *out, const uint8_t *from)
{
	const char *text;
	memcpy(&text, from, sizeof text);
	size_t n = text == NULL ? 0 : utf8_cut(text, STRING_MAX);
	if (n < 255) {
		*out++ = (uint8_t)n;
	} else {
		*out++ = 255;
		store_u16(out, (uint16_t)n);
		out += 2;
	}
	if (n > 0) {
		memcpy(out, text, n);
	}
	return out + n;
}

static uint64_t
saturated(const struct op *op, const uint8_t *at)
{
	uint64_t v = native_uint(at, op->source);
	return v > op->max ? op->max : v;
}

/* The kinds that flows seldom have; encode_record() keeps those of every packet. */
static void
put_seldom(const struct op *op, const uint8_t *at, uint8_t *to)
{
	switch ((enum op_kind)op->kind) {
	case OP_BOOL:
		*to = native_uint(at, op->source) != 0 ? 1 : 2;
		break;
	case OP_F32:
		store_float(to, native_f64(at));
		break;
	case OP_SECONDS:
		store_u32(to, seconds_of(native_u64(at)));
		break;
	case OP_MILLIS:
		store_u64(to, native_u64(at) / NS_PER_MS);
		break;
	default: /* OP_NTP_MICROS */
		store_ntp_micros(to, native_u64(at));
		break;
	}
}

size_t
encode_record(const struct encode_plan *p, const void *from, uint8_t *out)
{
	const uint8_t *base = from;
	uint8_t *to = out;

	for (const struct op *op = p->ops, *end = op + p->op_count; op < end; op++) {
		const uint8_t *at = base + op->offset;
		switch ((enum op_kind)op->kind) {
		case OP_U8:
			*to = *at;
			break;
		case OP_U16:
			store_u16(to, native_u16(at));
			break;
		case OP_U32:
			store_u32(to, native_u32(at));
			break;
		case OP_U64:
			store_u64(to, native_u64(at));
			break;
		case OP_U8_U16:
			store_u16(to, *at);
			break;
		case OP_UINT:
			store_uint(to, saturated(op, at), op->length);
			break;
		case OP_NTP_NANOS:
			store_ntp_nanos(to, native_u64(at));
			break;
		case OP_ADDRESS4:
			memcpy(to, at + 12, 4);
			break;
		case OP_ADDRESS16:
			memcpy(to, at, 16);
			break;
		case OP_STRING:
			to = put_string(to, at);
			continue;
		case OP_U8_PAIR:
			to[0] = *at;
			to[1] = base[op->offset2];
			break;
		case OP_U16_PAIR:
			store_u16(to, native_u16(at));
			store_u16(to + 2, native_u16(base + op->offset2));
			break;
		case OP_U32_PAIR:
			store_u32(to, native_u32(at));
			store_u32(to + 4, native_u32(base + op->offset2));
			break;
		case OP_U64_PAIR:
			store_u64(to, native_u64(at));
			store_u64(to + 8, native_u64(base + op->offset2));
			break;
		case OP_NTP_NANOS_PAIR:
			store_ntp_nanos(to, native_u64(at));
			store_ntp_nanos(to + 8, native_u64(base + op->offset2));
			break;
		case OP_ADDRESS4_PAIR:
			memcpy(to, at + 12, 4);
			memcpy(to + 4, base + op->offset2 + 12, 4);
			break;
		default:
			put_seldom(op, at, to);
			break;
		}
		to += op->length;
	}
	return (size_t)(to - out);
}

size_t
encode_template(const struct encode_plan *p, uint8_t *out)
{
	size_t length = p->scope_count > 0 ? 6 : 4;
	struct write_cursor to;

	for (unsigned i = 0; i < p->count; i++) {
		length += p->fields[i].pen != 0 ? 8 : 4;
	}
	if (out == NULL) {
		return length;
	}
	to = write_cursor_of(out, length);
	cursor_put_u16(&to, p->template_id);
	cursor_put_u16(&to, (uint16_t)p->count);
	if (p->scope_count > 0) {
		cursor_put_u16(&to, p->scope_count);
	}
	for (unsigned i = 0; i < p->count; i++) {
		const struct field *f = &p->fields[i];
		cursor_put_u16(&to, f->pen != 0 ? f->id | ELEMENT_ENTERPRISE : f->id);
		cursor_put_u16(&to, f->length);
		if (f->pen != 0) {
			cursor_put_u32(&to, f->pen);
		}
	}
	return length;
}

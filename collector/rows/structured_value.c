#include "collector/rows/structured_value.h"

#include <stdio.h>
#include <string.h>

#include "collector/protocol/wire_time.h"
#include "common/base/address.h"

/* RFC 7011 section 6.1.5. */
static void
write_bool(struct json_text *out, uint8_t v)
{
	if (v == 1 || v == 2) {
		json_raw(out, v == 1 ? "true" : "false");
	} else {
		json_unsigned(out, v);
	}
}

static void
write_time(struct json_text *out, int64_t ns)
{
	char text[32];
	size_t n = clock_format_iso((uint64_t)ns, text);

	json_string(out, text, n);
}

static void
write_mac(struct json_text *out, const uint8_t *p)
{
	char text[24];
	int n = snprintf(text, sizeof text, "%02x:%02x:%02x:%02x:%02x:%02x", p[0], p[1],
	    p[2], p[3], p[4], p[5]);

	json_string(out, text, (size_t)n);
}

static void
write_address(struct json_text *out, const uint8_t *p, size_t n)
{
	char text[ADDRESS_TEXT];
	struct address a;

	if (n == 4) {
		address_from_ipv4(&a, p);
	} else {
		memcpy(a.bytes, p, sizeof a.bytes);
	}
	json_string(out, text, address_format(&a, text));
}

/* Texts in fields of fixed length are filled up with zeros. */
static void
write_string(struct json_text *out, const uint8_t *p, size_t n)
{
	while (n > 0 && p[n - 1] == 0) {
		n--;
	}
	json_string(out, p, n);
}

/* False: not of a length that the type may have (RFC 7011 section 6.2). */
static bool
write_number(struct json_text *out, enum element_type type, const uint8_t *p, size_t n)
{
	switch (type) {
	case ELEMENT_U8:
	case ELEMENT_U16:
	case ELEMENT_U32:
	case ELEMENT_U64:
		if (n >= 1 && n <= 8) {
			json_unsigned(out, load_uint(p, n));
			return true;
		}
		return false;
	case ELEMENT_I8:
	case ELEMENT_I16:
	case ELEMENT_I32:
	case ELEMENT_I64:
		if (n >= 1 && n <= 8) {
			json_signed(out, load_int(p, n));
			return true;
		}
		return false;
	case ELEMENT_BOOL:
		if (n == 1) {
			write_bool(out, *p);
		}
		return n == 1;
	case ELEMENT_F32:
	case ELEMENT_F64:
		if (n == 4 || (n == 8 && type == ELEMENT_F64)) {
			json_real(out, load_real(p, n));
			return true;
		}
		return false;
	default:
		return false;
	}
}

static bool
write_moment(struct json_text *out, enum element_type type, const uint8_t *p, size_t n)
{
	if (type == ELEMENT_TIME_S && n == 4) {
		write_time(out, (int64_t)(load_u32(p) * NS_PER_SECOND));
	} else if (type == ELEMENT_TIME_MS && n == 8) {
		write_time(out, milliseconds_ns(p));
	} else if (type == ELEMENT_TIME_US && n == 8) {
		write_time(out, ntp_us(p));
	} else if (type == ELEMENT_TIME_NS && n == 8) {
		write_time(out, ntp_ns(p));
	} else {
		return false;
	}
	return true;
}

void
structured_value_write(
    struct json_text *out, const struct element *element, struct cursor value)
{
	enum element_type type = element != NULL ? element->type : ELEMENT_OCTETS;
	const uint8_t *p = value.at;
	size_t n = cursor_left(&value);

	if (type == ELEMENT_STRING) {
		write_string(out, p, n);
	} else if (type == ELEMENT_MAC && n == 6) {
		write_mac(out, p);
	} else if ((type == ELEMENT_IPV4 && n == 4) ||
		   (type == ELEMENT_IPV6 && n == 16)) {
		write_address(out, p, n);
	} else if (n == 0 && type != ELEMENT_OCTETS) {
		json_raw(out, "null");
	} else if (!write_number(out, type, p, n) && !write_moment(out, type, p, n)) {
		json_octets(out, p, n);
	}
}

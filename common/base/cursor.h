/* Bounded reading and writing of what is on the wire and on disk, big-endian.
 *
 * Reading: a read past the end sets `failed`, returns zero and reads nothing more.
 * Writing: a write past the end sets `failed` and writes nothing more.
 * Callers check once, at the end. */
#ifndef COMMON_BASE_CURSOR_H
#define COMMON_BASE_CURSOR_H

#include <endian.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct cursor {
	const uint8_t *at, *end;
	bool failed;
};

static inline struct cursor
cursor_of(const void *bytes, size_t length)
{
	const uint8_t *b = bytes;
	return (struct cursor){.at = b, .end = b + length};
}

static inline size_t
cursor_left(const struct cursor *c)
{
	return (size_t)(c->end - c->at);
}

/* Takes n bytes: where they are, or NULL when fewer are left (the cursor fails and is
 * empty). */
static inline const uint8_t *
cursor_take(struct cursor *c, size_t n)
{
	const uint8_t *p = c->at;
	if (cursor_left(c) < n) {
		c->failed = true;
		c->at = c->end;
		return NULL;
	}
	c->at += n;
	return p;
}

/* A cursor over the next n bytes, which are taken from c. */
static inline struct cursor
cursor_sub(struct cursor *c, size_t n)
{
	const uint8_t *p = cursor_take(c, n);
	return p == NULL ? (struct cursor){.failed = true} : cursor_of(p, n);
}

/* Loads from bytes whose bounds are already proved. */
static inline uint16_t
load_u16(const uint8_t *p)
{
	uint16_t v;
	memcpy(&v, p, sizeof v);
	return be16toh(v);
}

static inline uint32_t
load_u32(const uint8_t *p)
{
	uint32_t v;
	memcpy(&v, p, sizeof v);
	return be32toh(v);
}

static inline uint64_t
load_u64(const uint8_t *p)
{
	uint64_t v;
	memcpy(&v, p, sizeof v);
	return be64toh(v);
}

/* Big-endian unsigned of 1 to 8 bytes (RFC 7011 section 6.2, reduced-size encoding). */
static inline uint64_t
load_uint(const uint8_t *p, size_t n)
{
	uint64_t v = 0;
	for (size_t i = 0; i < n; i++) {
		v = v << 8 | p[i];
	}
	return v;
}

/* The same, signed. */
static inline int64_t
load_int(const uint8_t *p, size_t n)
{
	unsigned shift = 64 - 8 * (unsigned)n;
	return (int64_t)(load_uint(p, n) << shift) >> shift;
}

/* IEEE 754 of 4 or 8 bytes. */
static inline double
load_real(const uint8_t *p, size_t n)
{
	uint64_t bits;
	uint32_t narrow;
	double v;
	float f;

	if (n == sizeof f) {
		narrow = load_u32(p);
		memcpy(&f, &narrow, sizeof f);
		return (double)f;
	}
	bits = load_u64(p);
	memcpy(&v, &bits, sizeof v);
	return v;
}

/* The same as the bits of a double, 0 where it is not finite. */
static inline int64_t
load_real_bits(const uint8_t *p, size_t n)
{
	double v = load_real(p, n);
	int64_t bits = 0;

	if (__builtin_isfinite(v)) {
		memcpy(&bits, &v, sizeof bits);
	}
	return bits;
}

static inline void
store_u16(uint8_t *p, uint16_t v)
{
	v = htobe16(v);
	memcpy(p, &v, sizeof v);
}

static inline void
store_u32(uint8_t *p, uint32_t v)
{
	v = htobe32(v);
	memcpy(p, &v, sizeof v);
}

static inline void
store_u64(uint8_t *p, uint64_t v)
{
	v = htobe64(v);
	memcpy(p, &v, sizeof v);
}

static inline bool
cursor_is_zero(struct cursor c)
{
	while (c.at < c.end && *c.at == 0) {
		c.at++;
	}
	return c.at == c.end;
}

static inline uint8_t
cursor_u8(struct cursor *c)
{
	const uint8_t *p = cursor_take(c, 1);
	return p == NULL ? 0 : *p;
}

static inline uint16_t
cursor_u16(struct cursor *c)
{
	const uint8_t *p = cursor_take(c, 2);
	return p == NULL ? 0 : load_u16(p);
}

static inline uint32_t
cursor_u32(struct cursor *c)
{
	const uint8_t *p = cursor_take(c, 4);
	return p == NULL ? 0 : load_u32(p);
}

static inline uint64_t
cursor_u64(struct cursor *c)
{
	const uint8_t *p = cursor_take(c, 8);
	return p == NULL ? 0 : load_u64(p);
}

struct write_cursor {
	uint8_t *begin;
	size_t used, capacity;
	bool failed;
};

static inline struct write_cursor
write_cursor_of(void *bytes, size_t length)
{
	uint8_t *b = bytes;
	return (struct write_cursor){.begin = b, .capacity = length};
}

/* How many bytes were written. */
static inline size_t
cursor_written(const struct write_cursor *c)
{
	return c->used;
}

/* Space for n bytes, which the caller fills; NULL when fewer are left (the cursor fails
 * and is full). */
static inline uint8_t *
cursor_put_space(struct write_cursor *c, size_t n)
{
	uint8_t *p = c->begin + c->used;
	if (c->capacity - c->used < n) {
		c->failed = true;
		c->capacity = c->used;
		return NULL;
	}
	c->used += n;
	return p;
}

static inline void
cursor_put_bytes(struct write_cursor *c, const void *bytes, size_t n)
{
	uint8_t *p = cursor_put_space(c, n);
	if (p != NULL && n > 0) {
		memcpy(p, bytes, n);
	}
}

/* Without its NUL. */
static inline void
cursor_put_text(struct write_cursor *c, const char *text)
{
	cursor_put_bytes(c, text, strlen(text));
}

static inline void
cursor_put_zeros(struct write_cursor *c, size_t n)
{
	uint8_t *p = cursor_put_space(c, n);
	if (p != NULL) {
		memset(p, 0, n);
	}
}

static inline void
cursor_put_u8(struct write_cursor *c, uint8_t v)
{
	cursor_put_bytes(c, &v, 1);
}

static inline void
cursor_put_u16(struct write_cursor *c, uint16_t v)
{
	v = htobe16(v);
	cursor_put_bytes(c, &v, sizeof v);
}

static inline void
cursor_put_u32(struct write_cursor *c, uint32_t v)
{
	v = htobe32(v);
	cursor_put_bytes(c, &v, sizeof v);
}

static inline void
cursor_put_u64(struct write_cursor *c, uint64_t v)
{
	v = htobe64(v);
	cursor_put_bytes(c, &v, sizeof v);
}

#endif

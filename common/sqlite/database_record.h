/* The record format of SQLite's rows (https://www.sqlite.org/fileformat2.html, 2.1),
 * written value by value: serial types here, bodies there, put together where the row
 * goes (database_image_add).  A call per value and no look back: this is the inner loop
 * of every flush.
 * Threads: the owner's. */
#ifndef COMMON_SQLITE_DATABASE_RECORD_H
#define COMMON_SQLITE_DATABASE_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "common/base/cursor.h"

#define RECORD_COLUMNS 256u
#define RECORD_MOST    32768u /* bytes of all texts of a row */
#define RECORD_ROOM    64u    /* that a value may always take, texts apart */

struct database_record {
	unsigned types_length, length; /* bytes so far */
	bool is_too_long;
	uint8_t types[3 * RECORD_COLUMNS];
	uint8_t bytes[RECORD_MOST + RECORD_ROOM * RECORD_COLUMNS];
};

/* Where the next value goes; kept in registers while many are written. */
struct record_end {
	uint8_t *type, *byte;
};

static inline struct record_end
record_end(struct database_record *r)
{
	return (struct record_end){r->types + r->types_length, r->bytes + r->length};
}

static inline void
record_end_at(struct database_record *r, struct record_end end)
{
	r->types_length = (unsigned)(end.type - r->types);
	r->length = (unsigned)(end.byte - r->bytes);
}

static inline void
record_clear(struct database_record *r)
{
	r->types_length = r->length = 0;
	r->is_too_long = false;
}

static inline void
record_null(struct database_record *r)
{
	r->types[r->types_length++] = 0;
}

/* The fewest of 1, 2, 3, 4, 6 and 8 bytes that hold it; 0 and 1 take none. */
static inline struct record_end
record_integer_at(struct record_end end, int64_t v)
{
#define EIGHT(type, bytes)                                                             \
	{type, bytes}, {type, bytes}, {type, bytes}, {type, bytes}, {type, bytes},     \
	    {type, bytes}, {type, bytes},                                              \
	{                                                                              \
		type, bytes                                                            \
	}
	/* by the bits that it has beside the sign */
	static const struct {
		uint8_t type, bytes;
	} kinds[64] = {EIGHT(1, 1), EIGHT(2, 2), EIGHT(3, 3), EIGHT(4, 4), EIGHT(5, 6),
	    EIGHT(5, 6), EIGHT(6, 8), EIGHT(6, 8)};
#undef EIGHT
	uint64_t magnitude = (uint64_t)(v < 0 ? ~v : v);
	unsigned bits = 64 - (unsigned)__builtin_clzll(magnitude | 1);
	unsigned type = kinds[bits].type, bytes = kinds[bits].bytes;

	if (magnitude < 2 && v >= 0) {
		type = 8 + (unsigned)v;
		bytes = 0;
	}
	*end.type = (uint8_t)type;
	/* The bytes that count come first; the next value overwrites the others. */
	store_u64(end.byte, (uint64_t)v << (64 - 8 * bytes) % 64);
	return (struct record_end){end.type + 1, end.byte + bytes};
}

static inline void
record_integer(struct database_record *r, int64_t v)
{
	record_end_at(r, record_integer_at(record_end(r), v));
}

static inline void
record_real(struct database_record *r, double v)
{
	uint64_t bits;

	memcpy(&bits, &v, sizeof bits);
	r->types[r->types_length++] = 7;
	store_u64(r->bytes + r->length, bits);
	r->length += sizeof bits;
}

/* Where a text of at most RECORD_ROOM bytes may be written; then its length. */
static inline char *
record_room(struct database_record *r)
{
	return (char *)r->bytes + r->length;
}

static inline void
record_text_written(struct database_record *r, size_t length)
{
	unsigned type = 13 + 2 * (unsigned)length;

	if (type >= 1u << 14) {
		r->types[r->types_length++] = (uint8_t)(type >> 14 | 0x80);
	}
	if (type >= 1u << 7) {
		r->types[r->types_length++] = (uint8_t)(type >> 7 | 0x80);
	}
	r->types[r->types_length++] = type & 0x7f;
	r->length += (unsigned)length;
}

/* UTF-8.  Too much text spoils the row: is_too_long. */
static inline void
record_text(struct database_record *r, const char *text, size_t length)
{
	if (length > RECORD_MOST || r->length + length > RECORD_MOST) {
		r->is_too_long = true;
		return;
	}
	memcpy(record_room(r), text, length);
	record_text_written(r, length);
}

#endif

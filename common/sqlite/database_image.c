#include "common/sqlite/database_image.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/cursor.h"

#define PAGE        DATABASE_IMAGE_PAGE
#define PAGES       66u /* schema, root and leaves: 2 MiB, near a core's own cache */
#define FIRST_LEAF  3u  /* pages count from 1: 1 the schema, 2 the table's root */
#define FILE_HEADER 100u
#define LEAF        13 /* page types */
#define INTERIOR    5
#define LEAF_HEADER 8u

struct database_image {
	uint8_t *pages;
	char *sql;
	uint64_t rows;
	unsigned leaf;            /* the page that is filled */
	unsigned cells;           /* in it */
	unsigned content;         /* where its cells begin; they grow downwards */
	uint64_t last[PAGES + 1]; /* rowid of the last row of each leaf */
	struct database_record schema;
};

struct database_image *
database_image_new(const char *sql)
{
	struct database_image *s = calloc(1, sizeof *s);

	if (s == NULL) {
		return NULL;
	}
	s->sql = strdup(sql);
	s->pages = aligned_alloc(4096, (size_t)PAGE * PAGES);
	if (s->sql == NULL || s->pages == NULL || strlen(sql) > PAGE / 2) {
		database_image_free(s);
		return NULL;
	}
	database_image_clear(s);
	return s;
}

void
database_image_free(struct database_image *s)
{
	if (s != NULL) {
		free(s->pages);
		free(s->sql);
		free(s);
	}
}

static uint8_t *
page_at(const struct database_image *s, unsigned page)
{
	return s->pages + (size_t)(page - 1) * PAGE;
}

static void
begin_leaf(struct database_image *s, unsigned page)
{
	s->leaf = page;
	s->cells = 0;
	s->content = PAGE;
}

void
database_image_clear(struct database_image *s)
{
	s->rows = 0;
	begin_leaf(s, FIRST_LEAF);
}

/* Big-endian groups of 7 bits; a ninth byte would have 8, which lengths, serial types
 * and rowids of an image never need. */
static inline unsigned
put_varint(uint8_t *p, uint64_t v)
{
	unsigned n = 1;

	if (v < 128) {
		*p = (uint8_t)v;
		return 1;
	}
	while (v >> (7 * n) != 0) {
		n++;
	}
	for (unsigned i = 0; i < n; i++) {
		p[i] =
		    (uint8_t)((v >> (7 * (n - 1 - i)) & 0x7f) | (i + 1 < n ? 0x80 : 0));
	}
	return n;
}

static inline unsigned
varint_length(uint64_t v)
{
	unsigned n = 1;

	while (v >= 128) {
		v >>= 7;
		n++;
	}
	return n;
}

/* memcpy() without the call: values of most rows are some ten bytes. */
static inline void
copy_some(uint8_t *to, const uint8_t *from, unsigned n)
{
	enum { STEP = 16 };

	if (n < STEP) {
		memcpy(to, from, n);
		return;
	}
	for (unsigned i = 0; i < n - STEP; i += STEP) {
		memcpy(to + i, from + i, STEP);
	}
	memcpy(to + n - STEP, from + n - STEP, STEP);
}

/* Types and values of a record, behind the length of its header. */
static void
put_record(uint8_t *p, const struct database_record *r, unsigned header)
{
	p += put_varint(p, header);
	copy_some(p, r->types, r->types_length);
	copy_some(p + r->types_length, r->bytes, r->length);
}

/* The header's length counts itself. */
static inline unsigned
header_length(const struct database_record *r)
{
	return r->types_length + (r->types_length + 1 < 128 ? 1 : 2);
}

/* Header and cell pointers of a page whose cells lie at content and up. */
static void
end_page(uint8_t *page, unsigned at, uint8_t type, unsigned cells, unsigned content)
{
	page[at] = type;
	store_u16(page + at + 1, 0); /* no free blocks */
	store_u16(page + at + 3, (uint16_t)cells);
	store_u16(page + at + 5, (uint16_t)content);
	page[at + 7] = 0;
}

static void
end_leaf(struct database_image *s)
{
	end_page(page_at(s, s->leaf), 0, LEAF, s->cells, s->content);
	s->last[s->leaf] = s->rows;
}

int
database_image_add(struct database_image *s, const struct database_record *r)
{
	unsigned header = header_length(r), record = header + r->length, cell;
	uint8_t *page, *p;

	if (r->is_too_long || record > DATABASE_IMAGE_ROW) {
		return -E2BIG;
	}
	cell = varint_length(record) + varint_length(s->rows + 1) + record;
	if (LEAF_HEADER + 2 * (s->cells + 1) + cell > s->content) {
		if (s->leaf == PAGES) {
			return -ENOSPC;
		}
		end_leaf(s);
		begin_leaf(s, s->leaf + 1);
	}
	page = page_at(s, s->leaf);
	s->content -= cell;
	store_u16(page + LEAF_HEADER + 2 * s->cells++, (uint16_t)s->content);
	p = page + s->content;
	p += put_varint(p, record);
	p += put_varint(p, ++s->rows);
	put_record(p, r, header);
	return 0;
}

/* https://sqlite.org/fileformat2.html section 1.3; an empty leaf page follows. */
static void
write_file_header(const struct database_image *s, uint8_t *page)
{
	struct write_cursor out = write_cursor_of(page, FILE_HEADER + LEAF_HEADER + 2);

	cursor_put_bytes(&out, "SQLite format 3", 16);
	cursor_put_u16(&out, PAGE);
	cursor_put_u16(&out, 0x0101);     /* no write-ahead log */
	cursor_put_u32(&out, 0x00402020); /* fractions: fixed by the format */
	cursor_put_u32(&out, 1);          /* change counter */
	cursor_put_u32(&out, s->leaf);    /* pages */
	cursor_put_zeros(&out, 8);        /* free pages */
	cursor_put_u32(&out, 1);          /* schema cookie */
	cursor_put_u32(&out, 4);          /* schema format */
	cursor_put_zeros(&out, 8);
	cursor_put_u32(&out, 1); /* UTF-8 */
	cursor_put_zeros(&out, 32);
	cursor_put_u32(&out, 1); /* change counter of the version below */
	cursor_put_u32(&out, 3040001);
	cursor_put_zeros(&out, LEAF_HEADER + 2);
}

/* Page 1: the file header and the one row of the schema. */
static void
write_schema(struct database_image *s)
{
	struct database_record *r = &s->schema;
	uint8_t *page = page_at(s, 1), *p;
	unsigned content, record;

	record_clear(r);
	record_text(r, "table", 5);
	record_text(r, "t", 1);
	record_text(r, "t", 1);
	/* A root needs a key: a single leaf is the root itself. */
	record_integer(r, s->leaf == FIRST_LEAF ? FIRST_LEAF : 2);
	record_text(r, s->sql, strlen(s->sql));
	write_file_header(s, page);
	record = header_length(r) + r->length;
	content = PAGE - record - varint_length(record) - 1;
	p = page + content;
	p += put_varint(p, record);
	p += put_varint(p, 1);
	put_record(p, r, header_length(r));
	store_u16(page + FILE_HEADER + LEAF_HEADER, (uint16_t)content);
	end_page(page, FILE_HEADER, LEAF, 1, content);
}

/* Page 2: the root over all leaves: a cell (page, last rowid) each, and the last one as
 * right-most pointer. */
static void
write_root(struct database_image *s)
{
	uint8_t *page = page_at(s, 2);
	unsigned content = PAGE, cells = 0, header = 12;

	for (unsigned leaf = FIRST_LEAF; leaf < s->leaf; leaf++) {
		content -= 4 + varint_length(s->last[leaf]);
		store_u32(page + content, leaf);
		put_varint(page + content + 4, s->last[leaf]);
		store_u16(page + header + 2 * cells++, (uint16_t)content);
	}
	end_page(page, 0, INTERIOR, cells, content);
	store_u32(page + 8, s->leaf);
}

const uint8_t *
database_image_finish(struct database_image *s, size_t *ret_length)
{
	end_leaf(s);
	write_root(s);
	write_schema(s);
	*ret_length = (size_t)s->leaf * PAGE;
	return s->pages;
}

uint64_t
database_image_rows(const struct database_image *s)
{
	return s->rows;
}

/* Texts as small numbers: one number for equal texts, from 0 ("") on.  What records
 * carry as text (exporter names, string elements) is a number from decoding to
 * flushing.  Texts are made valid UTF-8 here, and cut at a NUL and at INTERN_MAX bytes
 * (those that the collector writes itself at INTERN_LONG_MAX).
 * Threads: the processing thread.  Bounded by its owner: when intern_bytes() passes the
 * bound, flush and clear. */
#ifndef COLLECTOR_ROWS_INTERN_H
#define COLLECTOR_ROWS_INTERN_H

#include <stddef.h>
#include <stdint.h>

#define INTERN_MAX      255
#define INTERN_LONG_MAX 16383

struct intern;

struct intern *intern_new(void); /* NULL: no memory */
void intern_free(struct intern *s);
/* No text's number: memory was short.  A row that has it is not whole (batch.h). */
#define INTERN_NONE UINT32_MAX

/* The number of these bytes, or INTERN_NONE. */
uint32_t intern_add(struct intern *s, const void *bytes, size_t length);
/* A text that may be long.  It and a short one that is cut are different texts. */
uint32_t intern_add_long(struct intern *s, const void *bytes, size_t length);
/* NUL-terminated; valid until the next intern_add() or intern_clear(). */
const char *intern_text(const struct intern *s, uint32_t id, size_t *ret_length);
/* How many texts memory was short for; only grows. */
uint64_t intern_failures(const struct intern *s);
uint32_t intern_count(const struct intern *s);
size_t intern_bytes(const struct intern *s);
void intern_clear(struct intern *s);
/* Clears all but the texts whose numbers are marked: marks, intern_count() entries, has
 * their new numbers afterwards.  As if they had been added to an empty one in this
 * order, by intern_add_long(). */
void intern_keep(struct intern *s, uint32_t *marks);
/* ret[id] is the place of id among all texts in byte order; ret has intern_count()
 * entries. */
int intern_ranks(const struct intern *s, uint32_t *ret);

#endif

/* What files were imported, so that a file that has grown adds only what is new: table
 * flowpair_contents of the main file.  A file's source is the SHA-256 of its content.
 * Threads: the processing thread. */
#ifndef COLLECTOR_STORE_STORE_CONTENT_H
#define COLLECTOR_STORE_STORE_CONTENT_H

#include "collector/store/store.h"

struct database;

struct store_content {
	struct source_id id;
	uint64_t length; /* of the content, unpacked */
	uint64_t stored; /* the store has its messages up to this position */
};

/* Makes the table where it is missing. */
int store_content_prepare(struct database *d, struct err *e);
/* The least length above this one of any known content; UINT64_MAX: there is none. */
int store_content_next(
    struct store *s, uint64_t length, uint64_t *ret_length, struct err *e);
/* Looks for the content with c's id and length.  1: c->stored says how far it is stored,
 * and it is more than nothing; 0: there is no such content. */
int store_content_find(struct store *s, struct store_content *c, struct err *e);
/* The length of the longest content that a file of this name had; 0: none. */
int store_content_named(
    struct store *s, const char *name, uint64_t *ret_length, struct err *e);
/* Before the import of it begins. */
int store_content_add(
    struct store *s, const struct store_content *c, const char *name, struct err *e);
/* Before the marks of its end: behind its last message they may lie anywhere. */
int store_content_end(
    struct store *s, const struct source_id *id, uint64_t position, struct err *e);
/* The known content is the beginning of another: the import of that goes on where it
 * stands, with the one-way records that wait there, and the known one is finished. */
int store_content_continue(struct store *s, const struct store_content *known,
    const struct source_id *id, struct err *e);

#endif

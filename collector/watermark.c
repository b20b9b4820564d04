#include "collector/watermark.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/hash.h"

struct watermarks {
	unsigned max, count;
	unsigned bucket_mask;
	struct watermark **buckets;
	struct watermark *moved;
};

static unsigned
count_buckets(unsigned max)
{
	unsigned n = 64;

	while (n < max && n < 1u << 16) {
		n *= 2;
	}
	return n;
}

struct watermarks *
watermarks_new(unsigned max)
{
	struct watermarks *w = calloc(1, sizeof *w);

	if (w == NULL) {
		return NULL;
	}
	w->max = max;
	w->bucket_mask = count_buckets(max) - 1;
	w->buckets = calloc(w->bucket_mask + 1, sizeof(struct watermark *));
	if (w->buckets == NULL) {
		free(w);
		return NULL;
	}
	return w;
}

void
watermarks_free(struct watermarks *w)
{
	if (w == NULL) {
		return;
	}
	for (unsigned i = 0; i <= w->bucket_mask; i++) {
		struct watermark *m = w->buckets[i], *next;
		for (; m != NULL; m = next) {
			next = m->chain;
			free(m);
		}
	}
	free(w->buckets);
	free(w);
}

static struct watermark **
bucket_of(
    const struct watermarks *w, const char *identity, const uint8_t spool[static 16])
{
	uint64_t hash =
	    hash_bytes(identity, strlen(identity), hash_bytes(spool, 16, 0));

	return &w->buckets[hash & w->bucket_mask];
}

struct watermark *
watermarks_find(
    const struct watermarks *w, const char *identity, const uint8_t spool[static 16])
{
	struct watermark *m = *bucket_of(w, identity, spool);

	while (m != NULL && (memcmp(m->spool, spool, sizeof m->spool) != 0 ||
				strcmp(m->identity, identity) != 0)) {
		m = m->chain;
	}
	return m;
}

/* Takes the entry that was seen least recently out, if it may go. */
static bool
forget_one(struct watermarks *w, uint64_t now_ns)
{
	struct watermark **oldest = NULL, *gone;

	for (unsigned i = 0; i <= w->bucket_mask; i++) {
		struct watermark **at = &w->buckets[i];
		for (; *at != NULL; at = &(*at)->chain) {
			if ((*at)->holders == 0 && !(*at)->is_moved &&
			    (oldest == NULL || (*at)->seen_ns < (*oldest)->seen_ns)) {
				oldest = at;
			}
		}
	}
	if (oldest == NULL || (*oldest)->seen_ns > now_ns ||
	    now_ns - (*oldest)->seen_ns < WATERMARK_SILENT_NS) {
		return false;
	}
	gone = *oldest;
	*oldest = gone->chain;
	w->count--;
	free(gone);
	return true;
}

static struct watermark *
make(struct watermarks *w, const char *identity, const uint8_t spool[static 16],
    uint64_t now_ns)
{
	size_t n = strlen(identity) + 1;
	struct watermark **bucket = bucket_of(w, identity, spool);
	struct watermark *m = calloc(1, sizeof *m + n);

	if (m == NULL) {
		return NULL;
	}
	memcpy(m->identity, identity, n);
	memcpy(m->spool, spool, sizeof m->spool);
	m->seen_ns = now_ns;
	m->chain = *bucket;
	*bucket = m;
	w->count++;
	return m;
}

struct watermark *
watermarks_add(struct watermarks *w, const char *identity,
    const uint8_t spool[static 16], uint64_t now_ns)
{
	if (w->count >= w->max && !forget_one(w, now_ns)) {
		return NULL;
	}
	return make(w, identity, spool, now_ns);
}

struct watermark *
watermarks_restore(struct watermarks *w, const char *identity,
    const uint8_t spool[static 16], uint64_t now_ns)
{
	if (w->count >= w->max) {
		(void)forget_one(w, now_ns);
	}
	return make(w, identity, spool, now_ns);
}

unsigned
watermarks_count(const struct watermarks *w)
{
	return w->count;
}

void
watermarks_each(const struct watermarks *w,
    void (*each)(const struct watermark *m, void *data), void *data)
{
	for (unsigned i = 0; i <= w->bucket_mask; i++) {
		const struct watermark *m = w->buckets[i];
		for (; m != NULL; m = m->chain) {
			each(m, data);
		}
	}
}

struct copying {
	struct watermarks *to;
	int rc;
};

static void
copy_one(const struct watermark *m, void *data)
{
	struct copying *c = data;
	struct watermark *copy = make(c->to, m->identity, m->spool, m->seen_ns);

	if (copy == NULL) {
		c->rc = -ENOMEM;
		return;
	}
	copy->next = copy->durable = m->next;
	copy->lost_records = m->lost_records;
	copy->lost_messages = m->lost_messages;
}

int
watermarks_copy(struct watermarks *w, const struct watermarks *from)
{
	struct copying c = {.to = w};

	watermarks_each(from, copy_one, &c);
	return c.rc;
}

void
watermarks_moved(struct watermarks *w, struct watermark *m)
{
	if (!m->is_moved) {
		m->is_moved = true;
		m->next_moved = w->moved;
		w->moved = m;
	}
}

void
watermarks_settle(struct watermarks *w, bool is_durable)
{
	struct watermark *m;

	while ((m = w->moved) != NULL) {
		w->moved = m->next_moved;
		m->is_moved = false;
		m->next_moved = NULL;
		if (is_durable) {
			m->durable = m->next;
		} else {
			m->next = m->durable;
		}
	}
}

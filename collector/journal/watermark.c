#include "collector/journal/watermark.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/hash.h"

struct watermark_owner {
	struct watermark_owner *chain;
	unsigned count; /* of entries */
	char identity[];
};

struct watermarks {
	unsigned max, count, owner_count;
	unsigned bucket_mask; /* of both */
	struct watermark **buckets;
	struct watermark_owner **owners;
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
	w->owners = calloc(w->bucket_mask + 1, sizeof(struct watermark_owner *));
	if (w->buckets == NULL || w->owners == NULL) {
		free(w->buckets);
		free(w->owners);
		free(w);
		return NULL;
	}
	return w;
}

/* Owners. */

static struct watermark_owner **
owner_place(const struct watermarks *w, const char *identity)
{
	struct watermark_owner **at =
	    &w->owners[hash_bytes(identity, strlen(identity), 0) & w->bucket_mask];

	while (*at != NULL && strcmp((*at)->identity, identity) != 0) {
		at = &(*at)->chain;
	}
	return at;
}

/* Made if it is not there; with one entry more.  NULL: no memory. */
static struct watermark_owner *
join_owner(struct watermarks *w, const char *identity)
{
	struct watermark_owner **at = owner_place(w, identity), *o = *at;
	size_t n = strlen(identity) + 1;

	if (o == NULL) {
		o = calloc(1, sizeof *o + n);
		if (o == NULL) {
			return NULL;
		}
		memcpy(o->identity, identity, n);
		*at = o;
		w->owner_count++;
	}
	o->count++;
	return o;
}

static void
leave_owner(struct watermarks *w, struct watermark_owner *o)
{
	if (--o->count == 0) {
		*owner_place(w, o->identity) = o->chain;
		w->owner_count--;
		free(o);
	}
}

/* How many entries each may have when there is no room for more, with this one counted
 * too; *ret_has: how many it has. */
static unsigned
share_of(const struct watermarks *w, const char *identity, unsigned *ret_has)
{
	const struct watermark_owner *o = *owner_place(w, identity);

	*ret_has = o == NULL ? 0 : o->count;
	return w->max / (w->owner_count + (o == NULL ? 1 : 0));
}

/* Entries. */

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

static void
take_out(struct watermarks *w, struct watermark **at)
{
	struct watermark *gone = *at;

	*at = gone->chain;
	w->count--;
	leave_owner(w, gone->owner);
	free(gone);
}

void
watermarks_free(struct watermarks *w)
{
	if (w == NULL) {
		return;
	}
	for (unsigned i = 0; i <= w->bucket_mask; i++) {
		while (w->buckets[i] != NULL) {
			take_out(w, &w->buckets[i]);
		}
	}
	free(w->buckets);
	free(w->owners);
	free(w);
}

/* The place of the entry seen least recently among those that are not held and whose
 * owner has more than `share`; NULL: none. */
static struct watermark **
find_oldest(const struct watermarks *w, unsigned share)
{
	struct watermark **oldest = NULL;

	for (unsigned i = 0; i <= w->bucket_mask; i++) {
		struct watermark **at = &w->buckets[i];
		for (; *at != NULL; at = &(*at)->chain) {
			if ((*at)->holders == 0 && !(*at)->is_moved &&
			    (*at)->owner->count > share &&
			    (oldest == NULL || (*at)->seen_ns < (*oldest)->seen_ns)) {
				oldest = at;
			}
		}
	}
	return oldest;
}

/* Takes out an entry that was silent for long. */
static bool
forget_silent(struct watermarks *w, uint64_t now_ns)
{
	struct watermark **oldest = find_oldest(w, 0);

	if (oldest == NULL || (*oldest)->seen_ns > now_ns ||
	    now_ns - (*oldest)->seen_ns < WATERMARK_SILENT_NS) {
		return false;
	}
	take_out(w, oldest);
	return true;
}

/* Takes out an entry of an owner with more than its share, for one with less. */
static bool
forget_hoarded(struct watermarks *w, const char *identity)
{
	unsigned has, share = share_of(w, identity, &has);
	struct watermark **oldest = has < share ? find_oldest(w, share) : NULL;

	if (oldest == NULL) {
		return false;
	}
	take_out(w, oldest);
	return true;
}

static struct watermark *
make(struct watermarks *w, const char *identity, const uint8_t spool[static 16],
    uint64_t now_ns)
{
	struct watermark **bucket = bucket_of(w, identity, spool);
	struct watermark *m = calloc(1, sizeof *m);

	if (m != NULL) {
		m->owner = join_owner(w, identity);
	}
	if (m == NULL || m->owner == NULL) {
		free(m);
		return NULL;
	}
	m->identity = m->owner->identity;
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
	if (w->count >= w->max && !forget_silent(w, now_ns) &&
	    !forget_hoarded(w, identity)) {
		return NULL;
	}
	return make(w, identity, spool, now_ns);
}

struct watermark *
watermarks_restore(struct watermarks *w, const char *identity,
    const uint8_t spool[static 16], uint64_t now_ns)
{
	if (w->count >= w->max) {
		(void)forget_silent(w, now_ns);
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

#include "collector/udp_source.h"

#include <stdlib.h>

#include "common/hash.h"

struct udp_sources {
	struct udp_source *all, *free;
	struct udp_source **buckets;
	struct udp_source *newest, *oldest;
	unsigned count, mask;
	uint64_t seed;
};

struct udp_sources *
udp_sources_new(unsigned most)
{
	struct udp_sources *s = calloc(1, sizeof *s);
	unsigned buckets = 16;

	if (s == NULL) {
		return NULL;
	}
	while (buckets < most) {
		buckets *= 2;
	}
	s->mask = buckets - 1;
	s->seed = hash_seed();
	s->all = calloc(most, sizeof *s->all);
	s->buckets = calloc(buckets, sizeof(struct udp_source *));
	if (s->all == NULL || s->buckets == NULL) {
		udp_sources_free(s);
		return NULL;
	}
	for (unsigned i = most; i > 0; i--) {
		s->all[i - 1].next = s->free;
		s->free = &s->all[i - 1];
	}
	return s;
}

void
udp_sources_free(struct udp_sources *s)
{
	if (s != NULL) {
		free(s->all);
		free(s->buckets);
		free(s);
	}
}

unsigned
udp_sources_count(const struct udp_sources *s)
{
	return s->count;
}

static struct udp_source **
bucket_of(const struct udp_sources *s, const struct address *a, uint16_t port)
{
	uint64_t hash = hash_bytes(a->bytes, sizeof a->bytes, s->seed + port);

	return &s->buckets[hash & s->mask];
}

struct udp_source *
udp_sources_find(const struct udp_sources *s, const struct address *a, uint16_t port)
{
	struct udp_source *x = *bucket_of(s, a, port);

	while (
	    x != NULL && (x->port != port || memcmp(&x->address, a, sizeof *a) != 0)) {
		x = x->next;
	}
	return x;
}

static void
take_out(struct udp_sources *s, struct udp_source *x)
{
	*(x->newer != NULL ? &x->newer->older : &s->newest) = x->older;
	*(x->older != NULL ? &x->older->newer : &s->oldest) = x->newer;
}

static void
put_first(struct udp_sources *s, struct udp_source *x)
{
	x->newer = NULL;
	x->older = s->newest;
	*(s->newest != NULL ? &s->newest->newer : &s->oldest) = x;
	s->newest = x;
}

struct udp_source *
udp_sources_add(struct udp_sources *s, const struct address *a, uint16_t port,
    uint32_t session, uint64_t now_ns)
{
	struct udp_source **bucket = bucket_of(s, a, port), *x = s->free;

	if (x == NULL) {
		return NULL;
	}
	s->free = x->next;
	*x = (struct udp_source){
	    .address = *a,
	    .port = port,
	    .session = session,
	    .seen_ns = now_ns,
	    .next = *bucket,
	};
	*bucket = x;
	put_first(s, x);
	s->count++;
	return x;
}

void
udp_sources_touch(struct udp_sources *s, struct udp_source *source, uint64_t now_ns)
{
	source->seen_ns = now_ns;
	if (s->newest != source) {
		take_out(s, source);
		put_first(s, source);
	}
}

struct udp_source *
udp_sources_oldest(const struct udp_sources *s)
{
	return s->oldest;
}

void
udp_sources_remove(struct udp_sources *s, struct udp_source *source)
{
	struct udp_source **at = bucket_of(s, &source->address, source->port);

	while (*at != source) {
		at = &(*at)->next;
	}
	*at = source->next;
	take_out(s, source);
	s->count--;
	source->next = s->free;
	s->free = source;
}

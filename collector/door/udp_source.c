#include "collector/door/udp_source.h"

#include <stdlib.h>

#include "common/base/hash.h"

enum { OF_ALL, OF_HOST };

struct order {
	struct udp_source *newest, *oldest;
};

struct udp_host {
	struct address address;
	unsigned count;
	struct order order;
	struct udp_host *next; /* in its bucket, or among the free */
};

struct udp_sources {
	struct udp_source *all, *free;
	struct udp_source **buckets;
	struct udp_host *all_hosts, *free_hosts;
	struct udp_host **host_buckets;
	struct order order;
	unsigned most, count, mask;
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
	s->most = most;
	s->mask = buckets - 1;
	s->seed = hash_seed();
	s->all = calloc(most, sizeof *s->all);
	s->buckets = calloc(buckets, sizeof(struct udp_source *));
	s->all_hosts = calloc(most, sizeof *s->all_hosts);
	s->host_buckets = calloc(buckets, sizeof(struct udp_host *));
	if (s->all == NULL || s->buckets == NULL || s->all_hosts == NULL ||
	    s->host_buckets == NULL) {
		udp_sources_free(s);
		return NULL;
	}
	for (unsigned i = most; i > 0; i--) {
		s->all[i - 1].next = s->free;
		s->free = &s->all[i - 1];
		s->all_hosts[i - 1].next = s->free_hosts;
		s->free_hosts = &s->all_hosts[i - 1];
	}
	return s;
}

void
udp_sources_free(struct udp_sources *s)
{
	if (s != NULL) {
		free(s->all);
		free(s->buckets);
		free(s->all_hosts);
		free(s->host_buckets);
		free(s);
	}
}

unsigned
udp_sources_count(const struct udp_sources *s)
{
	return s->count;
}

static struct udp_source **
bucket_of(const struct udp_sources *s, const struct endpoint *from)
{
	return &s->buckets[hash_bytes(from, sizeof *from, s->seed) & s->mask];
}

struct udp_source *
udp_sources_find(const struct udp_sources *s, const struct endpoint *from)
{
	struct udp_source *x = *bucket_of(s, from);

	while (x != NULL && !endpoint_is_same(&x->from, from)) {
		x = x->next;
	}
	return x;
}

/* Where the host of an address is, or is to be: after the last of its bucket. */
static struct udp_host **
host_place(const struct udp_sources *s, const struct address *a)
{
	struct address host = *a;
	struct udp_host **at;

	address_mask(&host, 32, 64);
	at = &s->host_buckets[hash_bytes(host.bytes, sizeof host.bytes, s->seed) &
			      s->mask];
	while (*at != NULL && memcmp(&(*at)->address, &host, sizeof host) != 0) {
		at = &(*at)->next;
	}
	return at;
}

/* There is one for each source. */
static struct udp_host *
host_take(struct udp_sources *s, const struct address *a)
{
	struct udp_host **at = host_place(s, a), *host = *at;

	if (host == NULL) {
		host = s->free_hosts;
		s->free_hosts = host->next;
		*host = (struct udp_host){.address = *a};
		address_mask(&host->address, 32, 64);
		*at = host;
	}
	host->count++;
	return host;
}

static void
host_leave(struct udp_sources *s, struct udp_host *host)
{
	struct udp_host **at = host_place(s, &host->address);

	if (--host->count == 0) {
		*at = host->next;
		host->next = s->free_hosts;
		s->free_hosts = host;
	}
}

static void
take_out(struct order *o, struct udp_source *x, int of)
{
	struct udp_source *newer = x->links[of].newer, *older = x->links[of].older;

	*(newer != NULL ? &newer->links[of].older : &o->newest) = older;
	*(older != NULL ? &older->links[of].newer : &o->oldest) = newer;
}

static void
put_first(struct order *o, struct udp_source *x, int of)
{
	x->links[of].newer = NULL;
	x->links[of].older = o->newest;
	*(o->newest != NULL ? &o->newest->links[of].newer : &o->oldest) = x;
	o->newest = x;
}

struct udp_source *
udp_sources_add(struct udp_sources *s, const struct endpoint *from, uint32_t session,
    uint64_t now_ns)
{
	struct udp_source **bucket = bucket_of(s, from), *x = s->free;

	if (x == NULL) {
		return NULL;
	}
	s->free = x->next;
	*x = (struct udp_source){
	    .from = *from,
	    .session = session,
	    .seen_ns = now_ns,
	    .host = host_take(s, &from->address),
	    .next = *bucket,
	};
	*bucket = x;
	put_first(&s->order, x, OF_ALL);
	put_first(&x->host->order, x, OF_HOST);
	s->count++;
	return x;
}

void
udp_sources_touch(struct udp_sources *s, struct udp_source *source, uint64_t now_ns)
{
	source->seen_ns = now_ns;
	if (s->order.newest != source) {
		take_out(&s->order, source, OF_ALL);
		put_first(&s->order, source, OF_ALL);
		take_out(&source->host->order, source, OF_HOST);
		put_first(&source->host->order, source, OF_HOST);
	}
}

struct udp_source *
udp_sources_oldest(const struct udp_sources *s)
{
	return s->order.oldest;
}

struct udp_source *
udp_sources_newer(const struct udp_source *source)
{
	return source->links[OF_ALL].newer;
}

struct udp_source *
udp_sources_spare(const struct udp_sources *s, const struct address *a)
{
	const struct udp_host *host = *host_place(s, a);

	return host != NULL && host->count > s->most / UDP_SOURCES_SHARE
		   ? host->order.oldest
		   : s->order.oldest;
}

void
udp_sources_remove(struct udp_sources *s, struct udp_source *source)
{
	struct udp_source **at = bucket_of(s, &source->from);

	while (*at != source) {
		at = &(*at)->next;
	}
	*at = source->next;
	take_out(&s->order, source, OF_ALL);
	take_out(&source->host->order, source, OF_HOST);
	host_leave(s, source->host);
	s->count--;
	source->next = s->free;
	s->free = source;
}

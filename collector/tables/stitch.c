#include "collector/tables/stitch.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "collector/tables/stitch_private.h"
#include "common/base/clock.h"
#include "common/base/hash.h"

#define MAX_CANDIDATES 64 /* the latest of one key that are looked at */

static int
declare(struct layout *l, const char *name, int *ret, struct err *e)
{
	int rc = layout_add_named(l, name, e);

	if (rc >= 0) {
		*ret = rc;
	}
	return rc < 0 ? rc : 0;
}

int
stitch_declare(struct layout *l, struct err *e)
{
	static const char *const addresses[] = {"sourceAddress", "destinationAddress"};
	static const char *const ports[] = {
	    "sourceTransportPort", "destinationTransportPort"};
	int rc = 0;

	if (l->record == NULL || l->record->is_options || l->record->side_count == 0) {
		return -ENOENT;
	}
	for (unsigned i = 0; rc == 0 && i < 2; i++) {
		rc = layout_add_named(l, addresses[i], e);
		if (rc >= 0 && l->fields[rc].kind != KIND_ADDRESS) {
			return -ENOENT;
		}
		if (rc >= 0) {
			l->ends[i] = rc;
			rc = declare(l, ports[i], &l->ports[i], e);
		}
	}
	return rc < 0 ? rc : declare(l, "protocolIdentifier", &l->protocol, e);
}

static void *
map(size_t bytes)
{
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	return p == MAP_FAILED ? NULL : p;
}

struct stitch *
stitch_new(const struct layout *l, const struct stitch_settings *settings,
    stitch_each each, void *data)
{
	struct stitch *s = calloc(1, sizeof *s);

	if (s == NULL) {
		return NULL;
	}
	s->layout = l;
	s->settings = *settings;
	s->each = each;
	s->data = data;
	s->oldest = s->newest = s->free = STITCH_NONE;
	s->stride = (sizeof(struct stitch_waiting) + stitch_row_bytes(l) + 7) / 8 * 8;
	s->mapped = s->stride * (settings->max_waiting + 1);
	for (s->bucket_bits = 4;
	     (uint64_t)1 << s->bucket_bits < settings->max_waiting &&
	     s->bucket_bits < 31;
	     s->bucket_bits++) {
	}
	s->bucket_bytes = sizeof *s->buckets << s->bucket_bits;
	s->pool = map(s->mapped);
	s->buckets = map(s->bucket_bytes); /* number + 1, 0: empty */
	if (s->pool == NULL || s->buckets == NULL || batch_init(&s->out, l, NULL) < 0) {
		stitch_free(s);
		return NULL;
	}
	s->out.nulls[0] = s->out.nulls[1] = &s->out_nulls;
	return s;
}

void
stitch_free(struct stitch *s)
{
	if (s == NULL) {
		return;
	}
	if (s->pool != NULL) {
		munmap(s->pool, s->mapped);
	}
	if (s->buckets != NULL) {
		munmap(s->buckets, s->bucket_bytes);
	}
	batch_done(&s->out);
	free(s);
}

/* Which of a request and its reply an ICMP row is; the request's type stands for both.
 */
static bool
learn_icmp(struct stitch_key *k, unsigned type)
{
	static const uint8_t v4[][2] = {{8, 0}, {13, 14}, {15, 16}, {17, 18}};
	static const uint8_t v6[][2] = {{128, 129}, {139, 140}};
	const uint8_t(*pairs)[2] = k->protocol == IPPROTO_ICMP ? v4 : v6;
	unsigned n = k->protocol == IPPROTO_ICMP ? sizeof v4 / sizeof *v4
						 : sizeof v6 / sizeof *v6;

	for (unsigned i = 0; i < n; i++) {
		if (type == pairs[i][0] || type == pairs[i][1]) {
			k->kind = type == pairs[i][0] ? KIND_REQUEST : KIND_REPLY;
			k->ports[0] = pairs[i][0];
			k->ports[1] = 0;
			return true;
		}
	}
	return false;
}

bool
stitch_make_key(
    const struct stitch *s, const struct stitch_waiting *w, struct stitch_key *ret)
{
	const struct layout *l = s->layout;
	struct address ends[2];
	uint32_t ports[2] = {0, 0};
	int order;

	*ret = (struct stitch_key){.kind = KIND_PLAIN};
	if (l->start < 0 || nulls_has(&w->nulls, l->start)) {
		return false;
	}
	for (unsigned i = 0; i < 2; i++) {
		if (nulls_has(&w->nulls, l->ends[i])) {
			return false;
		}
		memcpy(&ends[i], w->row + l->fields[l->ends[i]].offset / BATCH_ROWS,
		    sizeof ends[i]);
		if (!nulls_has(&w->nulls, l->ports[i])) {
			ports[i] = (uint32_t)stitch_number(l, w->row, l->ports[i]);
		}
	}
	if (!nulls_has(&w->nulls, l->protocol)) {
		ret->protocol = (uint16_t)stitch_number(l, w->row, l->protocol);
	}
	order = memcmp(&ends[0], &ends[1], sizeof ends[0]);
	if (ret->protocol == IPPROTO_ICMP || ret->protocol == IPPROTO_ICMPV6) {
		if (order == 0 || !learn_icmp(ret, ports[1] >> 8)) {
			return false;
		}
	} else {
		order = order != 0 ? order : (int)ports[0] - (int)ports[1];
		ret->ports[0] = ports[order > 0];
		ret->ports[1] = ports[order <= 0];
	}
	ret->is_flipped = order > 0;
	ret->ends[0] = ends[order > 0];
	ret->ends[1] = ends[order <= 0];
	return order != 0;
}

static uint64_t
key_hash(const struct stitch *s, const struct stitch_key *k)
{
	return hash_bytes(k, sizeof *k, s->settings.seed);
}

static uint32_t *
bucket_of(const struct stitch *s, uint64_t hash)
{
	return &s->buckets[hash >> (64 - s->bucket_bits)];
}

/* The other direction's row that waits and starts nearest to this one, or STITCH_NONE.
 * Rows of one key lie in the order they came, whatever the seed. */
static uint32_t
find_partner(const struct stitch *s, const struct stitch_waiting *w)
{
	struct stitch_key k = w->key;
	uint64_t hash, nearest = UINT64_MAX;
	uint32_t found = STITCH_NONE;
	unsigned looked = 0;

	k.is_flipped = !k.is_flipped;
	k.kind = k.kind == KIND_REQUEST ? KIND_REPLY
		 : k.kind == KIND_REPLY ? KIND_REQUEST
					: KIND_PLAIN;
	hash = key_hash(s, &k);
	for (uint32_t i = *bucket_of(s, hash); i != 0 && looked < MAX_CANDIDATES;
	     i = stitch_at(s, i - 1)->next) {
		const struct stitch_waiting *c = stitch_at(s, i - 1);
		uint64_t apart;
		if (c->hash != hash || memcmp(&c->key, &k, sizeof k) != 0) {
			continue;
		}
		looked++;
		apart = c->start > w->start ? (uint64_t)c->start - (uint64_t)w->start
					    : (uint64_t)w->start - (uint64_t)c->start;
		/* At equal distances the one that came first. */
		if (apart <= s->settings.window_ns && apart <= nearest) {
			nearest = apart;
			found = i - 1;
		}
	}
	return found;
}

static void
unlink_waiting(struct stitch *s, uint32_t i)
{
	struct stitch_waiting *w = stitch_at(s, i);

	*(w->previous != 0 ? &stitch_at(s, w->previous - 1)->next
			   : bucket_of(s, w->hash)) = w->next;
	if (w->next != 0) {
		stitch_at(s, w->next - 1)->previous = w->previous;
	}
	*(w->older != STITCH_NONE ? &stitch_at(s, w->older)->newer : &s->oldest) =
	    w->newer;
	*(w->newer != STITCH_NONE ? &stitch_at(s, w->newer)->older : &s->newest) =
	    w->older;
	w->next = s->free;
	s->free = i;
	s->waiting--;
}

void
stitch_send(struct stitch *s)
{
	struct table_moment m = {
	    .filed_ns = s->filed, .is_filed = true, .places = s->places};

	if (s->out.count > 0) {
		s->out.row_count[0] = s->out.count;
		s->each(&s->out, &m, s->data);
	}
	s->out.count = 0;
}

static void
put_out(struct stitch *s, const struct stitch_waiting *w)
{
	const struct layout *l = s->layout;
	unsigned n;

	if (s->out.count == BATCH_ROWS ||
	    memcmp(&s->out_nulls, &w->nulls, sizeof w->nulls) != 0) {
		stitch_send(s);
		s->out_nulls = w->nulls;
	}
	n = s->out.count++;
	for (unsigned i = 0; i < l->count; i++) {
		size_t bytes = stitch_width(&l->fields[i]);
		memcpy(s->out.columns + l->fields[i].offset + n * bytes,
		    w->row + l->fields[i].offset / BATCH_ROWS, bytes);
	}
	s->out.rows[0][n] = (uint8_t)n;
	s->filed[n] = w->filed;
	s->places[n] = w->place;
}

/* Whether a is the initiator of a flow with b. */
static bool
initiates(const struct stitch_waiting *a, const struct stitch_waiting *b)
{
	uint32_t own, other;

	if (a->key.kind != KIND_PLAIN) {
		return a->key.kind == KIND_REQUEST;
	}
	if (a->start != b->start) {
		return a->start < b->start;
	}
	own = a->key.ports[a->key.is_flipped];
	other = a->key.ports[!a->key.is_flipped];
	return own != other ? own > other : !a->key.is_flipped;
}

static void
copy_field(const struct layout *l, struct stitch_waiting *to, int field,
    const struct stitch_waiting *from, int from_field)
{
	memcpy(to->row + l->fields[field].offset / BATCH_ROWS,
	    from->row + l->fields[from_field].offset / BATCH_ROWS,
	    stitch_width(&l->fields[field]));
	to->nulls.words[field / 64] &= ~((uint64_t)1 << (field % 64));
	if (nulls_has(&from->nulls, from_field)) {
		nulls_set(&to->nulls, field);
	}
}

static bool
is_reverse(const struct layout_field *f)
{
	return f->partner >= 0 && (f->side[0] == 'r' || (f->source == SOURCE_ELEMENTS &&
							    f->from[0]->is_reverse));
}

/* The greater number, of those that are there. */
static void
take_greater(const struct layout *l, struct stitch_waiting *to,
    const struct stitch_waiting *from, int field)
{
	if (!nulls_has(&from->nulls, field) &&
	    (nulls_has(&to->nulls, field) || stitch_number(l, from->row, field) >
						 stitch_number(l, to->row, field))) {
		copy_field(l, to, field, from, field);
	}
}

/* From the first start to the last end; what ended last says why. */
static void
join_times(const struct layout *l, struct stitch_waiting *to,
    const struct stitch_waiting *from)
{
	if (l->end >= 0 && l->end_reason >= 0 && !nulls_has(&from->nulls, l->end) &&
	    (nulls_has(&to->nulls, l->end) || stitch_number(l, from->row, l->end) >
						  stitch_number(l, to->row, l->end))) {
		copy_field(l, to, l->end_reason, from, l->end_reason);
	}
	if (l->end >= 0) {
		take_greater(l, to, from, l->end);
	}
	if (from->start < to->start) { /* a reply that was seen before its request */
		copy_field(l, to, l->start, from, l->start);
		to->start = from->start;
		to->filed = from->filed;
	}
}

/* Makes the initiator's row a biflow with the responder's. */
static void
join(const struct layout *l, struct stitch_waiting *to,
    const struct stitch_waiting *from)
{
	join_times(l, to, from);
	for (unsigned i = 0; i < l->count; i++) {
		const struct layout_field *f = &l->fields[i];
		if (is_reverse(f)) {
			copy_field(l, to, (int)i, from, f->partner);
		} else if (f->source == SOURCE_FLOWS) {
			take_greater(l, to, from, (int)i);
		} else if (f->source == SOURCE_DURATION && l->end >= 0 &&
			   !nulls_has(&to->nulls, l->end)) {
			int64_t span = stitch_number(l, to->row, l->end) - to->start;
			stitch_set_number(
			    l, to->row, (int)i, span > 0 ? span / NS_PER_MS : 0);
		} else if (f->source == SOURCE_DURATION) {
			take_greater(l, to, from, (int)i);
		}
	}
}

uint32_t
stitch_take_entry(struct stitch *s)
{
	uint32_t i = s->free;

	if (i == STITCH_NONE) {
		return s->used++;
	}
	s->free = stitch_at(s, i)->next;
	return i;
}

void
stitch_give_back(struct stitch *s, uint32_t i)
{
	stitch_at(s, i)->next = s->free;
	s->free = i;
}

void
stitch_put_alone(struct stitch *s, uint32_t i)
{
	put_out(s, stitch_at(s, i));
	stitch_give_back(s, i);
}

/* The row that waits longest does so no more. */
static void
release(struct stitch *s, uint64_t *count)
{
	put_out(s, stitch_at(s, s->oldest));
	unlink_waiting(s, s->oldest);
	++*count;
}

static void
append(struct stitch *s, uint32_t i)
{
	struct stitch_waiting *w = stitch_at(s, i);
	uint32_t *bucket;

	w->hash = key_hash(s, &w->key);
	bucket = bucket_of(s, w->hash);
	w->previous = 0;
	w->next = *bucket;
	if (*bucket != 0) {
		stitch_at(s, *bucket - 1)->previous = i + 1;
	}
	*bucket = i + 1;
	w->newer = STITCH_NONE;
	w->older = s->newest;
	*(s->newest != STITCH_NONE ? &stitch_at(s, s->newest)->newer : &s->oldest) = i;
	s->newest = i;
	s->waiting++;
}

void
stitch_link(struct stitch *s, uint32_t i)
{
	if (s->waiting == s->settings.max_waiting) {
		release(s, &s->counts.evicted);
	}
	append(s, i);
}

void
stitch_relink(struct stitch *s)
{
	uint32_t next = s->oldest;

	for (uint32_t i = next; i != STITCH_NONE; i = stitch_at(s, i)->newer) {
		*bucket_of(s, stitch_at(s, i)->hash) = 0;
	}
	s->oldest = s->newest = STITCH_NONE;
	s->waiting = 0;
	while (next != STITCH_NONE) {
		uint32_t i = next;
		next = stitch_at(s, i)->newer;
		append(s, i);
	}
}

/* All of it but for which columns are NULL. */
static void
read_row(const struct stitch *s, const struct batch *b, const struct table_moment *m,
    unsigned row, struct stitch_waiting *w)
{
	const struct layout *l = s->layout;

	for (unsigned i = 0; i < l->count; i++) {
		size_t bytes = stitch_width(&l->fields[i]);
		memcpy(w->row + l->fields[i].offset / BATCH_ROWS,
		    b->columns + l->fields[i].offset + row * bytes, bytes);
	}
	w->filed = m->filed_ns[row];
	w->place = m->place + row;
	w->arrival = s->now_ns;
	w->start = l->start >= 0 ? stitch_number(l, w->row, l->start) : 0;
}

static void
add_row(struct stitch *s, uint32_t i, const struct batch *b)
{
	struct stitch_waiting *w = stitch_at(s, i);
	uint32_t k;

	if (!stitch_make_key(s, w, &w->key)) {
		stitch_put_alone(s, i);
		return;
	}
	w->key.exporter = b->exporter;
	w->key.domain = b->domain;
	s->counts.rows++;
	k = find_partner(s, w);
	if (k == STITCH_NONE) {
		stitch_link(s, i);
		return;
	}
	s->counts.pairs++;
	if (initiates(w, stitch_at(s, k))) {
		join(s->layout, w, stitch_at(s, k));
		put_out(s, w);
	} else {
		join(s->layout, stitch_at(s, k), w);
		put_out(s, stitch_at(s, k));
	}
	unlink_waiting(s, k);
	stitch_give_back(s, i);
}

void
stitch_add(struct stitch *s, const struct batch *b, const struct table_moment *m)
{
	for (unsigned group = 0; group < 2; group++) {
		for (unsigned n = 0; n < b->row_count[group]; n++) {
			uint32_t i = stitch_take_entry(s);
			stitch_at(s, i)->nulls = *b->nulls[group];
			read_row(s, b, m, b->rows[group][n], stitch_at(s, i));
			add_row(s, i, b);
		}
	}
	stitch_send(s);
}

/* A clock that was set back makes nothing wait for much longer. */
static bool
is_over(const struct stitch *s)
{
	uint64_t arrival;

	if (s->oldest == STITCH_NONE) {
		return false;
	}
	arrival = stitch_at(s, s->oldest)->arrival;
	return (arrival > s->now_ns ? arrival - s->now_ns : s->now_ns - arrival) >
	       s->settings.window_ns;
}

bool
stitch_pass(struct stitch *s, uint64_t now_ns)
{
	uint32_t before = s->waiting;

	s->now_ns = now_ns;
	while (is_over(s)) {
		release(s, &s->counts.alone);
	}
	stitch_send(s);
	return s->waiting != before;
}

void
stitch_finish(struct stitch *s)
{
	while (s->oldest != STITCH_NONE) {
		release(s, &s->counts.alone);
	}
	stitch_send(s);
}

void
stitch_evict(struct stitch *s)
{
	while (s->oldest != STITCH_NONE) {
		release(s, &s->counts.evicted);
	}
	stitch_send(s);
}

void
stitch_forget(struct stitch *s)
{
	while (s->oldest != STITCH_NONE) {
		unlink_waiting(s, s->oldest);
	}
}

uint64_t
stitch_waiting(const struct stitch *s)
{
	return s->waiting;
}

void
stitch_counts(const struct stitch *s, struct stitch_counts *ret)
{
	*ret = s->counts;
	ret->waiting = s->waiting;
}

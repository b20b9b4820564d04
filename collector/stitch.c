#include "collector/stitch.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "collector/layout_state.h"
#include "common/clock.h"
#include "common/hash.h"

#define NONE           UINT32_MAX
#define MAX_CANDIDATES 64 /* the latest of one key that are looked at */
#define NS_PER_MS      1000000
#define ICMP           1
#define ICMPV6         58

enum kind { KIND_PLAIN, KIND_REQUEST, KIND_REPLY };

/* The lower end first; everything is compared as bytes, so no padding. */
struct key {
	struct address ends[2];
	int64_t exporter, domain;
	uint32_t ports[2];
	uint16_t protocol;
	uint16_t is_flipped; /* the source is ends[1] */
	uint32_t kind;
};

struct waiting {
	uint32_t next, previous; /* of its bucket, the latest first */
	uint32_t older, newer;
	uint64_t hash;
	struct key key;
	int64_t start, filed, place;
	struct layout_nulls nulls;
	uint8_t row[]; /* as in a batch, a row long */
};

struct stitch {
	const struct layout *layout;
	struct stitch_settings settings;
	stitch_each each;
	void *data;
	struct stitch_counts counts;
	uint8_t *pool;
	size_t stride, mapped;
	uint32_t *buckets;
	size_t bucket_bytes;
	unsigned bucket_bits;
	uint32_t used, free; /* entries never touched begin at used */
	uint32_t oldest, newest, waiting;
	/* What goes out: rows with the same NULL fields. */
	struct batch out;
	struct layout_nulls out_nulls;
	int64_t filed[BATCH_ROWS], places[BATCH_ROWS];
};

static int
declare(struct layout *l, const char *name, int *ret, struct err *e)
{
	const struct element *element;
	int rc = layout_add_own(l, name, e);

	if (rc == -ENOENT) {
		element = elements_find_name(l->elements, name);
		rc = element == NULL ? rc
				     : layout_add_element(l, element, NULL, NULL, e);
	}
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
		rc = layout_add_own(l, addresses[i], e);
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

static size_t
row_bytes(const struct layout *l)
{
	return l->bytes / BATCH_ROWS;
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
	s->oldest = s->newest = s->free = NONE;
	s->stride = (sizeof(struct waiting) + row_bytes(l) + 7) / 8 * 8;
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

static struct waiting *
at(const struct stitch *s, uint32_t i)
{
	return (struct waiting *)(void *)(s->pool + i * s->stride);
}

static int64_t
number(const struct layout *l, const uint8_t *row, int field)
{
	int64_t v;
	memcpy(&v, row + l->fields[field].offset / BATCH_ROWS, sizeof v);
	return v;
}

static void
set_number(const struct layout *l, uint8_t *row, int field, int64_t v)
{
	memcpy(row + l->fields[field].offset / BATCH_ROWS, &v, sizeof v);
}

static size_t
width(const struct layout_field *f)
{
	return f->kind == KIND_ADDRESS ? sizeof(struct address) : 8;
}

/* Which of a request and its reply an ICMP row is; the request's type stands for both.
 */
static bool
learn_icmp(struct key *k, unsigned type)
{
	static const uint8_t v4[][2] = {{8, 0}, {13, 14}, {15, 16}, {17, 18}};
	static const uint8_t v6[][2] = {{128, 129}, {139, 140}};
	const uint8_t(*pairs)[2] = k->protocol == ICMP ? v4 : v6;
	unsigned n =
	    k->protocol == ICMP ? sizeof v4 / sizeof *v4 : sizeof v6 / sizeof *v6;

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

/* What tells the partners of a row; false: it can have none. */
static bool
make_key(const struct stitch *s, const struct waiting *w, struct key *ret)
{
	const struct layout *l = s->layout;
	struct address ends[2];
	uint32_t ports[2] = {0, 0};
	int order;

	*ret = (struct key){.kind = KIND_PLAIN};
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
			ports[i] = (uint32_t)number(l, w->row, l->ports[i]);
		}
	}
	if (!nulls_has(&w->nulls, l->protocol)) {
		ret->protocol = (uint16_t)number(l, w->row, l->protocol);
	}
	order = memcmp(&ends[0], &ends[1], sizeof ends[0]);
	if (ret->protocol == ICMP || ret->protocol == ICMPV6) {
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
key_hash(const struct stitch *s, const struct key *k)
{
	return hash_bytes(k, sizeof *k, s->settings.seed);
}

static uint32_t *
bucket_of(const struct stitch *s, uint64_t hash)
{
	return &s->buckets[hash >> (64 - s->bucket_bits)];
}

/* The other direction's row that waits and starts nearest to this one, or NONE.  Rows
 * of one key lie in the order they came, whatever the seed. */
static uint32_t
find_partner(const struct stitch *s, const struct waiting *w)
{
	struct key k = w->key;
	uint64_t hash, nearest = UINT64_MAX;
	uint32_t found = NONE;
	unsigned looked = 0;

	k.is_flipped = !k.is_flipped;
	k.kind = k.kind == KIND_REQUEST ? KIND_REPLY
		 : k.kind == KIND_REPLY ? KIND_REQUEST
					: KIND_PLAIN;
	hash = key_hash(s, &k);
	for (uint32_t i = *bucket_of(s, hash); i != 0 && looked < MAX_CANDIDATES;
	     i = at(s, i - 1)->next) {
		const struct waiting *c = at(s, i - 1);
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
	struct waiting *w = at(s, i);

	*(w->previous != 0 ? &at(s, w->previous - 1)->next : bucket_of(s, w->hash)) =
	    w->next;
	if (w->next != 0) {
		at(s, w->next - 1)->previous = w->previous;
	}
	*(w->older != NONE ? &at(s, w->older)->newer : &s->oldest) = w->newer;
	*(w->newer != NONE ? &at(s, w->newer)->older : &s->newest) = w->older;
	w->next = s->free;
	s->free = i;
	s->waiting--;
}

static void
link_waiting(struct stitch *s, uint32_t i)
{
	struct waiting *w = at(s, i);
	uint32_t *bucket = bucket_of(s, w->hash);

	w->previous = 0;
	w->next = *bucket;
	if (*bucket != 0) {
		at(s, *bucket - 1)->previous = i + 1;
	}
	*bucket = i + 1;
	w->newer = NONE;
	w->older = s->newest;
	*(s->newest != NONE ? &at(s, s->newest)->newer : &s->oldest) = i;
	s->newest = i;
	s->waiting++;
}

static void
send(struct stitch *s)
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
put_out(struct stitch *s, const struct waiting *w)
{
	const struct layout *l = s->layout;
	unsigned n;

	if (s->out.count == BATCH_ROWS ||
	    memcmp(&s->out_nulls, &w->nulls, sizeof w->nulls) != 0) {
		send(s);
		s->out_nulls = w->nulls;
	}
	n = s->out.count++;
	for (unsigned i = 0; i < l->count; i++) {
		size_t bytes = width(&l->fields[i]);
		memcpy(s->out.columns + l->fields[i].offset + n * bytes,
		    w->row + l->fields[i].offset / BATCH_ROWS, bytes);
	}
	s->out.rows[0][n] = (uint8_t)n;
	s->filed[n] = w->filed;
	s->places[n] = w->place;
}

/* Whether a is the initiator of a flow with b. */
static bool
initiates(const struct waiting *a, const struct waiting *b)
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
copy_field(const struct layout *l, struct waiting *to, int field,
    const struct waiting *from, int from_field)
{
	memcpy(to->row + l->fields[field].offset / BATCH_ROWS,
	    from->row + l->fields[from_field].offset / BATCH_ROWS,
	    width(&l->fields[field]));
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
take_greater(
    const struct layout *l, struct waiting *to, const struct waiting *from, int field)
{
	if (!nulls_has(&from->nulls, field) &&
	    (nulls_has(&to->nulls, field) ||
		number(l, from->row, field) > number(l, to->row, field))) {
		copy_field(l, to, field, from, field);
	}
}

/* From the first start to the last end; what ended last says why. */
static void
join_times(const struct layout *l, struct waiting *to, const struct waiting *from)
{
	if (l->end >= 0 && l->end_reason >= 0 && !nulls_has(&from->nulls, l->end) &&
	    (nulls_has(&to->nulls, l->end) ||
		number(l, from->row, l->end) > number(l, to->row, l->end))) {
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
join(const struct layout *l, struct waiting *to, const struct waiting *from)
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
			int64_t span = number(l, to->row, l->end) - to->start;
			set_number(l, to->row, (int)i, span > 0 ? span / NS_PER_MS : 0);
		} else if (f->source == SOURCE_DURATION) {
			take_greater(l, to, from, (int)i);
		}
	}
}

/* There is one entry more than may wait. */
static uint32_t
take_entry(struct stitch *s)
{
	uint32_t i = s->free;

	if (i == NONE) {
		return s->used++;
	}
	s->free = at(s, i)->next;
	return i;
}

static void
evict(struct stitch *s)
{
	put_out(s, at(s, s->oldest));
	unlink_waiting(s, s->oldest);
	s->counts.evicted++;
}

static void
give_back(struct stitch *s, uint32_t i)
{
	at(s, i)->next = s->free;
	s->free = i;
}

static void
read_row(const struct stitch *s, const struct batch *b, const struct table_moment *m,
    unsigned group, unsigned row, struct waiting *w)
{
	const struct layout *l = s->layout;

	w->nulls = *b->nulls[group];
	for (unsigned i = 0; i < l->count; i++) {
		size_t bytes = width(&l->fields[i]);
		memcpy(w->row + l->fields[i].offset / BATCH_ROWS,
		    b->columns + l->fields[i].offset + row * bytes, bytes);
	}
	w->filed = m->filed_ns[row];
	w->place = m->place + row;
	w->start = l->start >= 0 ? number(l, w->row, l->start) : 0;
}

static void
add_row(struct stitch *s, uint32_t i, const struct batch *b)
{
	struct waiting *w = at(s, i);
	uint32_t k;

	if (!make_key(s, w, &w->key)) {
		put_out(s, w);
		give_back(s, i);
		return;
	}
	w->key.exporter = b->exporter;
	w->key.domain = b->domain;
	s->counts.rows++;
	k = find_partner(s, w);
	if (k == NONE) {
		if (s->waiting == s->settings.max_waiting) {
			evict(s);
		}
		w->hash = key_hash(s, &w->key);
		link_waiting(s, i);
		return;
	}
	s->counts.pairs++;
	if (initiates(w, at(s, k))) {
		join(s->layout, w, at(s, k));
		put_out(s, w);
	} else {
		join(s->layout, at(s, k), w);
		put_out(s, at(s, k));
	}
	unlink_waiting(s, k);
	give_back(s, i);
}

void
stitch_add(struct stitch *s, const struct batch *b, const struct table_moment *m)
{
	for (unsigned group = 0; group < 2; group++) {
		for (unsigned n = 0; n < b->row_count[group]; n++) {
			uint32_t i = take_entry(s);
			read_row(s, b, m, group, b->rows[group][n], at(s, i));
			add_row(s, i, b);
		}
	}
	send(s);
}

void
stitch_finish(struct stitch *s)
{
	while (s->oldest != NONE) {
		uint32_t i = s->oldest;
		put_out(s, at(s, i));
		s->counts.alone++;
		unlink_waiting(s, i);
	}
	send(s);
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
}

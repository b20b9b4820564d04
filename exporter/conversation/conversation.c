#include "exporter/conversation/conversation.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/hash.h"
#include "common/base/pages.h"
#include "exporter/conversation/entry.h"
#include "exporter/conversation/expiry.h"
#include "exporter/conversation/lookup.h"

#define BATCH       64u
#define SWEEP_BATCH 16u

struct conversations {
	struct conversations_settings s;
	uint64_t idle_ns[256]; /* by protocol */
	uint64_t seed;
	bool has_begun;    /* there was a packet; the first may be of time 0 */
	uint64_t clock_ns; /* latest time of a packet or tick */
	uint64_t swept_ns; /* what it was at the last sweep */
	uint64_t leap_ns;  /* everything that lives is due when time leaps so far */
	void (*ended)(const struct flow_record *r, void *data);
	void *data;
	struct lookup lookup;
	struct expiry expiry;
	struct entry *pool; /* max_conversations, touched as they come */
	size_t pool_bytes;
	uint32_t touched; /* entries that were ever used */
	uint32_t free;    /* list of ended entries; LOOKUP_NONE: empty */
	struct conversations_counts counts;
};

static uint64_t
at_most(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* The longest time from a packet to the deadline it sets. */
static uint64_t
settle_timeouts(struct conversations *c)
{
	struct conversations_settings *s = &c->s;
	uint64_t longest = 0;

	s->active_ns = at_most(s->active_ns, CONVERSATION_TIMEOUT_MAX_NS);
	s->adaptive_max_ns = at_most(s->adaptive_max_ns, CONVERSATION_TIMEOUT_MAX_NS);
	s->adaptive_min_ns = at_most(s->adaptive_min_ns, s->adaptive_max_ns);
	s->close_grace_ns = at_most(s->close_grace_ns, CONVERSATION_TIMEOUT_MAX_NS);
	for (unsigned i = 0; i < 256; i++) {
		c->idle_ns[i] = s->idle_ns;
	}
	if (s->idle_tcp_ns != 0) {
		c->idle_ns[IPPROTO_TCP] = s->idle_tcp_ns;
	}
	if (s->idle_udp_ns != 0) {
		c->idle_ns[IPPROTO_UDP] = s->idle_udp_ns;
	}
	if (s->idle_icmp_ns != 0) {
		c->idle_ns[IPPROTO_ICMP] = c->idle_ns[IPPROTO_ICMPV6] = s->idle_icmp_ns;
	}
	for (unsigned i = 0; i < 256; i++) {
		uint64_t *idle = &c->idle_ns[i];
		*idle = at_most(*idle, CONVERSATION_TIMEOUT_MAX_NS);
		if (s->is_adaptive) {
			*idle = at_most(*idle, s->adaptive_max_ns);
			*idle = *idle < s->adaptive_min_ns ? s->adaptive_min_ns : *idle;
		}
		longest = *idle > longest ? *idle : longest;
	}
	if (s->is_adaptive) {
		longest = s->adaptive_max_ns;
	}
	return longest > s->close_grace_ns ? longest : s->close_grace_ns;
}

struct conversations *
conversations_new(const struct conversations_settings *s,
    void (*ended)(const struct flow_record *r, void *data), void *data)
{
	struct conversations *c = calloc(1, sizeof *c);
	uint64_t horizon_ns;

	if (c == NULL) {
		return NULL;
	}
	c->s = *s;
	c->ended = ended;
	c->data = data;
	c->seed = hash_seed();
	c->free = LOOKUP_NONE;
	c->s.max_conversations = (uint32_t)at_most(s->max_conversations, INT32_MAX);
	if (c->s.max_conversations == 0) {
		c->s.max_conversations = 1;
	}
	horizon_ns = settle_timeouts(c) + CONVERSATION_DISORDER_NS;
	c->pool_bytes = c->s.max_conversations * sizeof *c->pool;
	c->pool = pages_new(c->pool_bytes);
	expiry_init(&c->expiry, horizon_ns, c->pool, sizeof *c->pool);
	c->leap_ns = expiry_span(&c->expiry);
	if (c->pool == NULL || lookup_init(&c->lookup) < 0) {
		conversations_free(c);
		return NULL;
	}
	return c;
}

void
conversations_free(struct conversations *c)
{
	if (c == NULL) {
		return;
	}
	pages_free(c->pool, c->pool_bytes);
	if (c->lookup.slots != NULL) {
		lookup_done(&c->lookup);
	}
	expiry_done(&c->expiry);
	free(c);
}

static uint32_t
key_hash(const struct conversations *c, const struct packet_key *key)
{
	return (uint32_t)hash_bytes(key, sizeof *key, c->seed);
}

static void
prefetch_entry(const struct entry *v)
{
	__builtin_prefetch(v, 1);
	__builtin_prefetch(&v->side[0], 1);
	__builtin_prefetch(&v->side[1], 1);
}

static uint32_t
number_of(const struct conversations *c, const struct entry *v)
{
	return (uint32_t)(v - c->pool);
}

/* The idle time of an adaptive table: see conversations_settings. */
static uint64_t
adaptive_idle(const struct conversations *c, const struct entry *v)
{
	double idle_ns = entry_adaptive_idle(v, c->s.adaptive_factor);

	if (idle_ns < 0) {
		return c->idle_ns[v->key.protocol];
	}
	if (idle_ns >= (double)c->s.adaptive_max_ns) {
		return c->s.adaptive_max_ns;
	}
	return idle_ns > (double)c->s.adaptive_min_ns ? (uint64_t)idle_ns
						      : c->s.adaptive_min_ns;
}

/* When the conversation ends if no more packets come. */
static uint64_t
due_ns(const struct conversations *c, const struct entry *v)
{
	uint64_t seen_ns = v->start_ns + v->seen;

	if (v->state & ENTRY_CLOSED) {
		return seen_ns + c->s.close_grace_ns;
	}
	if (c->s.is_adaptive) {
		return seen_ns + adaptive_idle(c, v);
	}
	return seen_ns + c->idle_ns[v->key.protocol];
}

static void
send_record(struct conversations *c, const struct entry *v, enum flow_end_reason reason)
{
	struct flow_record r;

	entry_record(v, reason, &r);
	r.interface = c->s.interface;
	c->counts.ended[reason]++;
	c->ended(&r, c->data);
}

/* Ends a conversation: sends its record and frees its entry. */
static void
end_hashed(struct conversations *c, struct entry *v, uint32_t hash,
    enum flow_end_reason reason)
{
	send_record(c, v, reason);
	lookup_remove(&c->lookup, hash, number_of(c, v));
	v->generation++;
	v->state = 0;
	v->opening = c->free;
	c->free = number_of(c, v);
	c->counts.live--;
}

static void
end(struct conversations *c, struct entry *v, enum flow_end_reason reason)
{
	end_hashed(c, v, key_hash(c, &v->key), reason);
}

static enum flow_end_reason
reason_when_due(const struct entry *v)
{
	return v->state & ENTRY_CLOSED ? FLOW_END_DETECTED : FLOW_END_IDLE;
}

/* The conversation that an expiry entry refers to, or NULL when it has ended since. */
static struct entry *
entry_conversation(const struct conversations *c, const struct expiry_entry *e)
{
	struct entry *v = &c->pool[e->number];

	return v->generation == e->generation && v->state & ENTRY_LIVE ? v : NULL;
}

static bool
entry_is_alive(const struct expiry_entry *e, void *data)
{
	return entry_conversation(data, e) != NULL;
}

/* Notes when to look at v.  Entries of ended conversations are dropped before they
 * outnumber the living. */
static int
watch(struct conversations *c, const struct entry *v, uint64_t due)
{
	if (c->expiry.count > 2 * (uint64_t)c->s.max_conversations + EXPIRY_SLOTS) {
		expiry_compact(&c->expiry, entry_is_alive, c);
	}
	return expiry_push(&c->expiry, number_of(c, v), (uint16_t)v->generation,
	    due + CONVERSATION_DISORDER_NS);
}

/* Whether v, taken from the wheel, is due; if not, it goes back into the wheel. */
static bool
is_due(struct conversations *c, struct entry *v)
{
	uint64_t due = due_ns(c, v);

	if (due + CONVERSATION_DISORDER_NS <= c->clock_ns) {
		return true;
	}
	if (watch(c, v, due) < 0) {
		end(c, v, FLOW_END_RESOURCES);
	}
	return false;
}

/* Sends conversations that no packet can extend any more.  Deadlines are extended by
 * the permitted disorder, so that a conversation is not sent before a late packet of it
 * is counted.  In batches, as packets are added, so that waits for lookup slots
 * overlap. */
static void
sweep(struct conversations *c)
{
	struct expiry_entry due[SWEEP_BATCH];
	uint32_t hashes[SWEEP_BATCH];
	uint64_t slot_ns;
	unsigned n;

	c->swept_ns = c->clock_ns;
	do {
		n = 0;
		while (n < SWEEP_BATCH &&
		       expiry_take(&c->expiry, c->clock_ns, &due[n], &slot_ns)) {
			struct entry *v = entry_conversation(c, &due[n]);
			if (v != NULL && is_due(c, v)) {
				hashes[n] = key_hash(c, &v->key);
				lookup_prefetch(&c->lookup, hashes[n++]);
			}
		}
		for (unsigned i = 0; i < n; i++) {
			/* NULL: another entry of it was in the same batch. */
			struct entry *v = entry_conversation(c, &due[i]);
			if (v != NULL) {
				end_hashed(c, v, hashes[i], reason_when_due(v));
			}
		}
	} while (n > 0);
}

/* Makes room by ending the conversation that has been idle longest as far as the wheel
 * knows: the first in the earliest slot without a packet since it was put there. */
static bool
evict(struct conversations *c)
{
	struct expiry_entry e;
	uint64_t slot_ns;

	while (expiry_take(&c->expiry, UINT64_MAX, &e, &slot_ns)) {
		struct entry *v = entry_conversation(c, &e);
		uint64_t due;
		if (v == NULL) {
			continue;
		}
		due = due_ns(c, v);
		if (due <= c->clock_ns) {
			end(c, v, reason_when_due(v));
			return true;
		}
		if (due + CONVERSATION_DISORDER_NS < slot_ns || watch(c, v, due) < 0) {
			end(c, v, FLOW_END_RESOURCES);
			return true;
		}
	}
	return false;
}

/* A free entry, evicting where needed; NULL: no memory.  The one after it in the list
 * is prefetched for the next call. */
static struct entry *
entry_new(struct conversations *c)
{
	struct entry *v;

	if (c->free == LOOKUP_NONE) {
		if (c->touched < c->s.max_conversations) {
			return &c->pool[c->touched++];
		}
		if (!evict(c)) {
			return NULL;
		}
	}
	v = &c->pool[c->free];
	c->free = v->opening;
	if (c->free != LOOKUP_NONE) {
		prefetch_entry(&c->pool[c->free]);
	}
	return v;
}

static void
entry_return(struct conversations *c, struct entry *v)
{
	v->opening = c->free;
	c->free = number_of(c, v);
}

static struct entry *
create(struct conversations *c, const struct packet *p, uint32_t hash, uint64_t now_ns)
{
	struct entry *v = entry_new(c);

	if (v == NULL) {
		return NULL;
	}
	if (lookup_reserve(&c->lookup) < 0) {
		entry_return(c, v);
		return NULL;
	}
	entry_begin(v, p, now_ns);
	if (watch(c, v, now_ns + c->idle_ns[p->key.protocol]) < 0) {
		v->state = 0;
		entry_return(c, v);
		return NULL;
	}
	(void)lookup_add(&c->lookup, hash, number_of(c, v)); /* reserved above */
	c->counts.created++;
	c->counts.live++;
	if (c->counts.live > c->counts.peak) {
		c->counts.peak = c->counts.live;
	}
	return v;
}

static void
close_at(struct conversations *c, struct entry *v, uint64_t now_ns)
{
	v->state |= ENTRY_CLOSED;
	v->seen = now_ns > v->start_ns ? now_ns - v->start_ns : 0;
	/* Without memory, the existing entry at the idle deadline serves. */
	(void)watch(c, v, v->start_ns + v->seen + c->s.close_grace_ns);
}

/* guess: where the conversation was when the batch began. */
static struct entry *
find(const struct conversations *c, const struct packet *p, uint32_t hash,
    uint32_t guess)
{
	uint32_t at = hash, number;

	if (guess != LOOKUP_NONE && c->pool[guess].state & ENTRY_LIVE &&
	    memcmp(&c->pool[guess].key, &p->key, sizeof p->key) == 0) {
		return &c->pool[guess];
	}

	while ((number = lookup_next(&c->lookup, hash, &at)) != LOOKUP_NONE) {
		if (memcmp(&c->pool[number].key, &p->key, sizeof p->key) == 0) {
			return &c->pool[number];
		}
	}
	return NULL;
}

/* The live conversation that p belongs to, after ending what p's time and flags end;
 * NULL: none is left. */
static struct entry *
settle(
    struct conversations *c, struct entry *v, const struct packet *p, uint64_t now_ns)
{
	bool is_full;

	if (now_ns >= due_ns(c, v)) {
		end(c, v, reason_when_due(v));
		return NULL;
	}
	if (v->key.protocol == IPPROTO_TCP && entry_restarts(v, p)) {
		end(c, v, FLOW_END_DETECTED);
		return NULL;
	}
	is_full = stats_is_full(&v->side[p->from_high]);
	if (v->state & ENTRY_CLOSED) {
		if (is_full) {
			end(c, v, FLOW_END_DETECTED);
		}
		return is_full ? NULL : v;
	}
	if (is_full || now_ns >= v->start_ns + c->s.active_ns) {
		send_record(c, v, FLOW_END_ACTIVE);
		entry_begin_segment(v, now_ns);
	}
	return v;
}

static void
flush_live(struct conversations *c)
{
	for (uint32_t i = 0; i < c->touched; i++) {
		struct entry *v = &c->pool[i];
		if (!(v->state & ENTRY_LIVE)) {
			continue;
		}
		if (v->state & ENTRY_CLOSED || due_ns(c, v) <= c->clock_ns) {
			end(c, v, reason_when_due(v));
		} else {
			end(c, v, FLOW_END_FORCED);
		}
	}
}

/* Starts or restarts time.  The wheel holds stale entries only. */
static void
restart_clock(struct conversations *c, uint64_t now_ns)
{
	flush_live(c);
	expiry_compact(&c->expiry, entry_is_alive, c);
	expiry_start(&c->expiry, now_ns);
	c->clock_ns = c->swept_ns = now_ns;
}

/* The time that deadlines are compared with for a packet of time_ns. */
static uint64_t
advance(struct conversations *c, uint64_t time_ns)
{
	time_ns = at_most(time_ns, CONVERSATION_TIME_MAX_NS);
	if (time_ns >= c->clock_ns) {
		c->clock_ns = time_ns;
		if (!c->has_begun) {
			c->has_begun = true;
			restart_clock(c, time_ns);
		} else if (time_ns - c->swept_ns > c->leap_ns) {
			/* If the wheel lagged by years, it would turn slot by slot. */
			sweep(c);
		}
		return time_ns;
	}
	if (c->clock_ns - time_ns > CONVERSATION_STEP_NS) {
		restart_clock(c, time_ns);
		return time_ns;
	}
	if (c->clock_ns - time_ns > CONVERSATION_DISORDER_NS) {
		return c->clock_ns - CONVERSATION_DISORDER_NS;
	}
	return time_ns;
}

static void
add(struct conversations *c, const struct packet *p, uint32_t hash, uint32_t guess)
{
	uint64_t now_ns = advance(c, p->time_ns);
	struct entry *v = find(c, p, hash, guess);

	if (v != NULL) {
		v = settle(c, v, p, now_ns);
	}
	if (v == NULL) {
		v = create(c, p, hash, now_ns);
		if (v == NULL) {
			c->counts.refused++;
			return;
		}
	}
	stats_add(&v->side[p->from_high], p);
	if (!(v->state & ENTRY_CLOSED) && now_ns > v->start_ns + v->seen) {
		v->seen = now_ns - v->start_ns;
	}
	if (v->key.protocol == IPPROTO_TCP && entry_follow_tcp(v, p)) {
		close_at(c, v, now_ns);
	}
}

/* Each packet touches three cache lines at random places: its lookup slot, the
 * conversation's first line and the line of its direction.  Prefetching those of a
 * whole batch before using the first lets the waits overlap.  The number found in
 * advance is only a hint, so an entry created or ended within the batch needs no
 * special case. */
static void
add_batch(struct conversations *c, const struct packet *p, unsigned n)
{
	uint32_t hashes[BATCH], guesses[BATCH];

	for (unsigned i = 0; i < n; i++) {
		hashes[i] = key_hash(c, &p[i].key);
		lookup_prefetch(&c->lookup, hashes[i]);
		c->counts.octets += p[i].octets;
	}
	for (unsigned i = 0; i < n; i++) {
		uint32_t at = hashes[i];
		guesses[i] = lookup_next(&c->lookup, hashes[i], &at);
		if (guesses[i] != LOOKUP_NONE) {
			const struct entry *v = &c->pool[guesses[i]];
			__builtin_prefetch(v, 1);
			__builtin_prefetch(&v->side[p[i].from_high], 1);
		}
	}
	for (unsigned i = 0; i < n; i++) {
		add(c, &p[i], hashes[i], guesses[i]);
	}
	c->counts.packets += n;
}

void
conversations_add(struct conversations *c, const struct packet *p, unsigned n)
{
	while (n > BATCH) {
		add_batch(c, p, BATCH);
		p += BATCH;
		n -= BATCH;
	}
	add_batch(c, p, n);
}

void
conversations_tick(struct conversations *c, uint64_t now_ns)
{
	if (!c->has_begun) {
		return;
	}
	now_ns = at_most(now_ns, CONVERSATION_TIME_MAX_NS);
	if (now_ns > c->clock_ns) {
		c->clock_ns = now_ns;
	}
	sweep(c);
}

void
conversations_flush(struct conversations *c)
{
	flush_live(c);
}

void
conversations_counts(const struct conversations *c, struct conversations_counts *ret)
{
	*ret = c->counts;
}

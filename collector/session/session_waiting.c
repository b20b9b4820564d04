/* Data sets that came before their template, held until it comes, within bounds of time
 * and memory.  They are in one list of all, oldest first, and in one of their domain.
 * Only messages shorten them, never a clock, so that a replay holds and drops the same. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "collector/session/session_private.h"
#include "common/base/clock.h"

#define HELD_NS (30 * NS_PER_MINUTE)
/* No session may fill all of it, and each new template looks at all that its domain
 * holds. */
#define HELD_BYTES         (16u << 20)
#define HELD_SESSION_BYTES (2u << 20)
#define HELD_DOMAIN_BYTES  (1u << 20)
#define HELD_DOMAIN_SETS   4096u

static size_t
size_of(const struct held *h)
{
	return sizeof *h + h->length;
}

/* before: the one before it in its domain's list, or NULL. */
static void
remove_held(struct sessions *s, struct held *h, struct held *before)
{
	struct domain *d = h->domain;

	*(h->older != NULL ? &h->older->newer : &s->held_first) = h->newer;
	*(h->newer != NULL ? &h->newer->older : &s->held_last) = h->older;
	*(before != NULL ? &before->next : &d->held_first) = h->next;
	if (d->held_last == h) {
		d->held_last = before;
	}
	s->held_bytes -= size_of(h);
	d->session->held_bytes -= size_of(h);
	d->held_bytes -= size_of(h);
	d->held_count--;
	s->held_count--;
	free(h);
}

int
waiting_add(struct sessions *s, struct domain *d, const struct waiting_set *w,
    const struct origin *o)
{
	size_t length = cursor_left(&w->set), size = sizeof(struct held) + length;
	struct held *h;

	if (s->held_bytes + size > HELD_BYTES ||
	    d->session->held_bytes + size > HELD_SESSION_BYTES ||
	    d->held_bytes + size > HELD_DOMAIN_BYTES ||
	    d->held_count >= HELD_DOMAIN_SETS) {
		return -ENOSPC;
	}
	h = malloc(size);
	if (h == NULL) {
		return -ENOMEM;
	}
	*h = (struct held){.domain = d,
	    .id = w->id,
	    .arrival_ns = o->arrival_ns,
	    .position = o->position,
	    .clock = o->clock,
	    .length = length,
	    .older = s->held_last};
	if (length > 0) {
		memcpy(h->bytes, w->set.at, length);
	}
	*(s->held_last != NULL ? &s->held_last->newer : &s->held_first) = h;
	s->held_last = h;
	*(d->held_last != NULL ? &d->held_last->next : &d->held_first) = h;
	d->held_last = h;
	s->held_bytes += size;
	d->session->held_bytes += size;
	d->held_bytes += size;
	d->held_count++;
	s->held_count++;
	return 0;
}

/* The oldest of all is the oldest of its domain, too. */
void
waiting_expire(struct sessions *s)
{
	while (s->held_first != NULL && s->now_ns > s->held_first->arrival_ns &&
	       s->now_ns - s->held_first->arrival_ns > HELD_NS) {
		domain_count_drop(s, s->held_first->domain, DROP_NO_TEMPLATE);
		remove_held(s, s->held_first, NULL);
	}
}

void
waiting_drop(struct sessions *s, struct domain *d, bool counts)
{
	while (d->held_first != NULL) {
		if (counts) {
			domain_count_drop(s, d, DROP_NO_TEMPLATE);
		}
		remove_held(s, d->held_first, NULL);
	}
}

void
waiting_release(struct sessions *s, struct domain *d,
    void (*each)(const struct held *h, void *data), void *data)
{
	struct held *h = d->held_first, *before = NULL;
	size_t left = HELD_RELEASE_MOST;

	while (h != NULL) {
		const struct template *t = domain_find_template(s, d, h->id);
		struct held *next = h->next;
		size_t most = t == NULL ? 0 : h->length / t->record_length;
		if (most > left) {
			break;
		}
		if (t != NULL) {
			left -= most;
			each(h, data);
			remove_held(s, h, before);
		} else {
			before = h;
		}
		h = next;
	}
}

#include "collector/protocol/nsel.h"

#include "common/base/clock.h"

/* The interval between updates is whole minutes.  What comes earlier is about a change
 * of the flow's state. */
#define LEAST_AGE_MS 55000u

enum { /* IANA elements; Cisco's is 33002 of NetFlow v9 without the enterprise bit */
	START_MS = 152,
	INITIATOR_OCTETS = 231,
	RESPONDER_OCTETS = 232,
	FIREWALL_EVENT = 233,
	INITIATOR_PACKETS = 298,
	RESPONDER_PACKETS = 299,
	EVENT_MS = 323,
	CISCO_EXTENDED_EVENT = 33002 & ELEMENT_ID_MAX,
};

/* The template's field of this element, if it has this length, or -1. */
static int
find_field(const struct template *t, uint32_t pen, uint16_t id, uint16_t length)
{
	int i = template_find_field(t, pen, id);

	return i >= 0 && t->fields[i].length == length ? i : -1;
}

bool
nsel_is_counter(const struct element *element)
{
	return element->pen == 0 &&
	       (element->id == INITIATOR_OCTETS || element->id == RESPONDER_OCTETS ||
		   element->id == INITIATOR_PACKETS ||
		   element->id == RESPONDER_PACKETS);
}

bool
nsel_is(const struct template *t)
{
	return !t->is_options && find_field(t, 0, FIREWALL_EVENT, 1) >= 0 &&
	       find_field(t, ELEMENT_PEN_CISCO, CISCO_EXTENDED_EVENT, 2) >= 0 &&
	       find_field(t, 0, START_MS, 8) >= 0 && find_field(t, 0, EVENT_MS, 8) >= 0;
}

int
nsel_learn(struct sampling **s, const struct template *t, const struct cursor *fields)
{
	int event = find_field(t, 0, FIREWALL_EVENT, 1);
	int start = find_field(t, 0, START_MS, 8), at = find_field(t, 0, EVENT_MS, 8);
	uint64_t before, now;
	double age, known = sampling_find(*s, SAMPLING_UPDATE_AGE, 0);

	if (event < 0 || start < 0 || at < 0 || fields[event].at[0] != NSEL_UPDATED) {
		return 0;
	}
	before = load_u64(fields[start].at);
	now = load_u64(fields[at].at);
	age = now > before ? (double)(now - before) : 0;
	if (age >= LEAST_AGE_MS && (known <= 0 || age < known)) {
		return sampling_set(s, SAMPLING_UPDATE_AGE, 0, age);
	}
	return 0;
}

int64_t
nsel_update_age(const struct sampling *s)
{
	return (int64_t)sampling_find(s, SAMPLING_UPDATE_AGE, 0) * NS_PER_MS;
}

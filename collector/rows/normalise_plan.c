#include "collector/rows/normalise_plan.h"

#include <stdlib.h>
#include <string.h>

#include "collector/protocol/nsel.h"
#include "common/base/clock.h"

#define TOTAL_COUNTER  2   /* informationElementSemantics */
#define SYSTEM_INIT_MS 160 /* systemInitTimeMilliseconds */

/* Elements; of types, the code is the next. */
#define ICMP_TYPE_CODE_IPV4 32
#define ICMP_TYPE_CODE_IPV6 139
#define ICMP_TYPE_IPV4      176
#define ICMP_TYPE_IPV6      178

#define POST_OCTET_DELTA_COUNT  23
#define POST_PACKET_DELTA_COUNT 24

/* Type and code of ICMP may come as two fields: one after the other they are the bytes
 * of icmpTypeCode. */
static bool
is_type_and_code(const struct element *element, const struct template_field *f)
{
	uint16_t type = element->id == ICMP_TYPE_CODE_IPV4   ? ICMP_TYPE_IPV4
			: element->id == ICMP_TYPE_CODE_IPV6 ? ICMP_TYPE_IPV6
							     : 0;

	return type != 0 && element->pen == 0 && f[0].pen == 0 && f[0].id == type &&
	       f[0].length == 1 && f[1].pen == 0 && f[1].id == type + 1 &&
	       f[1].length == 1;
}

/* The template's first field of this element that can be read: an op for column. */
static bool
find_wire(
    const struct plan *p, const struct element *element, int column, struct op *ret)
{
	const struct template *t = p->of;
	bool is_relative = p->layout->fields[column].kind == KIND_TIME &&
			   layout_relative(element) != RELATIVE_NONE;
	enum op_kind kind = OP_U8;
	uint32_t offset = 0;

	for (unsigned i = 0; i < t->field_count; i++) {
		const struct template_field *f = &t->fields[i];
		if (f->element == element &&
		    (is_relative ? plan_op_for_relative(element, f->length, &kind)
				 : plan_op_for(element, f->length, &kind))) {
			*ret = (struct op){.kind = kind,
			    .field = (uint16_t)i,
			    .length = f->length,
			    .offset = offset,
			    .column = column,
			    .constant = (int64_t)p->layout->fields[column].text_bytes};
			return true;
		}
		if (i + 1 < t->field_count && is_type_and_code(element, f)) {
			*ret = (struct op){.kind = OP_U16,
			    .field = (uint16_t)i,
			    .length = 2,
			    .offset = offset,
			    .column = column};
			return true;
		}
		offset += f->length;
	}
	return false;
}

static bool
find_wire_name(const struct plan *p, const char *name, int column, struct op *ret)
{
	const struct element *element = elements_find_name(p->layout->elements, name);
	return element != NULL && find_wire(p, element, column, ret);
}

static bool
has_reverse(const struct plan *p)
{
	const struct template *t = p->of;

	for (unsigned i = 0; i < t->field_count; i++) {
		const struct element *element = t->fields[i].element;
		if (element == NULL) {
			continue;
		}
		if (element->is_reverse) {
			return true;
		}
		for (unsigned k = 0; k < p->layout->reverse_count; k++) {
			if (p->layout->reverse[k] == element) {
				return true;
			}
		}
	}
	return false;
}

static bool
has_column(const struct plan *p, int column)
{
	return column >= 0 && !nulls_has(&p->nulls[0], column);
}

static void
add_op(struct plan *p, struct op op)
{
	p->ops[p->op_count++] = op;
}

/* Elements that hold what another one of the same field leaves 0: the type and code of
 * ICMP, whose port may be 0; what went out, in records of egress whose counters of what
 * came in are 0. */
static bool
is_stand_in(const struct element *element)
{
	return element->pen == 0 && (element->id == ICMP_TYPE_CODE_IPV4 ||
					element->id == ICMP_TYPE_CODE_IPV6 ||
					element->id == POST_OCTET_DELTA_COUNT ||
					element->id == POST_PACKET_DELTA_COUNT);
}

/* One template may serve IPv4 and IPv6 flows: then either address is 0.  The first
 * field was read; the next one of the list that the template carries stands in for it.
 */
static void
add_stand_ins(struct plan *p, const struct layout_field *f, int column, unsigned next)
{
	for (unsigned k = next; k < f->from_count; k++) {
		bool is_address = f->kind == KIND_ADDRESS;
		struct op op;
		if ((is_address || is_stand_in(f->from[k])) &&
		    find_wire(p, f->from[k], column, &op)) {
			op.kind = is_address ? OP_ADDRESS_ELSE : OP_UINT_ELSE;
			add_op(p, op);
			return;
		}
	}
}

/* Where a record itself says when the exporter started, its uptimes count from there;
 * else they need the message's clock. */
static void
add_uptime(struct plan *p, struct op op)
{
	const struct template *t = p->of;
	uint32_t offset = 0;

	for (unsigned i = 0; i < t->field_count; i++) {
		const struct template_field *f = &t->fields[i];
		if (f->pen == 0 && f->id == SYSTEM_INIT_MS && f->length == 8) {
			op.kind = OP_UPTIME_SINCE;
			op.since = (uint16_t)i;
			op.since_offset = offset;
		}
		offset += f->length;
	}
	p->needs_uptime |= op.kind == OP_UPTIME;
	add_op(p, op);
}

/* Wire operations of the fields that come from elements; what finds none is NULL. */
static void
compile_elements(struct plan *p)
{
	const struct layout *l = p->layout;
	struct op op;

	for (unsigned i = 0; i < l->count; i++) {
		const struct layout_field *f = &l->fields[i];
		bool is_found = false;
		unsigned k = 0;
		while (!is_found && k < f->from_count) {
			is_found = find_wire(p, f->from[k++], (int)i, &op);
		}
		if (is_found && op.kind == OP_UPTIME) {
			add_uptime(p, op);
		} else if (is_found) {
			add_op(p, op);
			add_stand_ins(p, f, (int)i, k);
		} else {
			nulls_set(&p->nulls[0], (int)i);
		}
	}
}

/* Start or end where the template has only the other and a duration: the duration is
 * read into the column.  Nanoseconds in its unit, 0: neither needed nor to be had. */
static int64_t
compile_span(struct plan *p, int column, int other)
{
	struct op op;

	if (column < 0 || other < 0 || !nulls_has(&p->nulls[0], column) ||
	    nulls_has(&p->nulls[0], other)) {
		return 0;
	}
	if (find_wire_name(p, "flowDurationMilliseconds", column, &op)) {
		add_op(p, op);
		return NS_PER_MS;
	}
	if (find_wire_name(p, "flowDurationMicroseconds", column, &op)) {
		add_op(p, op);
		return NS_PER_US;
	}
	return 0;
}

/* Whether a field counts from the start of its flow across records that an active
 * timeout ends.  IANA's totals do.  CERT calls its counters totals too (dataByteCount),
 * but they are of the record, and so is every total of an exporter that sends CERT's
 * elements (YAF): it ends a flow at the active timeout and begins another. */
static bool
is_running_total(const struct plan *p, const struct element *element)
{
	if (element->semantics != TOTAL_COUNTER ||
	    (element->pen != 0 && element->pen != ELEMENT_PEN_REVERSE)) {
		return false;
	}
	for (unsigned i = 0; i < p->of->field_count; i++) {
		if (p->of->fields[i].pen == ELEMENT_PEN_CERT) {
			return false;
		}
	}
	return true;
}

/* What is left to do with columns that were read. */
static void
compile_corrections(struct plan *p, int64_t start_unit, int64_t end_unit)
{
	const struct layout *l = p->layout;
	bool is_event = has_column(p, l->event) && has_column(p, l->start) &&
			has_column(p, l->end) && nsel_is(p->of);
	unsigned wire = p->op_count;

	for (unsigned i = 0; i < wire; i++) {
		const struct op read = p->ops[i];
		const struct layout_field *f = &l->fields[read.column];
		const struct element *element = p->of->fields[read.field].element;
		struct op op = {.column = read.column};
		if (f->source != SOURCE_ELEMENTS || f->kind != KIND_INTEGER) {
			continue;
		}
		if (!f->is_signed && f->width < 8 && read.length > f->width) {
			op.kind = OP_LIMIT;
			op.constant = ((int64_t)1 << (8 * f->width)) - 1;
			add_op(p, op);
		}
		if (is_event && element != NULL && nsel_is_counter(element)) {
			op.kind = OP_UNLESS_UPDATED;
			add_op(p, op);
		}
		if (f->side[0] != '\0' && is_running_total(p, element) &&
		    l->end_reason >= 0 && !nulls_has(&p->nulls[0], l->end_reason)) {
			op.kind = OP_AT_END;
			add_op(p, op);
		}
	}
	if (start_unit > 0) {
		add_op(p,
		    (struct op){
			.kind = OP_START, .column = l->start, .constant = start_unit});
	}
	if (end_unit > 0) {
		add_op(p, (struct op){
			      .kind = OP_END, .column = l->end, .constant = end_unit});
	}
}

/* Wire operations of what is computed, where the wire says it outright. */
static void
compile_sent(struct plan *p, bool sent[static LAYOUT_MAX_FIELDS],
    bool micro[static LAYOUT_MAX_FIELDS])
{
	const struct layout *l = p->layout;
	int64_t start_unit = compile_span(p, l->start, l->end);
	int64_t end_unit = compile_span(p, l->end, l->start);
	bool has_span = l->start >= 0 && l->end >= 0 &&
			!nulls_has(&p->nulls[0], l->start) &&
			!nulls_has(&p->nulls[0], l->end);
	struct op op;

	for (unsigned i = 0; i < l->count; i++) {
		if (l->fields[i].source == SOURCE_FLOWS) {
			sent[i] = find_wire_name(p, "deltaFlowCount", (int)i, &op);
		} else if (l->fields[i].source == SOURCE_DURATION && !has_span) {
			sent[i] =
			    find_wire_name(p, "flowDurationMilliseconds", (int)i, &op);
			if (!sent[i]) {
				sent[i] = micro[i] = find_wire_name(
				    p, "flowDurationMicroseconds", (int)i, &op);
			}
		}
		if (sent[i]) {
			add_op(p, op);
		}
	}
	compile_corrections(p, start_unit, end_unit);
	for (int i = 0; i < 2; i++) {
		int column = i == 0 ? l->start : l->end;
		if ((i == 0 ? start_unit : end_unit) > 0) {
			p->nulls[0].words[column / 64] &=
			    ~((uint64_t)1 << (column % 64));
		}
	}
}

static void
compile_computed(struct plan *p, const bool *sent, const bool *micro)
{
	const struct layout *l = p->layout;
	bool one_way = !has_reverse(p);

	if (l->rate >= 0) {
		add_op(p, (struct op){.kind = OP_RATE, .column = l->rate});
	}
	for (unsigned i = 0; i < l->count; i++) {
		const struct layout_field *f = &l->fields[i];
		struct op op = {.kind = OP_CONSTANT, .column = (int)i, .constant = 1};
		switch (f->source) {
		case SOURCE_ELEMENTS:
			if (!one_way || !f->has_one_way ||
			    nulls_has(&p->nulls[0], f->forward)) {
				continue;
			}
			op.constant = f->one_way;
			break;
		case SOURCE_FLOWS:
			if (!sent[i] &&
			    (has_column(p, l->end_reason) || has_column(p, l->event))) {
				op.kind = OP_FLOWS;
			}
			break;
		case SOURCE_DURATION:
			op.kind = micro[i] ? OP_MICRO_TO_MS : OP_DURATION;
			if (!sent[i] && (l->start < 0 || l->end < 0 ||
					    nulls_has(&p->nulls[0], l->start) ||
					    nulls_has(&p->nulls[0], l->end))) {
				continue;
			}
			break;
		case SOURCE_EXPORTER:
			op.kind = OP_EXPORTER;
			break;
		case SOURCE_DOMAIN:
			op.kind = OP_DOMAIN;
			break;
		case SOURCE_SCALED:
			if (nulls_has(&p->nulls[0], f->scaled_of)) {
				continue;
			}
			op.kind = OP_SCALED;
			op.constant = f->scaled_of;
			break;
		case SOURCE_RATE:
		case SOURCE_GIVEN:
			continue;
		}
		p->nulls[0].words[i / 64] &= ~((uint64_t)1 << (i % 64));
		if (!sent[i] || micro[i]) {
			add_op(p, op);
		}
	}
}

static void
compile_swaps(struct plan *p)
{
	const struct layout *l = p->layout;

	p->direction = l->direction >= 0 && !nulls_has(&p->nulls[0], l->direction)
			   ? l->direction
			   : -1;
	p->nulls[1] = p->nulls[0];
	for (unsigned i = 0; p->direction >= 0 && i < l->count; i++) {
		int k = l->fields[i].partner;
		bool has_i = !nulls_has(&p->nulls[0], (int)i);
		bool has_k = k >= 0 && !nulls_has(&p->nulls[0], k);
		if (k < (int)i || (!has_i && !has_k) ||
		    (l->fields[i].swaps_if_both && !(has_i && has_k))) {
			continue;
		}
		p->swaps[p->swap_count++] = (struct swap){.a = (int)i, .b = k};
		p->nulls[1].words[i / 64] &= ~((uint64_t)1 << (i % 64));
		p->nulls[1].words[k / 64] &= ~((uint64_t)1 << (k % 64));
		if (!has_k) {
			nulls_set(&p->nulls[1], (int)i);
		}
		if (!has_i) {
			nulls_set(&p->nulls[1], k);
		}
	}
	p->nulls_differ = memcmp(&p->nulls[0], &p->nulls[1], sizeof p->nulls[0]) != 0;
}

/* Without the message's clock an uptime does not tell a time. */
static void
compile_undated(struct plan *p)
{
	memcpy(p->undated, p->nulls, sizeof p->undated);
	for (unsigned i = 0; i < p->op_count; i++) {
		enum op_kind kind = p->ops[i].kind;
		int other = kind == OP_START ? p->layout->end
			    : kind == OP_END ? p->layout->start
					     : -1;
		if (kind == OP_UPTIME ||
		    (other >= 0 && nulls_has(&p->undated[0], other))) {
			nulls_set(&p->undated[0], p->ops[i].column);
			nulls_set(&p->undated[1], p->ops[i].column);
		}
	}
}

static bool
has_required(const struct plan *p)
{
	for (unsigned i = 0; i < p->layout->required_count; i++) {
		if (nulls_has(&p->nulls[0], p->layout->required[i])) {
			return false;
		}
	}
	return p->of->is_options == p->layout->record->is_options;
}

/* The bounds of every operation rest on this. */
static bool
lengths_add_up(const struct template *t)
{
	size_t sum = 0;

	for (unsigned i = 0; i < t->field_count; i++) {
		sum +=
		    t->fields[i].length == ELEMENT_VARIABLE ? 1 : t->fields[i].length;
	}
	return sum == t->record_length && sum > 0;
}

/* There was room for all that might be needed; there are many plans. */
static void
shrink(struct plan *p)
{
	struct op *ops = realloc(p->ops, (p->op_count + 1) * sizeof *ops);
	struct swap *swaps = realloc(p->swaps, (p->swap_count + 1) * sizeof *swaps);

	p->ops = ops != NULL ? ops : p->ops;
	p->swaps = swaps != NULL ? swaps : p->swaps;
}

struct plan *
plan_new(const struct layout *l, const struct template *t)
{
	bool sent[LAYOUT_MAX_FIELDS] = {false}, micro[LAYOUT_MAX_FIELDS] = {false};
	struct plan *p = lengths_add_up(t) ? calloc(1, sizeof *p) : NULL;

	if (p == NULL) {
		return NULL;
	}
	p->layout = l;
	p->of = t;
	p->ops = calloc(6 * (size_t)l->count + 1, sizeof *p->ops);
	p->swaps = calloc((size_t)l->count + 1, sizeof *p->swaps);
	if (t->is_variable) {
		p->starts = calloc(t->field_count, sizeof(*p->starts));
		p->lengths = calloc(t->field_count, sizeof *p->lengths);
	}
	if (p->ops == NULL || p->swaps == NULL ||
	    (t->is_variable && (p->starts == NULL || p->lengths == NULL))) {
		plan_free(p);
		return NULL;
	}
	compile_elements(p);
	compile_sent(p, sent, micro);
	compile_computed(p, sent, micro);
	compile_swaps(p);
	compile_undated(p);
	p->is_one_way = p->direction < 0 && !has_reverse(p);
	p->is_usable = has_required(p);
	if (!p->is_usable) { /* records are counted, nothing is read */
		p->op_count = 0;
		p->direction = -1;
	}
	shrink(p);
	return p;
}

size_t
plan_bytes(const struct plan *p)
{
	size_t n =
	    sizeof *p + p->op_count * sizeof *p->ops + p->swap_count * sizeof *p->swaps;

	if (p->starts != NULL) {
		n += p->of->field_count * (sizeof *p->starts + sizeof *p->lengths);
	}
	return n;
}

void
plan_free(struct plan *p)
{
	if (p != NULL) {
		free(p->ops);
		free(p->swaps);
		free(p->starts);
		free(p->lengths);
		free(p);
	}
}

bool
plan_is_usable(const struct plan *p)
{
	return p->is_usable;
}

bool
plan_is_one_way(const struct plan *p)
{
	return p->is_one_way;
}

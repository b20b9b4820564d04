/* What is left of a batch when its fields were read: corrections of columns, and
 * columns that no field of a record is. */
#include <math.h>
#include <string.h>

#include "collector/protocol/nsel.h"
#include "collector/rows/normalise_plan.h"
#include "common/base/clock.h"

#define ACTIVE_TIMEOUT 2 /* flowEndReason */

static void
fill(int64_t *out, unsigned n, int64_t v)
{
	for (unsigned i = 0; i < n; i++) {
		out[i] = v;
	}
}

/* A time from the other and a duration. */
static void
run_span(const struct op *op, const struct batch *b, int64_t *out)
{
	bool is_start = op->kind == OP_START;
	const int64_t *other =
	    batch_values(b, is_start ? b->layout->end : b->layout->start);

	for (unsigned i = 0; i < b->count; i++) {
		int64_t span, sum;
		if (__builtin_mul_overflow(out[i], op->constant, &span)) {
			span = INT64_MAX;
		}
		if (is_start) {
			out[i] = other[i] > span ? other[i] - span : 0;
		} else {
			out[i] = __builtin_add_overflow(other[i], span, &sum)
				     ? INT64_MAX
				     : sum;
		}
	}
}

/* Totals count from the flow's start: those of records that an active timeout ends are
 * in the next one's. */
static void
run_at_end(struct batch *b, int64_t *out)
{
	const int64_t *reason = batch_values(b, b->layout->end_reason);

	for (unsigned i = 0; i < b->count; i++) {
		out[i] = reason[i] == ACTIVE_TIMEOUT ? 0 : out[i];
	}
}

/* The end of a flow that was updated counts nothing that its updates did not. */
static void
run_unless_updated(struct batch *b, int64_t *out)
{
	const int64_t *event = batch_values(b, b->layout->event);
	const int64_t *start = batch_values(b, b->layout->start);
	const int64_t *end = batch_values(b, b->layout->end);
	int64_t age = nsel_update_age(b->sampling);

	for (unsigned i = 0; age > 0 && i < b->count; i++) {
		bool is_old = end[i] > start[i] && end[i] - start[i] >= age;
		out[i] = event[i] == NSEL_ENDED && is_old ? 0 : out[i];
	}
}

/* A flow counts when it ends: neither by the active timeout, nor an event before. */
static void
run_flows(const struct plan *p, struct batch *b, int64_t *out)
{
	const int columns[2] = {b->layout->end_reason, b->layout->event};

	fill(out, b->count, 1);
	for (unsigned k = 0; k < 2; k++) {
		const int64_t *v;
		if (columns[k] < 0 || nulls_has(&p->nulls[0], columns[k])) {
			continue;
		}
		v = batch_values(b, columns[k]);
		for (unsigned i = 0; i < b->count; i++) {
			bool goes_on =
			    k == 0 ? v[i] == ACTIVE_TIMEOUT
				   : v[i] == NSEL_CREATED || v[i] == NSEL_UPDATED;
			out[i] = goes_on ? 0 : out[i];
		}
	}
}

/* An integer that was sent in more bytes than its element has. */
static void
run_limit(struct batch *b, int64_t *out, int64_t limit)
{
	for (unsigned i = 0; i < b->count; i++) {
		if (out[i] < 0 || out[i] > limit) {
			out[i] = limit;
			b->saturated++;
		}
	}
}

/* What a record says of its own sampling, else what is known of its sampler, selector
 * or interface, else of its domain; where it names no sampler, what is known of all of
 * them (Cisco's flow records name it only when they are told to); 1 where nothing is
 * known. */
static double
rate_of_row(const struct batch *b, unsigned row)
{
	const struct layout *l = b->layout;
	const struct {
		int column;
		enum sampling_of of;
	} keys[] = {{l->sampler, SAMPLING_SAMPLER}, {l->selector, SAMPLING_SELECTOR},
	    {l->ingress, SAMPLING_INTERFACE}, {l->egress, SAMPLING_INTERFACE}};
	int64_t inputs[SAMPLING_INPUTS] = {0};
	bool has_sampler = false;
	double rate;

	for (unsigned i = 0; i < SAMPLING_INPUTS; i++) {
		int column = l->rate_inputs[i];
		if (column >= 0 && !nulls_has(b->nulls[0], column)) {
			inputs[i] = batch_values(b, column)[row];
		}
	}
	rate = sampling_rate_of(inputs);
	for (unsigned i = 0; rate <= 0 && b->sampling != NULL && i < 4; i++) {
		if (keys[i].column >= 0 && !nulls_has(b->nulls[0], keys[i].column)) {
			has_sampler |= i < 2;
			rate = sampling_find(b->sampling, keys[i].of,
			    (uint64_t)batch_values(b, keys[i].column)[row]);
		}
	}
	if (rate <= 0) {
		rate = sampling_find(b->sampling, SAMPLING_DOMAIN, 0);
	}
	if (rate <= 0 && !has_sampler) {
		rate = sampling_common(b->sampling);
	}
	return rate > 0 ? rate : 1;
}

static void
run_rate(const struct plan *p, struct batch *b, int64_t *out)
{
	b->nulls[0] = &p->nulls[0];
	for (unsigned i = 0; i < b->count; i++) {
		double rate = rate_of_row(b, i);
		memcpy(&out[i], &rate, sizeof rate);
	}
}

static void
run_scaled(struct batch *b, const int64_t *from, int64_t *out)
{
	const int64_t *rates = batch_values(b, b->layout->rate);

	for (unsigned i = 0; i < b->count; i++) {
		double rate, product;
		memcpy(&rate, &rates[i], sizeof rate);
		product = (double)from[i] * rate;
		if (rate == floor(rate) &&
		    !__builtin_mul_overflow(from[i], (int64_t)rate, &out[i])) {
			continue; /* exact */
		}
		out[i] = product < 0x1p63 ? llround(product) : INT64_MAX;
		b->saturated += product >= 0x1p63;
	}
}

static void
run_duration(const struct batch *b, int64_t *out, unsigned n)
{
	const int64_t *start = batch_values(b, b->layout->start);
	const int64_t *end = batch_values(b, b->layout->end);

	for (unsigned i = 0; i < n; i++) {
		out[i] = end[i] > start[i] ? (end[i] - start[i]) / NS_PER_MS : 0;
	}
}

/* Operations that read no wire bytes. */
void
plan_compute(const struct plan *p, const struct op *op, struct batch *b)
{
	int64_t *out = batch_values(b, op->column);

	switch (op->kind) {
	case OP_CONSTANT:
		fill(out, b->count, op->constant);
		break;
	case OP_EXPORTER:
		fill(out, b->count, b->exporter);
		break;
	case OP_DOMAIN:
		fill(out, b->count, b->domain);
		break;
	case OP_START:
	case OP_END:
		run_span(op, b, out);
		break;
	case OP_RATE:
		run_rate(p, b, out);
		break;
	case OP_SCALED:
		run_scaled(b, batch_values(b, (int)op->constant), out);
		break;
	case OP_AT_END:
		run_at_end(b, out);
		break;
	case OP_LIMIT:
		run_limit(b, out, op->constant);
		break;
	case OP_FLOWS:
		run_flows(p, b, out);
		break;
	case OP_UNLESS_UPDATED:
		run_unless_updated(b, out);
		break;
	case OP_DURATION:
		run_duration(b, out, b->count);
		break;
	case OP_MICRO_TO_MS:
		for (unsigned i = 0; i < b->count; i++) {
			out[i] /= 1000;
		}
		break;
	default:
		break;
	}
}

#include "collector/rows/filter.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "collector/schema/schema_operand.h"
#include "common/base/protocol_names.h"

#define NUMBERS 256u /* that a filter's set can have */

/* Of one condition: what its operands are read with. */
struct reading {
	const struct yaml *yaml;
	const struct layout_field *field;
	enum schema_operator op;
	struct err *e;
};

static bool
is_protocol(const struct layout_field *f)
{
	return f->from_count > 0 && strcmp(f->from[0]->name, "protocolIdentifier") == 0;
}

static int
read_protocol(const struct reading *r, const struct yaml_node *node, int64_t *ret)
{
	const char *nearest;
	int number = protocol_names_find(node->text);

	if (number >= 0) {
		*ret = number;
		return 0;
	}
	nearest = protocol_names_nearest(node->text);
	return yaml_complain(r->yaml, node, r->e,
	    "unknown protocol '%.60s'; did you mean '%s'? (or a number from 0 to 255)",
	    node->text, nearest != NULL ? nearest : "tcp");
}

static int
read_number(const struct reading *r, const struct yaml_node *node, int64_t *ret)
{
	const struct layout_field *f = r->field;
	const struct schema_range range = {
	    .min = f->is_signed ? INT64_MIN : 0,
	    .max = f->is_signed || f->width >= 8 ? INT64_MAX
						 : ((int64_t)1 << 8 * f->width) - 1,
	};

	if (is_protocol(f) && (node->text[0] < '0' || node->text[0] > '9')) {
		return read_protocol(r, node, ret);
	}
	return schema_operand_integer(r->yaml, node, &range, ret, r->e);
}

static int
read_real(const struct reading *r, const struct yaml_node *node, int64_t *ret)
{
	double v = 0;
	int rc = schema_operand_real(r->yaml, node, &v, r->e);

	memcpy(ret, &v, sizeof v);
	*ret = layout_order_real(*ret);
	return rc;
}

/* Whether a field can have addresses of this network: not where all of its elements are
 * IPv4 and the network is IPv6. */
static bool
address_fits(const struct layout_field *f, const struct operand *o)
{
	static const uint8_t zeros[4];
	struct address ipv4;
	bool is_ipv4 = f->from_count > 0;

	for (unsigned i = 0; i < f->from_count; i++) {
		is_ipv4 = is_ipv4 && f->from[i]->type == ELEMENT_IPV4;
	}
	address_from_ipv4(&ipv4, zeros);
	return !is_ipv4 || address_is_ipv4(&o->address) ||
	       address_in_prefix(&ipv4, &o->address, o->bits);
}

static int
read_address(const struct reading *r, const struct yaml_node *node, struct operand *ret)
{
	bool is_prefix = r->op == OPERATOR_PREFIX;

	ret->bits = 128;
	if ((is_prefix ? address_parse_prefix(node->text, &ret->address, &ret->bits)
		       : address_parse(node->text, &ret->address)) < 0) {
		return yaml_complain(r->yaml, node, r->e,
		    is_prefix ? "invalid prefix '%.60s' (expected one such as "
				"10.0.0.0/8 or 2001:db8::/32, with no bits set beyond "
				"its length)"
			      : "invalid IP address '%.60s' (expected one such as "
				"10.0.0.1 or 2001:db8::1)",
		    node->text);
	}
	if (!address_fits(r->field, ret)) {
		return yaml_complain(r->yaml, node, r->e,
		    "'%s' holds IPv4 addresses only, never '%s'", r->field->name,
		    node->text);
	}
	return 0;
}

/* Longer texts are cut before they are compared. */
static int
read_text(const struct reading *r, const struct yaml_node *node, const char **ret)
{
	size_t most = r->field->is_list ? r->field->text_bytes : INTERN_MAX;

	if (strlen(node->text) > most) {
		return yaml_complain(r->yaml, node, r->e,
		    "this text is too long to compare (at most %zu bytes of '%s' are "
		    "kept)",
		    most, r->field->name);
	}
	*ret = node->text;
	return 0;
}

static int
read_operand(const struct reading *r, const struct yaml_node *node, struct operand *ret)
{
	switch (r->field->kind) {
	case KIND_INTEGER:
		return read_number(r, node, &ret->number);
	case KIND_TIME:
		return schema_operand_time(r->yaml, node, &ret->number, r->e);
	case KIND_REAL:
		return read_real(r, node, &ret->number);
	case KIND_MAC:
		return schema_operand_mac(r->yaml, node, &ret->number, r->e);
	case KIND_ADDRESS:
		return read_address(r, node, ret);
	case KIND_TEXT:
		return read_text(r, node, &ret->text);
	}
	return -EINVAL;
}

/* Comparisons of numbers as bounds, short lists of small ones as a set. */
static void
compile_numbers(struct filter *c)
{
	int64_t a = c->operand_count > 0 ? c->operands[0].number : 0;

	c->low = INT64_MIN;
	c->high = INT64_MAX;
	switch (c->op) {
	case OPERATOR_NE:
		c->is_outside = true;
		/* fallthrough */
	case OPERATOR_EQ:
		c->low = c->high = a;
		break;
	case OPERATOR_BELOW:
		c->low = a > INT64_MIN ? INT64_MIN : INT64_MAX;
		c->high = a > INT64_MIN ? a - 1 : INT64_MIN;
		break;
	case OPERATOR_ABOVE:
		c->low = a < INT64_MAX ? a + 1 : INT64_MAX;
		c->high = a < INT64_MAX ? INT64_MAX : INT64_MIN;
		break;
	case OPERATOR_AT_LEAST:
		c->low = a;
		break;
	case OPERATOR_AT_MOST:
		c->high = a;
		break;
	case OPERATOR_BETWEEN:
		c->low = a;
		c->high = c->operands[1].number;
		break;
	case OPERATOR_IN:
		c->is_set = true;
		for (unsigned i = 0; i < c->operand_count; i++) {
			uint64_t v = (uint64_t)c->operands[i].number;
			c->is_set &= v < NUMBERS;
			c->numbers[v % NUMBERS / 64] |= UINT64_C(1) << v % 64;
		}
		break;
	case OPERATOR_PREFIX:
		break;
	}
}

/* Whether the field's kind has this operator. */
static int
check_operator(const struct reading *r, const struct yaml_node *operand)
{
	bool is_text = r->field->kind == KIND_TEXT;

	if (r->op == OPERATOR_PREFIX && r->field->kind != KIND_ADDRESS) {
		return yaml_complain(r->yaml, operand, r->e,
		    "'prefix' compares addresses, and '%s' is not an address",
		    r->field->name);
	}
	if (is_text && r->op != OPERATOR_EQ && r->op != OPERATOR_NE &&
	    r->op != OPERATOR_IN) {
		return yaml_complain(r->yaml, operand, r->e,
		    "'%s' is text, which can be compared only with eq, ne and in",
		    r->field->name);
	}
	return 0;
}

static int
check_bounds(
    const struct reading *r, const struct yaml_node *node, const struct operand *o)
{
	bool is_swapped =
	    r->field->kind == KIND_ADDRESS
		? memcmp(&o[0].address, &o[1].address, sizeof o[0].address) > 0
		: o[0].number > o[1].number;

	return is_swapped ? yaml_complain(r->yaml, node, r->e,
				"'between' needs the lower value first: [LOW, HIGH]")
			  : 0;
}

int
filter_compile(struct filter *f, const struct schema_condition *c,
    const struct layout *l, const struct yaml *y, struct err *e)
{
	const struct reading r = {
	    .yaml = y, .field = &l->fields[f->field], .op = c->op, .e = e};
	const struct yaml_node *o = c->operand;
	unsigned n = o->kind == YAML_LIST ? o->count : 1;
	int rc = check_operator(&r, o);

	if (rc < 0) {
		return rc;
	}
	*f = (struct filter){.field = f->field,
	    .kind = r.field->kind,
	    .op = c->op,
	    .operand_count = n,
	    .operands = calloc(n, sizeof *f->operands)};
	if (f->operands == NULL) {
		return err_set(e, -ENOMEM, "no memory for the conditions of a table");
	}
	for (unsigned i = 0; rc == 0 && i < n; i++) {
		rc = read_operand(
		    &r, o->kind == YAML_LIST ? o->items[i] : o, &f->operands[i]);
	}
	if (rc == 0 && c->op == OPERATOR_BETWEEN) {
		rc = check_bounds(&r, o, f->operands);
	}
	if (rc == 0) {
		compile_numbers(f);
	}
	return rc;
}

void
filter_done(struct filter *c)
{
	free(c->operands);
	c->operands = NULL;
}

/* Whether an order (as memcmp's) against the operands fulfils the operator; of IN each
 * operand is asked alone. */
static inline bool
holds(enum schema_operator op, int order, int order_high)
{
	switch (op) {
	case OPERATOR_EQ:
	case OPERATOR_IN:
		return order == 0;
	case OPERATOR_NE:
		return order != 0;
	case OPERATOR_BELOW:
		return order < 0;
	case OPERATOR_ABOVE:
		return order > 0;
	case OPERATOR_AT_LEAST:
		return order >= 0;
	case OPERATOR_AT_MOST:
		return order <= 0;
	case OPERATOR_BETWEEN:
		return order >= 0 && order_high <= 0;
	case OPERATOR_PREFIX:
		break;
	}
	return false;
}

static bool
address_holds(const struct filter *c, const struct address *a)
{
	const struct operand *o = c->operands;

	if (c->op == OPERATOR_PREFIX) {
		return address_in_prefix(a, &o->address, o->bits);
	}
	for (unsigned i = 0; c->op == OPERATOR_IN && i < c->operand_count; i++) {
		if (memcmp(a, &o[i].address, sizeof *a) == 0) {
			return true;
		}
	}
	if (c->op == OPERATOR_IN) {
		return false;
	}
	return holds(c->op, memcmp(a, &o[0].address, sizeof *a),
	    c->op == OPERATOR_BETWEEN ? memcmp(a, &o[1].address, sizeof *a) : 0);
}

static bool
text_holds(const struct filter *c, const char *text)
{
	for (unsigned i = 0; c->op == OPERATOR_IN && i < c->operand_count; i++) {
		if (strcmp(text, c->operands[i].text) == 0) {
			return true;
		}
	}
	return c->op != OPERATOR_IN &&
	       holds(c->op, strcmp(text, c->operands[0].text), 0);
}

static bool
number_listed(const struct filter *c, int64_t v)
{
	for (unsigned i = 0; i < c->operand_count; i++) {
		if (v == c->operands[i].number) {
			return true;
		}
	}
	return false;
}

static inline bool
number_holds(const struct filter *c, int64_t v)
{
	if (c->op != OPERATOR_IN) {
		return ((v >= c->low) & (v <= c->high)) != c->is_outside;
	}
	if (c->is_set) {
		return (uint64_t)v < NUMBERS && (c->numbers[v / 64] >> v % 64 & 1) != 0;
	}
	return number_listed(c, v);
}

static unsigned
filter_numbers(const struct filter *c, const int64_t *values, uint8_t *rows, unsigned n)
{
	const struct filter f = *c; /* in registers: rows may be anything */
	unsigned kept = 0;

	for (unsigned i = 0; i < n; i++) {
		uint8_t row = rows[i];
		int64_t v = values[row];
		rows[kept] = row;
		kept +=
		    number_holds(&f, f.kind == KIND_REAL ? layout_order_real(v) : v);
	}
	return kept;
}

unsigned
filter_rows(const struct filter *c, const struct batch *b,
    const struct layout_nulls *nulls, uint8_t *rows, unsigned n)
{
	const int64_t *values = batch_values(b, c->field);
	const struct address *addresses = batch_addresses(b, c->field);
	unsigned kept = 0;

	if (nulls_has(nulls, c->field)) {
		return 0;
	}
	if (c->kind != KIND_ADDRESS && c->kind != KIND_TEXT) {
		return filter_numbers(c, values, rows, n);
	}
	for (unsigned i = 0; i < n; i++) {
		uint8_t row = rows[i];
		bool keeps = c->kind == KIND_ADDRESS
				 ? address_holds(c, &addresses[row])
				 : text_holds(c, intern_text(b->intern,
						     (uint32_t)values[row], NULL));
		rows[kept] = row;
		kept += keeps;
	}
	return kept;
}

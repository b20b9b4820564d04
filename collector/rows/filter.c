#include "collector/rows/filter.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "collector/schema/schema_operand.h"

#define COUNT(a) (unsigned)(sizeof(a) / sizeof(a)[0])
#define NUMBERS  256u /* that a filter's set can have */

/* Protocols by the names that people use (IANA protocol numbers). */
static const struct {
	const char *name;
	uint8_t number;
} protocols[] = {
    {"icmp", 1},
    {"igmp", 2},
    {"ipip", 4},
    {"tcp", 6},
    {"egp", 8},
    {"udp", 17},
    {"dccp", 33},
    {"ipv6", 41},
    {"rsvp", 46},
    {"gre", 47},
    {"esp", 50},
    {"ah", 51},
    {"icmp6", 58},
    {"icmpv6", 58},
    {"eigrp", 88},
    {"ospf", 89},
    {"pim", 103},
    {"vrrp", 112},
    {"l2tp", 115},
    {"sctp", 132},
    {"udplite", 136},
};

static bool
is_protocol(const struct layout *l, int field)
{
	return l->fields[field].from_count > 0 &&
	       strcmp(l->fields[field].from[0]->name, "protocolIdentifier") == 0;
}

static int
read_protocol(const struct schema_table *t, const struct yaml_node *node, int64_t *ret,
    struct err *e)
{
	const char *names[COUNT(protocols)], *nearest;

	for (unsigned i = 0; i < COUNT(protocols); i++) {
		names[i] = protocols[i].name;
		if (strcmp(node->text, names[i]) == 0) {
			*ret = protocols[i].number;
			return 0;
		}
	}
	nearest = err_nearest(node->text, names, COUNT(protocols));
	return yaml_complain(t->yaml, node, e,
	    "unknown protocol '%s', did you mean '%s'? A number from 0 to 255 will do, "
	    "too",
	    node->text, nearest != NULL ? nearest : "tcp");
}

/* The numbers that a field can have. */
static struct schema_range
range_of(const struct layout_field *f)
{
	return (struct schema_range){
	    .min = f->is_signed ? INT64_MIN : 0,
	    .max = f->is_signed || f->width >= 8 ? INT64_MAX
						 : ((int64_t)1 << 8 * f->width) - 1,
	};
}

static int
read_number(const struct schema_table *t, const struct yaml_node *node,
    const struct layout *l, int field, int64_t *ret, struct err *e)
{
	const struct schema_range range = range_of(&l->fields[field]);
	char first = node->text[0];

	if (is_protocol(l, field) && (first < '0' || first > '9')) {
		return read_protocol(t, node, ret, e);
	}
	return schema_operand_integer(t->yaml, node, &range, ret, e);
}

static int
read_real(const struct schema_table *t, const struct yaml_node *node, int64_t *ret,
    struct err *e)
{
	double v = 0;
	int rc = schema_operand_real(t->yaml, node, &v, e);

	memcpy(ret, &v, sizeof v);
	*ret = layout_order_real(*ret);
	return rc;
}

static int
read_operand(const struct schema_table *t, const struct yaml_node *node,
    const struct layout *l, struct filter *c, struct operand *ret, struct err *e)
{
	switch (c->kind) {
	case KIND_INTEGER:
		return read_number(t, node, l, c->field, &ret->number, e);
	case KIND_TIME:
		return schema_operand_time(t->yaml, node, &ret->number, e);
	case KIND_REAL:
		return read_real(t, node, &ret->number, e);
	case KIND_MAC:
		return schema_operand_mac(t->yaml, node, &ret->number, e);
	case KIND_ADDRESS:
		if (c->operator== OPERATOR_PREFIX) {
			return address_parse_prefix(
				   node->text, &ret->address, &ret->bits) == 0
				   ? 0
				   : yaml_complain(t->yaml, node, e,
					 "expected a prefix such as 10.0.0.0/8 or "
					 "2001:db8::/32, no bits set behind it");
		}
		return address_parse(node->text, &ret->address) == 0
			   ? 0
			   : yaml_complain(t->yaml, node, e, "expected an IP address");
	case KIND_TEXT:
		ret->text = node->text;
		return 0;
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
	switch (c->operator) {
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

int
filter_compile(const struct schema_table *t, const struct schema_condition *c,
    const struct layout *l, int field, struct filter *ret, struct err *e)
{
	const struct yaml_node *o = c->operand;
	unsigned n = o->kind == YAML_LIST ? o->count : 1;
	int rc = 0;

	*ret = (struct filter){.field = field,
	    .kind = l->fields[field].kind,
	    .operator= c->op,
	    .operand_count = n };
	if (c->op == OPERATOR_PREFIX && ret->kind != KIND_ADDRESS) {
		return yaml_complain(t->yaml, o, e,
		    "'prefix' is for addresses, '%s' is none", l->fields[field].name);
	}
	if (ret->kind == KIND_TEXT &&
	    c->op != OPERATOR_EQ && c->op != OPERATOR_NE && c->op !=
	    OPERATOR_IN) {
		return yaml_complain(t->yaml, o, e,
		    "a text as '%s' compares with eq, ne and in only",
		    l->fields[field].name);
	}
	ret->operands = calloc(n, sizeof *ret->operands);
	if (ret->operands == NULL) {
		return err_set(e, -ENOMEM, "no memory");
	}
	for (unsigned i = 0; rc == 0 && i < n; i++) {
		rc = read_operand(t, o->kind == YAML_LIST ? o->items[i] : o, l, ret,
		    &ret->operands[i], e);
	}
	if (rc == 0) {
		compile_numbers(ret);
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
holds(enum schema_operator operator, int order, int order_high)
{
	switch (operator) {
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

	if (c->operator== OPERATOR_PREFIX) {
		return address_in_prefix(a, &o->address, o->bits);
	}
	for (unsigned i = 0; c->operator== OPERATOR_IN && i<c->operand_count; i++) {
		if (memcmp(a, &o[i].address, sizeof *a) == 0) {
			return true;
		}
	}
	if (c->operator== OPERATOR_IN) {
		return false;
	}
	return holds(c->operator, memcmp(a, &o[0].address, sizeof *a),
	    c->operator== OPERATOR_BETWEEN ? memcmp(a, &o[1].address, sizeof *a) : 0);
}

static bool
text_holds(const struct filter *c, const char *text)
{
	for (unsigned i = 0; c->operator== OPERATOR_IN && i<c->operand_count; i++) {
		if (strcmp(text, c->operands[i].text) == 0) {
			return true;
		}
	}
	return c->operator!= OPERATOR_IN &&
	    holds(c->operator, strcmp(text, c->operands[0].text), 0);
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
	if (c->operator!= OPERATOR_IN) {
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

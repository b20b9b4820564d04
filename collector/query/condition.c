#include "collector/query/condition.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/address.h"
#include "common/base/clock.h"
#include "common/base/digits.h"
#include "common/base/protocol_names.h"

#define IPV4_BITS   96 /* that an IPv4 prefix length gains in the 128-bit form */
#define NS_DIGITS   12 /* a number with fewer digits is hardly nanoseconds since 1970 */
#define NUMERIC_OPS (COMPARE_OPS | 1u << CONDITION_IN)
#define COMPARE_OPS                                                                    \
	(1u << CONDITION_EQ | 1u << CONDITION_NE | 1u << CONDITION_LT |                \
	    1u << CONDITION_LE | 1u << CONDITION_GT | 1u << CONDITION_GE)
#define TEXT_OPS (NUMERIC_OPS | 1u << CONDITION_PREFIX | 1u << CONDITION_LIKE)

static const char *const operator_names[CONDITION_OPERATORS] = {
    "eq", "ne", "lt", "le", "gt", "ge", "in", "prefix", "like"};

static const unsigned operators_of_kind[COLUMN_KINDS] = {
    [COLUMN_ADDRESS] = TEXT_OPS,
    [COLUMN_PREFIX] = TEXT_OPS,
    [COLUMN_TIME_NS] = NUMERIC_OPS,
    [COLUMN_DATE] = TEXT_OPS,
    [COLUMN_INTEGER] = NUMERIC_OPS,
    [COLUMN_REAL] = NUMERIC_OPS,
    [COLUMN_TEXT] = TEXT_OPS,
};

static int
operator_find(const char *name)
{
	for (int i = 0; i < CONDITION_OPERATORS; i++) {
		if (strcmp(operator_names[i], name) == 0) {
			return i;
		}
	}
	return -1;
}

/* What people write who know other programs: a sign where the operator's name goes. */
static int
refuse_sign(const char *text, struct err *e)
{
	static const struct {
		const char *sign, *name;
	} signs[] = {{"<=", "le"}, {">=", "ge"}, {"!=", "ne"}, {"<>", "ne"},
	    {"<", "lt"}, {">", "gt"}, {"==", "eq"}};
	size_t at = strcspn(text, "<>!=");

	for (unsigned i = 0; i < sizeof signs / sizeof signs[0]; i++) {
		size_t n = strlen(signs[i].sign);
		if (strncmp(text + at, signs[i].sign, n) == 0) {
			return err_set(e, -EINVAL,
			    "\"%s\": operators are words, because the shell interprets "
			    "< and >; write %.*s_%s=%s",
			    text, (int)at, text, signs[i].name, text + at + n);
		}
	}
	return 0;
}

/* Splits what stands before the `=` into a column and an operator.  A column may have
 * underscores in its name, so whole names are tried first. */
static int
parse_field(
    const struct table *t, const char *field, struct condition *c, struct err *e)
{
	const char *underscore = strrchr(field, '_'), *nearest;
	char name[128];
	int column = table_column(t, field), op;

	if (column >= 0) {
		c->column = &t->columns[column];
		c->op = CONDITION_EQ;
		return 0;
	}
	if (underscore == NULL ||
	    snprintf(name, sizeof name, "%.*s", (int)(underscore - field), field) >=
		(int)sizeof name) {
		return table_require(t, field, e);
	}
	op = operator_find(underscore + 1);
	column = table_column(t, name);
	if (op >= 0 && column >= 0) {
		c->column = &t->columns[column];
		c->op = (enum condition_operator)op;
		return 0;
	}
	if (column < 0) {
		return table_require(t, op >= 0 ? name : field, e);
	}
	nearest = err_nearest(underscore + 1, operator_names, CONDITION_OPERATORS);
	return err_set(e, -EINVAL,
	    "unknown operator \"%s\" in %s%s%s%s (operators: eq ne lt le gt ge in prefix "
	    "like)",
	    underscore + 1, field, nearest != NULL ? "; did you mean \"" : "",
	    nearest != NULL ? nearest : "", nearest != NULL ? "\"?" : "");
}

int
condition_parse_time(
    const char *text, const char *expected, uint64_t *ret_ns, struct err *e)
{
	size_t digits = strspn(text, "0123456789");
	uint64_t ns;

	if (digits >= NS_DIGITS && text[digits] == '\0') {
		errno = 0;
		ns = strtoull(text, NULL, 10);
		ns = errno != 0 ? UINT64_MAX : ns;
	} else if (clock_parse_iso(text, &ns) < 0) {
		return err_set(
		    e, -EINVAL, "invalid time \"%s\" (expected %s)", text, expected);
	}
	if (ns > INT64_MAX) {
		return err_set(e, -EINVAL,
		    "%s is too late (times end at 2262-04-11T23:47:16Z)", text);
	}
	*ret_ns = ns;
	return 0;
}

static int
set_text(struct sql_value *v, const char *text)
{
	v->type = DATABASE_TEXT;
	v->text = strdup(text);
	return v->text == NULL ? -ENOMEM : 0;
}

static int
parse_address(
    const struct condition *c, const char *text, struct sql_value *v, struct err *e)
{
	struct address a;
	char canonical[ADDRESS_TEXT];

	if (address_parse(text, &a) == 0) {
		address_format(&a, canonical);
		return set_text(v, canonical);
	}
	if (strchr(text, '/') != NULL) {
		return err_set(e, -EINVAL, "\"%s\" is a network; write %s_prefix=%s",
		    text, c->column->name, text);
	}
	return err_set(e, -EINVAL,
	    "invalid address \"%s\" for %s (expected one such as 10.0.0.1 or "
	    "2001:db8::1)",
	    text, c->column->name);
}

/* A network in the form the store has it; an address stays an address. */
static int
parse_prefix(const char *text, struct sql_value *v, struct err *e)
{
	struct address a;
	unsigned bits;
	char canonical[ADDRESS_TEXT + 8];
	size_t n;

	if (address_parse_prefix(text, &a, &bits) < 0) {
		return err_set(e, -EINVAL,
		    "invalid network \"%s\" (expected one such as 10.0.0.0/8 or "
		    "2001:db8::/32, with no bits set beyond its length)",
		    text);
	}
	n = address_format(&a, canonical);
	if (strchr(text, '/') != NULL) {
		bits -= address_is_ipv4(&a) && bits >= IPV4_BITS ? IPV4_BITS : 0;
		snprintf(canonical + n, sizeof canonical - n, "/%u", bits);
	}
	return set_text(v, canonical);
}

static int
parse_protocol(const char *text, struct sql_value *v, struct err *e)
{
	const char *nearest;
	int number = protocol_names_find(text);

	if (number < 0) {
		nearest = protocol_names_nearest(text);
		return err_set(e, -EINVAL,
		    "unknown protocol \"%s\"; did you mean \"%s\"? (or a number from "
		    "0 to 255)",
		    text, nearest != NULL ? nearest : "tcp");
	}
	v->integer = number;
	return 0;
}

/* The greatest number that a column can have is not stored; of these it is known. */
static int64_t
greatest_of(const char *column)
{
	size_t n = strlen(column);

	if (strcmp(column, "protocol") == 0) {
		return UINT8_MAX;
	}
	return n >= 5 && strcmp(column + n - 5, "_port") == 0 ? UINT16_MAX : INT64_MAX;
}

static int
parse_integer(
    const struct condition *c, const char *text, struct sql_value *v, struct err *e)
{
	int64_t most = greatest_of(c->column->name);

	v->type = DATABASE_INTEGER;
	if (most == UINT8_MAX && (*text < '0' || *text > '9')) {
		return parse_protocol(text, v, e);
	}
	return digits_parse(
	    text, most == INT64_MAX ? INT64_MIN : 0, most, &v->integer, e);
}

static int
parse_real(const char *text, struct sql_value *v, struct err *e)
{
	v->type = DATABASE_REAL;
	return digits_parse_real(text, &v->real, e);
}

static int
parse_date(const char *text, struct sql_value *v, struct err *e)
{
	uint64_t ns;
	int rc;

	if (strlen(text) != strlen("2017-04-26")) {
		return err_set(e, -EINVAL,
		    "invalid day \"%s\" (expected one such as 2017-04-26)", text);
	}
	rc = condition_parse_time(text, "a day such as 2017-04-26", &ns, e);
	return rc < 0 ? rc : set_text(v, text);
}

static int
parse_value(
    const struct condition *c, const char *text, struct sql_value *v, struct err *e)
{
	uint64_t ns;
	int rc;

	if (c->op == CONDITION_LIKE) {
		return set_text(v, text);
	}
	switch (c->column->kind) {
	case COLUMN_ADDRESS:
		return c->op == CONDITION_PREFIX ? parse_prefix(text, v, e)
						 : parse_address(c, text, v, e);
	case COLUMN_PREFIX:
		return parse_prefix(text, v, e);
	case COLUMN_TIME_NS:
		rc = condition_parse_time(text, CONDITION_TIMES, &ns, e);
		if (rc == 0) {
			*v = (struct sql_value){
			    .type = DATABASE_INTEGER, .integer = (int64_t)ns};
		}
		return rc;
	case COLUMN_DATE:
		return c->op == CONDITION_PREFIX ? set_text(v, text)
						 : parse_date(text, v, e);
	case COLUMN_INTEGER:
		return parse_integer(c, text, v, e);
	case COLUMN_REAL:
		return parse_real(text, v, e);
	default:
		return set_text(v, text);
	}
}

/* One value, or for `in` those between commas. */
static int
parse_values(struct condition *c, const char *text, struct err *e)
{
	unsigned n = 1;
	int rc = 0;

	for (const char *p = text; c->op == CONDITION_IN && *p != '\0'; p++) {
		n += *p == ',';
	}
	c->values = calloc(n, sizeof *c->values);
	if (c->values == NULL) {
		return -ENOMEM;
	}
	while (rc == 0 && c->count < n) {
		size_t length = n > 1 ? strcspn(text, ",") : strlen(text);
		char *one = strndup(text, length);
		rc = one == NULL ? -ENOMEM
				 : parse_value(c, one, &c->values[c->count], e);
		free(one);
		c->count++;
		text += length + (text[length] == ',');
	}
	return rc;
}

int
condition_parse(
    const struct table *t, const char *text, struct condition *ret, struct err *e)
{
	struct condition c = {0};
	const char *equals = strchr(text, '=');
	char *field;
	int rc = refuse_sign(text, e);

	if (rc < 0) {
		return rc;
	}
	if (equals == NULL || equals == text) {
		return err_set(e, -EINVAL,
		    "invalid condition \"%s\" (expected FIELD=VALUE or FIELD_OP=VALUE, "
		    "such as dst_port_lt=1024)",
		    text);
	}
	field = strndup(text, (size_t)(equals - text));
	rc = field == NULL ? err_set(e, -ENOMEM, "no memory for a condition")
			   : parse_field(t, field, &c, e);
	free(field);
	if (rc < 0) {
		return rc;
	}
	if ((operators_of_kind[c.column->kind] & 1u << c.op) == 0) {
		return err_set(e, -EINVAL,
		    "operator %s compares addresses and text, but %s is a %s; use eq "
		    "ne lt le gt ge in",
		    operator_names[c.op], c.column->name,
		    c.column->kind == COLUMN_TIME_NS ? "time" : "number");
	}
	if (c.column->group == GROUP_COUNT) {
		return err_set(e, -EINVAL,
		    "%s counts rows: use it in --columns with --by, not in a condition",
		    c.column->name);
	}
	err_set(e, -ENOMEM, "no memory for a condition");
	rc = parse_values(&c, equals + 1, e);
	if (rc < 0) {
		condition_done(&c);
		return rc;
	}
	*ret = c;
	return 0;
}

void
condition_done(struct condition *c)
{
	for (unsigned i = 0; i < c->count; i++) {
		free((char *)c->values[i].text);
	}
	free(c->values);
}

/* column = value; a network also holds each address in it. */
static void
add_equal(const struct condition *c, const struct sql_value *v, struct sql *s)
{
	if (c->column->kind == COLUMN_PREFIX && strchr(v->text, '/') == NULL) {
		sql_add(s, "ip_in_prefix(");
		sql_bind(s, v);
		sql_add(s, ", ");
		sql_name(s, c->column->name);
		sql_add(s, ")");
		return;
	}
	sql_name(s, c->column->name);
	sql_add(s, " = ");
	sql_bind(s, v);
}

static void
add_compare(const struct condition *c, struct sql *s)
{
	static const char *const signs[CONDITION_OPERATORS] = {[CONDITION_LT] = "<",
	    [CONDITION_LE] = "<=",
	    [CONDITION_GT] = ">",
	    [CONDITION_GE] = ">="};
	const char *open = "", *close = "";

	if (c->column->kind == COLUMN_ADDRESS || c->column->kind == COLUMN_PREFIX) {
		open = "ip_order(";
		close = ")";
	}
	sql_add(s, "%s", open);
	sql_name(s, c->column->name);
	sql_add(s, "%s %s %s", close, signs[c->op], open);
	sql_bind(s, &c->values[0]);
	sql_add(s, "%s", close);
}

static void
add_prefix(const struct condition *c, struct sql *s)
{
	if (c->column->kind == COLUMN_ADDRESS || c->column->kind == COLUMN_PREFIX) {
		sql_add(s, "ip_in_prefix(");
		sql_name(s, c->column->name);
		sql_add(s, ", ");
		sql_bind(s, &c->values[0]);
		sql_add(s, ")");
		return;
	}
	sql_add(s, "substr(");
	sql_name(s, c->column->name);
	sql_add(s, ", 1, length(");
	sql_bind(s, &c->values[0]);
	sql_add(s, ")) = ");
	sql_bind(s, &c->values[0]);
}

void
condition_add(const struct condition *c, struct sql *s)
{
	sql_add(s, "(");
	switch (c->op) {
	case CONDITION_EQ:
	case CONDITION_NE:
	case CONDITION_IN:
		for (unsigned i = 0; i < c->count; i++) {
			sql_add(s, "%s", i > 0 ? " OR " : "");
			add_equal(c, &c->values[i], s);
		}
		break;
	case CONDITION_PREFIX:
		add_prefix(c, s);
		break;
	case CONDITION_LIKE:
		sql_name(s, c->column->name);
		sql_add(s, " LIKE ");
		sql_bind(s, &c->values[0]);
		break;
	default:
		add_compare(c, s);
	}
	/* A row without a value differs from every value. */
	sql_add(s, c->op == CONDITION_NE ? ") IS NOT TRUE" : ")");
}

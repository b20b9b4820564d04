#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/config/yaml.h"

static struct yaml *doc;
static struct err err;

static int
end(void **state)
{
	(void)state;
	yaml_unload(doc);
	doc = NULL;
	return 0;
}

static const struct yaml_node *
parsed(const char *text)
{
	yaml_unload(doc);
	doc = NULL;
	if (yaml_parse("t.yaml", text, strlen(text), &doc, &err) < 0) {
		fail_msg("%s", err.text);
	}
	return yaml_root(doc);
}

static void
assert_refused(const char *text, const char *sentence)
{
	struct yaml *y = NULL;

	assert_true(yaml_parse("t.yaml", text, strlen(text), &y, &err) < 0);
	assert_null(y);
	assert_string_equal(err.text, sentence);
}

/* A node is parsed before the document that it belongs to is looked at. */
static int
number_of(const struct yaml_node *node, uint64_t max, uint64_t *ret, struct err *e)
{
	return yaml_u64(doc, node, max, ret, e);
}

static int
truth_of(const struct yaml_node *node, bool *ret, struct err *e)
{
	return yaml_bool(doc, node, ret, e);
}

static int
keys_of(
    const struct yaml_node *map, const char *const *known, unsigned n, struct err *e)
{
	return yaml_check_keys(doc, map, known, n, e);
}

static void
map_keeps_keys_and_values_in_order(void **state)
{
	const struct yaml_node *root = parsed("b: 1\na: 2\n");

	(void)state;
	assert_int_equal(root->kind, YAML_MAP);
	assert_int_equal(root->count, 2);
	assert_string_equal(root->keys[0]->text, "b");
	assert_string_equal(root->items[1]->text, "2");
}

static void
list_keeps_its_items_in_order(void **state)
{
	const struct yaml_node *root = parsed("- x\n- [y, z]\n");

	(void)state;
	assert_int_equal(root->kind, YAML_LIST);
	assert_int_equal(root->count, 2);
	assert_string_equal(root->items[1]->items[1]->text, "z");
}

static void
nodes_know_line_and_column(void **state)
{
	const struct yaml_node *root = parsed("a: 1\nb:\n  c: word\n");
	const struct yaml_node *c = yaml_get(yaml_get(root, "b"), "c");

	(void)state;
	assert_int_equal(c->line, 3);
	assert_int_equal(c->column, 6);
}

static void
quoted_scalars_are_not_plain(void **state)
{
	const struct yaml_node *root = parsed("[a, 'a', \"a\", !!str 5]");

	(void)state;
	assert_true(root->items[0]->plain);
	assert_false(root->items[1]->plain);
	assert_false(root->items[2]->plain);
	assert_false(root->items[3]->plain);
}

static void
empty_documents_have_no_root(void **state)
{
	(void)state;
	assert_null(parsed(""));
	assert_null(parsed("# a comment\n"));
	assert_null(parsed("---\n...\n"));
}

static void
empty_map_and_list_have_no_items(void **state)
{
	const struct yaml_node *root = parsed("{a: {}, b: []}");

	(void)state;
	assert_int_equal(root->items[0]->count, 0);
	assert_int_equal(root->items[1]->count, 0);
}

static void
alias_is_the_anchored_node(void **state)
{
	const struct yaml_node *root = parsed("a: &x {k: v}\nb: *x\n");

	(void)state;
	assert_ptr_equal(root->items[0], root->items[1]);
}

static void
later_anchor_of_the_same_name_wins(void **state)
{
	const struct yaml_node *root = parsed("[&x a, &x b, *x]");

	(void)state;
	assert_string_equal(root->items[2]->text, "b");
}

static void
alias_without_anchor_is_refused(void **state)
{
	(void)state;
	assert_refused("a: *x",
	    "t.yaml:1:4: unknown anchor &x (it must be set before this alias)");
}

static void
alias_inside_its_own_anchor_is_refused(void **state)
{
	(void)state;
	assert_refused("a: &x [*x]", "t.yaml:1:8: alias *x contains itself");
}

static void
duplicate_key_is_refused_with_both_places(void **state)
{
	(void)state;
	assert_refused(
	    "a: 1\nb: 2\na: 3\n", "t.yaml:3:1: duplicate key 'a' (first in line 1)");
}

static void
key_that_is_no_word_is_refused(void **state)
{
	(void)state;
	assert_refused("[a]: 1", "t.yaml:1:1: a key must be a word, not a list or map");
	assert_refused(
	    "x: &l [a]\n*l : 1", "t.yaml:2:1: a key must be a word, not a list or map");
}

static void
second_document_is_refused(void **state)
{
	(void)state;
	assert_refused("a: 1\n---\nb: 2\n",
	    "t.yaml:2:1: expected one document, but a second begins here");
}

static void
foreign_tag_is_refused(void **state)
{
	(void)state;
	assert_refused("a: !python/none x", "t.yaml:1:4: unsupported tag !python/none");
}

static void
nul_character_is_refused(void **state)
{
	(void)state;
	assert_refused(
	    "a: \"\\0\"", "t.yaml:1:4: a value must not contain a NUL character");
}

static void
syntax_error_names_its_place(void **state)
{
	(void)state;
	assert_refused("a: [1\nb: 2", "t.yaml:2:2: did not find expected ',' or ']' "
				      "while parsing a flow sequence");
}

static void
bytes_that_are_no_text_are_refused(void **state)
{
	(void)state;
	assert_refused("a: \xff\xfe\n", "t.yaml: byte 3: invalid leading UTF-8 octet");
}

static void
depth_is_bounded(void **state)
{
	char text[200];

	(void)state;
	memset(text, '[', 64);
	memset(text + 64, ']', 64);
	text[128] = '\0';
	assert_non_null(parsed(text));
	memset(text, '[', 65);
	text[65] = '\0';
	assert_refused(text, "t.yaml:1:65: nested deeper than 64 levels");
}

static void
depth_through_aliases_is_bounded(void **state)
{
	char text[400] = "- &a ", closing[40] = "";

	(void)state;
	for (int i = 0; i < 33; i++) {
		strcat(text, "[");
		strcat(closing, "]");
	}
	strcat(text, closing);
	strcat(text, "\n- ");
	strcat(text, "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[");
	strcat(text, "*a");
	strcat(text, closing);
	assert_refused(text, "t.yaml:2:36: nested deeper than 64 levels");
}

/* Ten aliases of ten aliases of ten ... would be a thousand million values. */
static void
values_that_aliases_repeat_are_bounded(void **state)
{
	char text[2000] = "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n";
	size_t n = strlen(text);

	(void)state;
	for (int i = 1; i < 9; i++) {
		n += (size_t)snprintf(text + n, sizeof text - n, "a%d: &a%d [", i, i);
		for (int k = 0; k < 10; k++) {
			n += (size_t)snprintf(text + n, sizeof text - n, "%s*a%d",
			    k == 0 ? "" : ",", i - 1);
		}
		n += (size_t)snprintf(text + n, sizeof text - n, "]\n");
	}
	assert_refused(text, "t.yaml:5:38: more than 100000 values (an alias counts as "
			     "what it repeats)");
}

static void
get_of_an_absent_key_is_null(void **state)
{
	const struct yaml_node *root = parsed("a: 1");

	(void)state;
	assert_null(yaml_get(root, "b"));
	assert_null(yaml_get(root->items[0], "a"));
	assert_null(yaml_get(NULL, "a"));
}

static void
complaint_names_file_line_and_column(void **state)
{
	const struct yaml_node *root = parsed("a: 1\nb: 2");

	(void)state;
	assert_int_equal(
	    yaml_complain(doc, root->items[1], &err, "%s is wrong", "this"), -EINVAL);
	assert_string_equal(err.text, "t.yaml:2:4: this is wrong");
}

static void
unknown_key_is_told_its_nearest(void **state)
{
	static const char *const known[] = {"table", "from", "values"};

	(void)state;
	assert_int_equal(keys_of(parsed("from: x\ntable: y"), known, 3, &err), 0);
	assert_int_equal(keys_of(parsed("from: x\ntabel: y"), known, 3, &err), -EINVAL);
	assert_string_equal(
	    err.text, "t.yaml:2:1: unknown key 'tabel'; did you mean 'table'?");
}

static void
unknown_key_like_no_other_is_told_what_exists(void **state)
{
	static const char *const known[] = {"table", "from", "values", "key"};

	(void)state;
	assert_int_equal(keys_of(parsed("zzz: y"), known, 4, &err), -EINVAL);
	assert_string_equal(err.text,
	    "t.yaml:1:1: unknown key 'zzz' (expected table, from, values ...)");
}

static void
number_is_read_up_to_its_bound(void **state)
{
	uint64_t v = 0;

	(void)state;
	assert_int_equal(
	    number_of(parsed("18446744073709551615"), UINT64_MAX, &v, &err), 0);
	assert_true(v == UINT64_MAX);
	assert_int_equal(
	    number_of(parsed("18446744073709551616"), UINT64_MAX, &v, &err), -EINVAL);
	assert_int_equal(number_of(parsed("129"), 128, &v, &err), -EINVAL);
	assert_string_equal(err.text, "t.yaml:1:1: 129 is too large (maximum 128)");
}

static void
what_is_no_number_is_told_what_was_expected(void **state)
{
	uint64_t v;

	(void)state;
	assert_int_equal(number_of(parsed("-1"), 10, &v, &err), -EINVAL);
	assert_string_equal(err.text,
	    "t.yaml:1:1: invalid number '-1' (expected a whole number such as 15)");
	assert_int_equal(number_of(parsed("[1]"), 10, &v, &err), -EINVAL);
	assert_string_equal(
	    err.text, "t.yaml:1:1: expected a whole number such as 15, not a list");
}

static void
truth_has_several_words(void **state)
{
	static const char *const yes[] = {"true", "yes", "on", "True"};
	static const char *const no[] = {"false", "no", "off", "FALSE"};
	bool v = false;

	(void)state;
	for (int i = 0; i < 4; i++) {
		assert_int_equal(truth_of(parsed(yes[i]), &v, &err), 0);
		assert_true(v);
		assert_int_equal(truth_of(parsed(no[i]), &v, &err), 0);
		assert_false(v);
	}
	assert_int_equal(truth_of(parsed("1"), &v, &err), -EINVAL);
	assert_string_equal(
	    err.text, "t.yaml:1:1: invalid value '1' (expected true or false)");
}

static void
file_is_read_and_named(void **state)
{
	char path[] = "/tmp/flowpair-yaml-XXXXXX";
	int fd = mkstemp(path);

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(write(fd, "a: 1\n", 5), 5);
	close(fd);
	assert_int_equal(yaml_load(path, &doc, &err), 0);
	assert_string_equal(yaml_name(doc), path);
	assert_string_equal(yaml_get(yaml_root(doc), "a")->text, "1");
	unlink(path);
}

static void
missing_file_and_directory_are_named(void **state)
{
	(void)state;
	assert_int_equal(yaml_load("/nowhere/x", &doc, &err), -ENOENT);
	assert_string_equal(err.text, "/nowhere/x: No such file or directory");
	assert_int_equal(yaml_load("/tmp", &doc, &err), -EISDIR);
	assert_string_equal(err.text, "/tmp: Is a directory");
}

static void
endless_file_is_refused(void **state)
{
	(void)state;
	assert_int_equal(yaml_load("/dev/zero", &doc, &err), -E2BIG);
	assert_string_equal(
	    err.text, "/dev/zero: larger than 16 MiB (is it a YAML file?)");
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_teardown(name, end)
	const struct CMUnitTest tests[] = {
	    TEST(map_keeps_keys_and_values_in_order),
	    TEST(list_keeps_its_items_in_order),
	    TEST(nodes_know_line_and_column),
	    TEST(quoted_scalars_are_not_plain),
	    TEST(empty_documents_have_no_root),
	    TEST(empty_map_and_list_have_no_items),
	    TEST(alias_is_the_anchored_node),
	    TEST(later_anchor_of_the_same_name_wins),
	    TEST(alias_without_anchor_is_refused),
	    TEST(alias_inside_its_own_anchor_is_refused),
	    TEST(duplicate_key_is_refused_with_both_places),
	    TEST(key_that_is_no_word_is_refused),
	    TEST(second_document_is_refused),
	    TEST(foreign_tag_is_refused),
	    TEST(nul_character_is_refused),
	    TEST(syntax_error_names_its_place),
	    TEST(bytes_that_are_no_text_are_refused),
	    TEST(depth_is_bounded),
	    TEST(depth_through_aliases_is_bounded),
	    TEST(values_that_aliases_repeat_are_bounded),
	    TEST(get_of_an_absent_key_is_null),
	    TEST(complaint_names_file_line_and_column),
	    TEST(unknown_key_is_told_its_nearest),
	    TEST(unknown_key_like_no_other_is_told_what_exists),
	    TEST(number_is_read_up_to_its_bound),
	    TEST(what_is_no_number_is_told_what_was_expected),
	    TEST(truth_has_several_words),
	    TEST(file_is_read_and_named),
	    TEST(missing_file_and_directory_are_named),
	    TEST(endless_file_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

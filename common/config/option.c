#include "common/config/option.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "common/config/option_private.h"
#include "common/config/yaml.h"

#define SHOWN     80 /* of a word in a sentence */
#define NAMES_MAX 256

/* One option of the command line, kept until the file has been read. */
struct given {
	const struct option *option;
	const char *text;
};

struct parser {
	const struct option_program *program;
	void *config;
	struct option_builtin builtin;
	struct given *given;
	unsigned count;
	struct option_list *words;
	struct err *e;
};

static void *
value_of(struct parser *p, const struct option *o)
{
	return option_place(p->program, o, p->config, &p->builtin);
}

static const struct option *
find_name(const struct option_program *program, const char *name, size_t length)
{
	const struct option *o;

	for (unsigned i = 0; (o = option_at(program, i)) != NULL; i++) {
		if (strncmp(o->name, name, length) == 0 && o->name[length] == '\0') {
			return o;
		}
	}
	return NULL;
}

static const struct option *
find_letter(const struct option_program *program, char letter)
{
	const struct option *o;

	for (unsigned i = 0; (o = option_at(program, i)) != NULL; i++) {
		if (o->letter == letter && letter != '\0') {
			return o;
		}
	}
	return NULL;
}

/* The option that a misspelt name probably means: the nearest, else the first that begins
 * or ends with it. */
static const char *
nearest_name(const struct option_program *program, const char *name)
{
	const char *names[NAMES_MAX];
	const struct option *o;
	const char *nearest;
	size_t length = strlen(name);
	unsigned n = 0;

	for (unsigned i = 0; n < NAMES_MAX && (o = option_at(program, i)) != NULL;
	     i++) {
		names[n++] = o->name;
	}
	nearest = err_nearest(name, names, n);
	for (unsigned i = 0; nearest == NULL && length > 1 && i < n; i++) {
		size_t other = strlen(names[i]);
		if (strncmp(names[i], name, length) == 0 ||
		    (other > length && names[i][other - length - 1] == '-' &&
			strcmp(names[i] + other - length, name) == 0)) {
			nearest = names[i];
		}
	}
	return nearest;
}

static int
unknown_option(struct parser *p, const char *word, size_t length)
{
	char name[SHOWN + 1];
	const char *nearest;

	length = length < SHOWN ? length : SHOWN;
	memcpy(name, word, length);
	name[length] = '\0';
	nearest = nearest_name(p->program, name);
	if (nearest != NULL) {
		return err_set(p->e, -EINVAL, "unknown option --%s; did you mean --%s?",
		    name, nearest);
	}
	return err_set(p->e, -EINVAL, "unknown option --%s (see '%s --help')", name,
	    p->program->name);
}

static int
add_given(struct parser *p, const struct option *o, const char *text)
{
	struct given *more = realloc(p->given, (p->count + 1) * sizeof more[0]);

	if (more == NULL) {
		return err_set(p->e, -ENOMEM, "out of memory");
	}
	more[p->count++] = (struct given){.option = o, .text = text};
	p->given = more;
	return 0;
}

static int
needs_value(struct parser *p, const struct option *o)
{
	char argument[128];

	return err_set(p->e, -EINVAL, "--%s needs a value: --%s %s", o->name, o->name,
	    option_argument(o, argument, sizeof argument));
}

/* "--name", "--name=value", "--name value", "--no-flag".  *i moves on when the next
 * word is the value. */
static int
parse_long(struct parser *p, char **argv, int *i)
{
	const char *word = argv[*i] + 2, *equals = strchr(word, '=');
	size_t length = equals == NULL ? strlen(word) : (size_t)(equals - word);
	const struct option *o = find_name(p->program, word, length);

	if (o == NULL && strncmp(word, "no-", 3) == 0) {
		o = find_name(p->program, word + 3, length - 3);
		if (o != NULL && o->kind == OPTION_FLAG && equals == NULL) {
			return add_given(p, o, "false");
		}
		if (o != NULL) {
			return err_set(p->e, -EINVAL,
			    "--no-%s: only options without a value can be turned off",
			    o->name);
		}
	}
	if (o == NULL) {
		return unknown_option(p, word, length);
	}
	if (equals != NULL) {
		return add_given(p, o, equals + 1);
	}
	if (o->kind == OPTION_FLAG) {
		return add_given(p, o, "true");
	}
	if (argv[*i + 1] == NULL) {
		return needs_value(p, o);
	}
	return add_given(p, o, argv[++*i]);
}

/* "-f", "-abc" (flags), "-nvalue", "-n value". */
static int
parse_letters(struct parser *p, char **argv, int *i)
{
	for (const char *at = argv[*i] + 1; *at != '\0'; at++) {
		const struct option *o = find_letter(p->program, *at);
		int rc;
		if (o == NULL) {
			return err_set(p->e, -EINVAL,
			    "unknown option -%c (see '%s --help')", *at,
			    p->program->name);
		}
		if (o->kind != OPTION_FLAG) {
			if (at[1] != '\0') {
				return add_given(p, o, at + 1);
			}
			return argv[*i + 1] != NULL ? add_given(p, o, argv[++*i])
						    : needs_value(p, o);
		}
		rc = add_given(p, o, "true");
		if (rc < 0) {
			return rc;
		}
	}
	return 0;
}

static int
add_word(struct parser *p, const char *word)
{
	static const struct option words = {.name = "", .kind = OPTION_LIST};

	if (p->program->operands == NULL || p->words == NULL) {
		return err_set(p->e, -EINVAL,
		    "unexpected argument '%.*s': %s accepts only options (see '%s --help')",
		    SHOWN, word, p->program->name, p->program->name);
	}
	return option_value_parse(&words, word, p->words, p->e);
}

static int
parse_command_line(struct parser *p, char **argv)
{
	bool only_words = false;
	int rc = 0;

	for (int i = argv[0] != NULL; argv[i] != NULL && rc == 0; i++) {
		const char *word = argv[i];
		if (only_words || word[0] != '-' || word[1] == '\0') {
			rc = add_word(p, word);
		} else if (word[1] != '-') {
			rc = parse_letters(p, argv, &i);
		} else if (word[2] == '\0') {
			only_words = true;
		} else {
			rc = parse_long(p, argv, &i);
		}
	}
	return rc;
}

static size_t
size_of(enum option_kind kind)
{
	switch (kind) {
	case OPTION_FLAG:
		return sizeof(bool);
	case OPTION_STRING:
		return sizeof(const char *);
	case OPTION_LIST:
		return sizeof(struct option_list);
	case OPTION_CHOICE:
		return sizeof(unsigned);
	default:
		return sizeof(uint64_t);
	}
}

static void
set_zero(struct parser *p)
{
	const struct option *o;

	for (unsigned i = 0; (o = option_at(p->program, i)) != NULL; i++) {
		memset(value_of(p, o), 0, size_of(o->kind));
	}
}

static int
set_defaults(struct parser *p)
{
	const struct option *o;

	for (unsigned i = 0; (o = option_at(p->program, i)) != NULL; i++) {
		int rc;
		if (o->standard == NULL) {
			continue;
		}
		rc = option_value_parse(o, o->standard, value_of(p, o), p->e);
		if (rc < 0) {
			return err_prefix(p->e, rc, "default of --%s", o->name);
		}
	}
	return 0;
}

/* Sets the values from the command line.  The first value of a list replaces the list. */
static int
set_given(struct parser *p, bool only_builtins)
{
	for (unsigned i = 0; i < p->count; i++) {
		const struct option *o = p->given[i].option;
		unsigned before = 0;
		int rc;
		if (only_builtins && !option_is_builtin(o)) {
			continue;
		}
		while (before < i && p->given[before].option != o) {
			before++;
		}
		if (o->kind == OPTION_LIST && before == i) {
			option_value_clear(o, value_of(p, o));
		}
		rc = option_value_parse(o, p->given[i].text, value_of(p, o), p->e);
		if (rc < 0) {
			return err_prefix(p->e, rc, "--%s", o->name);
		}
	}
	return 0;
}

static int
set_from_node(struct parser *p, const struct yaml *y, const struct option *o,
    const struct yaml_node *node)
{
	struct err why;

	if (node->kind != YAML_SCALAR) {
		return yaml_complain(y, node, p->e, "%s needs one value, not a %s",
		    o->name, node->kind == YAML_LIST ? "list" : "map");
	}
	if (node->plain && node->text[0] == '\0') {
		return yaml_complain(y, node, p->e, "%s has no value", o->name);
	}
	if (option_value_parse(o, node->text, value_of(p, o), &why) < 0) {
		return yaml_complain(y, node, p->e, "%s: %s", o->name, why.text);
	}
	return 0;
}

static int
set_list_from_node(struct parser *p, const struct yaml *y, const struct option *o,
    const struct yaml_node *node)
{
	int rc = 0;

	option_value_clear(o, value_of(p, o));
	if (node->kind != YAML_LIST) {
		return set_from_node(p, y, o, node);
	}
	for (unsigned i = 0; i < node->count && rc == 0; i++) {
		rc = set_from_node(p, y, o, node->items[i]);
	}
	return rc;
}

static int
set_key(struct parser *p, const struct yaml *y, const struct yaml_node *key,
    const struct yaml_node *value)
{
	const struct option *o = find_name(p->program, key->text, strlen(key->text));
	const char *nearest;

	if (o == NULL) {
		nearest = nearest_name(p->program, key->text);
		return yaml_complain(y, key, p->e,
		    nearest == NULL ? "unknown option '%.*s'"
				    : "unknown option '%.*s'; did you mean '%s'?",
		    SHOWN, key->text, nearest);
	}
	if (option_is_builtin(o) && o->kind != OPTION_CHOICE) {
		return yaml_complain(
		    y, key, p->e, "%s is allowed only on the command line", o->name);
	}
	return o->kind == OPTION_LIST ? set_list_from_node(p, y, o, value)
				      : set_from_node(p, y, o, value);
}

static int
read_file(struct parser *p, const char *path)
{
	struct yaml *y = NULL;
	const struct yaml_node *root;
	int rc = yaml_load(path, &y, p->e);

	if (rc < 0) {
		return rc;
	}
	root = yaml_root(y);
	if (root != NULL && root->kind != YAML_MAP) {
		rc = yaml_complain(
		    y, root, p->e, "expected options, one 'name: value' per line");
	}
	for (unsigned i = 0; rc == 0 && root != NULL && i < root->count; i++) {
		rc = set_key(p, y, root->keys[i], root->items[i]);
	}
	yaml_unload(y);
	return rc;
}

/* 1: something was printed, and the program ends. */
static int
print_first(struct parser *p)
{
	if (p->builtin.help) {
		option_print_help(p->program, stdout);
	} else if (p->builtin.version) {
		printf("%s %s\n", p->program->name, FLOWPAIR_VERSION);
	} else if (p->builtin.print_manual) {
		option_print_manual(p->program, stdout);
	} else {
		return 0;
	}
	return 1;
}

static int
flush_output(struct parser *p)
{
	if (fflush(stdout) != 0 || ferror(stdout)) {
		return err_set(p->e, -EIO, "standard output: %s", strerror(errno));
	}
	return 1;
}

static int
fill(struct parser *p, char **argv)
{
	int rc = parse_command_line(p, argv);

	if (rc == 0) {
		rc = set_defaults(p);
	}
	if (rc == 0) {
		rc = set_given(p, true);
	}
	if (rc == 0) {
		rc = print_first(p);
	}
	if (rc == 0 && p->builtin.config != NULL) {
		rc = read_file(p, p->builtin.config);
	}
	if (rc == 0) {
		rc = set_given(p, false);
	}
	if (rc == 0 && p->builtin.print_config) {
		option_print_config(p->program, p->config, &p->builtin, stdout);
		rc = 1;
	}
	return rc == 1 ? flush_output(p) : rc;
}

int
option_parse(const struct option_program *program, char **argv, void *config,
    struct option_list *ret_words, struct err *e)
{
	struct option_list words = {0};
	struct parser p = {
	    .program = program,
	    .config = config,
	    .words = ret_words == NULL ? NULL : &words,
	    .e = e,
	};
	int rc;

	set_zero(&p);
	rc = fill(&p, argv);
	if (rc == 0) {
		log_set_level((enum log_level)p.builtin.log_level);
		log_set_program(program->name);
		if (ret_words != NULL) {
			*ret_words = words;
		}
	} else {
		option_free(program, config, &words);
	}
	free((char *)p.builtin.config);
	free(p.given);
	return rc;
}

void
option_free(
    const struct option_program *program, void *config, struct option_list *words)
{
	static const struct option list = {.name = "", .kind = OPTION_LIST};
	const struct option *o;

	for (unsigned i = 0; (o = option_at(program, i)) != NULL; i++) {
		if (!option_is_builtin(o)) {
			option_value_clear(o, option_place(program, o, config, NULL));
		}
	}
	if (words != NULL) {
		option_value_clear(&list, words);
	}
}

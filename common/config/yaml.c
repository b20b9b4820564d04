#include "common/config/yaml_private.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <yaml.h>

#define FILE_MAX_BYTES (16U << 20)
#define DEPTH_MAX      64
#define NODES_MAX      100000
#define CHUNK_BYTES    16384

struct chunk {
	struct chunk *next;
	size_t used, size;
	_Alignas(16) unsigned char bytes[];
};

/* Anchors name nodes of a document; a later anchor of the same name wins. */
struct anchor {
	char *name;
	const struct yaml_node *node; /* NULL while the node is still being read */
	unsigned nodes, height;       /* of the whole tree below it */
	struct anchor *next;
};

/* A list or map under construction. */
struct level {
	struct yaml_node *node;
	struct anchor *anchor;
	const struct yaml_node **items; /* map: key, value, key, value ... */
	unsigned count, room;
	unsigned nodes, height; /* of the tree so far */
};

struct reader {
	struct yaml *y;
	struct err *e;
	yaml_parser_t parser;
	struct level levels[DEPTH_MAX];
	unsigned depth;
	unsigned nodes; /* with those that aliases repeat */
};

static void *
take(struct yaml *y, size_t n)
{
	struct chunk *c = y->chunks;
	void *p;

	n = (n + 15) & ~(size_t)15;
	if (c == NULL || c->size - c->used < n) {
		size_t size = n > CHUNK_BYTES ? n : CHUNK_BYTES;
		c = malloc(sizeof *c + size);
		if (c == NULL) {
			return NULL;
		}
		c->used = 0;
		c->size = size;
		c->next = y->chunks;
		y->chunks = c;
	}
	p = c->bytes + c->used;
	c->used += n;
	return p;
}

static int __attribute__((format(printf, 4, 5)))
refuse(struct reader *r, int code, yaml_mark_t mark, const char *fmt, ...)
{
	char sentence[sizeof r->e->text];
	va_list args;

	va_start(args, fmt);
	vsnprintf(sentence, sizeof sentence, fmt, args);
	va_end(args);
	return err_set(r->e, code, "%.*s:%zu:%zu: %s", NAME_KEPT, r->y->name,
	    mark.line + 1, mark.column + 1, sentence);
}

static int
no_memory(struct reader *r)
{
	return err_set(r->e, -ENOMEM, "%.*s: out of memory", NAME_KEPT, r->y->name);
}

/* If libyaml gives no place, the parser's position is close. */
static int
syntax_error(struct reader *r)
{
	const yaml_parser_t *p = &r->parser;
	yaml_mark_t mark = p->problem_mark;
	const char *problem = p->problem == NULL ? "cannot be read" : p->problem;

	if (p->error == YAML_MEMORY_ERROR) {
		return no_memory(r);
	}
	if (p->error == YAML_READER_ERROR) {
		return err_set(r->e, -EINVAL, "%.*s: byte %zu: %s", NAME_KEPT,
		    r->y->name, p->problem_offset, problem);
	}
	if (p->context != NULL) {
		return refuse(r, -EINVAL, mark, "%s %s", problem, p->context);
	}
	return refuse(r, -EINVAL, mark, "%s", problem);
}

/* Attaches a finished node to its parent. */
static int
attach(struct reader *r, const struct yaml_node *node, unsigned nodes, unsigned height)
{
	struct level *l;

	if (r->depth == 0) {
		r->y->root = node;
		return 0;
	}
	l = &r->levels[r->depth - 1];
	if (l->count == l->room) {
		unsigned room = l->room == 0 ? 8 : l->room * 2;
		void *p = realloc(l->items, room * sizeof l->items[0]);
		if (p == NULL) {
			return no_memory(r);
		}
		l->items = p;
		l->room = room;
	}
	l->items[l->count++] = node;
	l->nodes += nodes;
	l->height = height + 1 > l->height ? height + 1 : l->height;
	return 0;
}

static int
count_nodes(struct reader *r, yaml_mark_t mark, unsigned nodes, unsigned height)
{
	r->nodes += nodes;
	if (r->nodes > NODES_MAX) {
		return refuse(r, -E2BIG, mark,
		    "more than %d values (an alias counts as what it repeats)",
		    NODES_MAX);
	}
	if (r->depth + height > DEPTH_MAX) {
		return refuse(
		    r, -E2BIG, mark, "nested deeper than %d levels", DEPTH_MAX);
	}
	return 0;
}

/* In a map, a key is expected at every even place. */
static bool
expects_key(const struct reader *r)
{
	const struct level *l = &r->levels[r->depth - (r->depth > 0)];

	return r->depth > 0 && l->node->kind == YAML_MAP && l->count % 2 == 0;
}

static int
new_node(struct reader *r, const yaml_event_t *event, enum yaml_kind kind,
    struct yaml_node **ret)
{
	struct yaml_node *n;
	int rc = count_nodes(r, event->start_mark, 1, 1);

	if (rc < 0) {
		return rc;
	}
	if (kind != YAML_SCALAR && expects_key(r)) {
		return refuse(r, -EINVAL, event->start_mark,
		    "a key must be a word, not a list or map");
	}
	n = take(r->y, sizeof *n);
	if (n == NULL) {
		return no_memory(r);
	}
	*n = (struct yaml_node){
	    .kind = kind,
	    .line = (unsigned)event->start_mark.line + 1,
	    .column = (unsigned)event->start_mark.column + 1,
	};
	*ret = n;
	return 0;
}

/* Only YAML's own types are allowed as tags; *ret_is_text: it is !!str. */
static int
check_tag(struct reader *r, const yaml_event_t *event, const yaml_char_t *tag,
    bool *ret_is_text)
{
	static const char standard[] = "tag:yaml.org,2002:";
	const char *text = (const char *)tag;

	*ret_is_text = false;
	if (text == NULL || strcmp(text, "!") == 0) {
		*ret_is_text = text != NULL;
		return 0;
	}
	if (strncmp(text, standard, sizeof standard - 1) != 0) {
		return refuse(r, -EINVAL, event->start_mark, "unsupported tag %.*s",
		    KEY_SHOWN, text);
	}
	*ret_is_text = strcmp(text + sizeof standard - 1, "str") == 0;
	return 0;
}

static int
new_anchor(struct reader *r, const yaml_char_t *name, struct anchor **ret)
{
	struct anchor *a;
	size_t n;

	*ret = NULL;
	if (name == NULL) {
		return 0;
	}
	n = strlen((const char *)name) + 1;
	a = take(r->y, sizeof *a);
	if (a == NULL) {
		return no_memory(r);
	}
	*a = (struct anchor){.name = take(r->y, n), .next = r->y->anchors};
	if (a->name == NULL) {
		return no_memory(r);
	}
	memcpy(a->name, name, n);
	r->y->anchors = a;
	*ret = a;
	return 0;
}

static void
finish_anchor(
    struct anchor *a, const struct yaml_node *node, unsigned nodes, unsigned height)
{
	if (a != NULL) {
		a->node = node;
		a->nodes = nodes;
		a->height = height;
	}
}

static int
read_scalar(struct reader *r, const yaml_event_t *event)
{
	size_t n = event->data.scalar.length;
	struct yaml_node *node = NULL;
	struct anchor *anchor;
	bool is_text;
	char *text;
	int rc;

	rc = new_node(r, event, YAML_SCALAR, &node);
	if (rc == 0) {
		rc = check_tag(r, event, event->data.scalar.tag, &is_text);
	}
	if (rc == 0) {
		rc = new_anchor(r, event->data.scalar.anchor, &anchor);
	}
	if (rc < 0) {
		return rc;
	}
	if (memchr(event->data.scalar.value, 0, n) != NULL) {
		return refuse(r, -EINVAL, event->start_mark,
		    "a value must not contain a NUL character");
	}
	text = take(r->y, n + 1);
	if (text == NULL) {
		return no_memory(r);
	}
	memcpy(text, event->data.scalar.value, n);
	text[n] = '\0';
	node->text = text;
	node->plain = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE && !is_text;
	finish_anchor(anchor, node, 1, 1);
	return attach(r, node, 1, 1);
}

static int
begin_level(struct reader *r, const yaml_event_t *event, enum yaml_kind kind,
    const yaml_char_t *anchor_name, const yaml_char_t *tag)
{
	struct yaml_node *node = NULL;
	struct anchor *anchor;
	bool is_text;
	int rc;

	rc = new_node(r, event, kind, &node);
	if (rc == 0) {
		rc = check_tag(r, event, tag, &is_text);
	}
	if (rc == 0) {
		rc = new_anchor(r, anchor_name, &anchor);
	}
	if (rc < 0) {
		return rc;
	}
	r->levels[r->depth++] =
	    (struct level){.node = node, .anchor = anchor, .nodes = 1, .height = 1};
	return 0;
}

static int
by_text(const void *a, const void *b)
{
	const struct yaml_node *x = *(const struct yaml_node *const *)a;
	const struct yaml_node *y = *(const struct yaml_node *const *)b;
	int order = strcmp(x->text, y->text);

	if (order != 0) {
		return order;
	}
	return x->line != y->line ? (x->line > y->line) - (x->line < y->line)
				  : (x->column > y->column) - (x->column < y->column);
}

/* Sorts a copy of the keys, so that duplicates are neighbours. */
static int
check_duplicates(struct reader *r, const struct yaml_node *map)
{
	const struct yaml_node **sorted = malloc(map->count * sizeof sorted[0] + 1);
	int rc = 0;

	if (sorted == NULL) {
		return no_memory(r);
	}
	memcpy(sorted, map->keys, map->count * sizeof sorted[0]);
	qsort(sorted, map->count, sizeof sorted[0], by_text);
	for (unsigned i = 1; i < map->count && rc == 0; i++) {
		if (strcmp(sorted[i - 1]->text, sorted[i]->text) == 0) {
			rc = yaml_complain(r->y, sorted[i], r->e,
			    "duplicate key '%.*s' (first in line %u)", KEY_SHOWN,
			    sorted[i]->text, sorted[i - 1]->line);
		}
	}
	free(sorted);
	return rc;
}

static int
end_level(struct reader *r)
{
	struct level *l = &r->levels[r->depth - 1];
	struct yaml_node *n = l->node;
	unsigned step = n->kind == YAML_MAP ? 2 : 1;
	const struct yaml_node **keys, **items;
	int rc = 0;

	n->count = l->count / step;
	items = take(r->y, n->count * sizeof items[0] + 1);
	keys = step == 1 ? NULL : take(r->y, n->count * sizeof keys[0] + 1);
	if (items == NULL || (step == 2 && keys == NULL)) {
		return no_memory(r);
	}
	for (unsigned i = 0; i < n->count; i++) {
		items[i] = l->items[i * step + step - 1];
		if (step == 2) {
			keys[i] = l->items[i * step];
		}
	}
	n->items = items;
	n->keys = keys;
	if (step == 2) {
		rc = check_duplicates(r, n);
	}
	free(l->items);
	l->items = NULL;
	r->depth--;
	finish_anchor(l->anchor, n, l->nodes, l->height);
	return rc < 0 ? rc : attach(r, n, l->nodes, l->height);
}

static int
read_alias(struct reader *r, const yaml_event_t *event)
{
	const char *name = (const char *)event->data.alias.anchor;
	const struct anchor *a = r->y->anchors;
	int rc;

	while (a != NULL && strcmp(a->name, name) != 0) {
		a = a->next;
	}
	if (a == NULL) {
		return refuse(r, -EINVAL, event->start_mark,
		    "unknown anchor &%.*s (it must be set before this alias)",
		    KEY_SHOWN, name);
	}
	if (a->node == NULL) {
		return refuse(r, -EINVAL, event->start_mark,
		    "alias *%.*s contains itself", KEY_SHOWN, name);
	}
	if (a->node->kind != YAML_SCALAR && expects_key(r)) {
		return refuse(r, -EINVAL, event->start_mark,
		    "a key must be a word, not a list or map");
	}
	rc = count_nodes(r, event->start_mark, a->nodes, a->height);
	return rc < 0 ? rc : attach(r, a->node, a->nodes, a->height);
}

/* 1: the end of the stream. */
static int
read_event(struct reader *r, const yaml_event_t *event)
{
	switch (event->type) {
	case YAML_STREAM_END_EVENT:
		return 1;
	case YAML_DOCUMENT_START_EVENT:
		return r->y->root == NULL
			   ? 0
			   : refuse(r, -EINVAL, event->start_mark,
				 "expected one document, but a second begins here");
	case YAML_SCALAR_EVENT:
		return read_scalar(r, event);
	case YAML_ALIAS_EVENT:
		return read_alias(r, event);
	case YAML_SEQUENCE_START_EVENT:
		return begin_level(r, event, YAML_LIST,
		    event->data.sequence_start.anchor, event->data.sequence_start.tag);
	case YAML_MAPPING_START_EVENT:
		return begin_level(r, event, YAML_MAP, event->data.mapping_start.anchor,
		    event->data.mapping_start.tag);
	case YAML_SEQUENCE_END_EVENT:
	case YAML_MAPPING_END_EVENT:
		return end_level(r);
	default:
		return 0;
	}
}

static int
read_document(struct reader *r, const void *bytes, size_t length)
{
	yaml_event_t event;
	int rc = 0;

	if (!yaml_parser_initialize(&r->parser)) {
		return no_memory(r);
	}
	yaml_parser_set_input_string(&r->parser, bytes, length);
	while (rc == 0) {
		if (!yaml_parser_parse(&r->parser, &event)) {
			rc = syntax_error(r);
			break;
		}
		rc = read_event(r, &event);
		yaml_event_delete(&event);
	}
	while (r->depth > 0) {
		free(r->levels[--r->depth].items);
	}
	yaml_parser_delete(&r->parser);
	return rc < 0 ? rc : 0;
}

/* "key:" without a value is an empty plain scalar, and so is a document of only
 * comments. */
static bool
is_nothing(const struct yaml_node *n)
{
	return n != NULL && n->kind == YAML_SCALAR && n->plain && n->text[0] == '\0';
}

int
yaml_parse(const char *name, const void *bytes, size_t length, struct yaml **ret,
    struct err *e)
{
	struct reader r = {.e = e};
	int rc;

	r.y = calloc(1, sizeof *r.y);
	if (r.y == NULL) {
		return err_set(e, -ENOMEM, "%.*s: out of memory", NAME_KEPT, name);
	}
	r.y->name = strdup(name);
	if (r.y->name == NULL) {
		rc = err_set(e, -ENOMEM, "%.*s: out of memory", NAME_KEPT, name);
		goto out;
	}
	rc = read_document(&r, bytes, length);
	if (rc < 0) {
		goto out;
	}
	if (is_nothing(r.y->root)) {
		r.y->root = NULL;
	}

	*ret = r.y;
	r.y = NULL;
out:
	yaml_unload(r.y);
	return rc;
}

static int
read_file(const char *path, unsigned char **ret, size_t *ret_length, struct err *e)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	unsigned char *bytes = NULL;
	size_t room = 0, length = 0;
	ssize_t n = 0;
	int rc = 0;

	if (fd < 0) {
		return err_set(e, -errno, "%s: %s", path, strerror(errno));
	}
	do {
		length += n < 0 ? 0 : (size_t)n;
		if (length > FILE_MAX_BYTES) {
			rc = err_set(e, -E2BIG,
			    "%s: larger than %u MiB (is it a YAML file?)", path,
			    FILE_MAX_BYTES >> 20);
			goto out;
		}
		if (length == room) {
			void *more;
			room = room == 0 ? 65536 : room * 2;
			more = realloc(bytes, room);
			if (more == NULL) {
				rc = err_set(e, -ENOMEM, "%s: out of memory", path);
				goto out;
			}
			bytes = more;
		}
		n = read(fd, bytes + length, room - length);
	} while (n > 0 || (n < 0 && errno == EINTR));
	if (n < 0) {
		rc = err_set(e, -errno, "%s: %s", path, strerror(errno));
		goto out;
	}

	*ret = bytes;
	*ret_length = length;
	bytes = NULL;
out:
	free(bytes);
	close(fd);
	return rc;
}

int
yaml_load(const char *path, struct yaml **ret, struct err *e)
{
	unsigned char *bytes = NULL;
	size_t length = 0;
	int rc = read_file(path, &bytes, &length, e);

	if (rc == 0) {
		rc = yaml_parse(path, bytes, length, ret, e);
	}
	free(bytes);
	return rc;
}

void
yaml_unload(struct yaml *y)
{
	if (y == NULL) {
		return;
	}
	while (y->chunks != NULL) {
		struct chunk *next = y->chunks->next;
		free(y->chunks);
		y->chunks = next;
	}
	free(y->name);
	free(y);
}

const struct yaml_node *
yaml_root(const struct yaml *y)
{
	return y->root;
}

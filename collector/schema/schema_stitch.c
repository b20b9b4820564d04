#include <errno.h>
#include <string.h>

#include "collector/schema/schema_private.h"

#define MAX_WAITING     131072u
#define MAX_WAITING_TOP 16777216u

/* stitch: DURATION | { window: DURATION, max_waiting: N } */
int
schema_read_stitch(struct schema_table *t, const struct yaml_node *node, struct err *e)
{
	static const char *const known[] = {"window", "max_waiting"};
	const struct yaml_node *window = node, *most = NULL;
	int rc;

	if (node == NULL) {
		return 0;
	}
	if (node->kind == YAML_MAP) {
		rc = yaml_check_keys(t->yaml, node, known, 2, e);
		if (rc < 0) {
			return rc;
		}
		window = yaml_get(node, "window");
		most = yaml_get(node, "max_waiting");
	}
	if (window == NULL || window->kind != YAML_SCALAR) {
		return yaml_complain(t->yaml, node, e,
		    "'stitch' needs the longest time between the starts of the two "
		    "directions, such as 30s, or { window: 30s, max_waiting: 100000 }");
	}
	t->stitch_node = node;
	t->max_waiting = MAX_WAITING;
	rc = schema_duration(t->yaml, window, &t->stitch_ns, e);
	if (rc == 0 && most != NULL) {
		rc = yaml_u64(t->yaml, most, MAX_WAITING_TOP, &t->max_waiting, e);
		if (rc == 0 && t->max_waiting == 0) {
			rc = yaml_complain(
			    t->yaml, most, e, "max_waiting must be at least 1");
		}
	}
	return rc;
}

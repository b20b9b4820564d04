#include "common/config/datadir.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define INSTALLED FLOWPAIR_PREFIX "/share/flowpair"

static bool
holds_schemas(const char *directory)
{
	char path[PATH_MAX];
	int n = snprintf(path, sizeof path, "%s/elements.xml", directory);

	return n > 0 && (size_t)n < sizeof path && access(path, R_OK) == 0;
}

/* Removes the last part of a path; "" when there was only one. */
static void
to_parent(char *path)
{
	char *slash = strrchr(path, '/');

	path[slash == NULL ? 0 : slash - path] = '\0';
}

/* Looks beside this program; false: no schemas there. */
static bool
find_beside_program(char ret[static PATH_MAX])
{
	char place[PATH_MAX - 32];
	const char *tail = "/schemas", *name;
	ssize_t n = readlink("/proc/self/exe", place, sizeof place - 1);

	if (n <= 0) {
		return false;
	}
	place[n] = '\0';
	to_parent(place);
	name = strrchr(place, '/');
	if (name != NULL && strcmp(name, "/bin") == 0) {
		tail = "/share/flowpair";
	} else {
		to_parent(place);
		name = strrchr(place, '/');
		if (name == NULL || strcmp(name, "/build") != 0) {
			return false;
		}
	}
	to_parent(place);
	(void)snprintf(ret, PATH_MAX, "%s%s", place, tail);
	return holds_schemas(ret);
}

int
datadir_find(const char *given, char ret[static PATH_MAX], struct err *e)
{
	if (given != NULL) {
		if (!holds_schemas(given)) {
			return err_set(e, -ENOENT,
			    "%s: no elements.xml in this directory; --schemas needs the "
			    "directory that contains it",
			    given);
		}
		(void)snprintf(ret, PATH_MAX, "%s", given);
		return 0;
	}
	if (find_beside_program(ret)) {
		return 0;
	}
	if (holds_schemas(INSTALLED)) {
		(void)snprintf(ret, PATH_MAX, "%s", INSTALLED);
		return 0;
	}
	return err_set(e, -ENOENT,
	    "the schemas are not installed in " INSTALLED
	    "; name their directory with --schemas DIR");
}

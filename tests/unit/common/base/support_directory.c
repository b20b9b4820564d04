#include "tests/unit/common/base/support_directory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static char directory[64];

static void
die(const char *what)
{
	perror(what);
	exit(1);
}

const char *
support_directory(void)
{
	strcpy(directory, "/tmp/flowpair_test.XXXXXX");
	if (mkdtemp(directory) == NULL) {
		die("mkdtemp");
	}
	return directory;
}

void
support_directory_remove(void)
{
	char command[128];

	snprintf(command, sizeof command, "rm -rf '%s'", directory);
	if (directory[0] != '\0' && system(command) != 0) {
		die(command);
	}
	directory[0] = '\0';
}

int
support_directory_make(void **state)
{
	(void)state;
	(void)support_directory();
	return 0;
}

int
support_directory_end(void **state)
{
	(void)state;
	support_directory_remove();
	return 0;
}

void
support_write(const char *path, const char *text)
{
	char full[512], *slash;
	FILE *f;

	snprintf(full, sizeof full, "%s/%s", directory, path);
	slash = strrchr(full, '/');
	*slash = '\0';
	mkdir(full, 0755);
	*slash = '/';
	f = fopen(full, "w");
	if (f == NULL || fputs(text, f) == EOF || fclose(f) != 0) {
		die(full);
	}
}

const char *
support_path(const char *name)
{
	static char path[320];

	snprintf(path, sizeof path, "%s/%s", directory, name);
	return path;
}

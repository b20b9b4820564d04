/* A directory for the files of one test. */
#ifndef TESTS_COMMON_BASE_SUPPORT_DIRECTORY_H
#define TESTS_COMMON_BASE_SUPPORT_DIRECTORY_H

/* A new empty directory under /tmp, removed by support_directory_remove(). */
const char *support_directory(void);
void support_directory_remove(void);
/* The same as set-up and tear-down of cmocka. */
int support_directory_make(void **state);
int support_directory_end(void **state);
/* Writes a file below it, making its folder. */
void support_write(const char *path, const char *text);
/* The path of a file in it, valid until the next call. */
const char *support_path(const char *name);

#endif

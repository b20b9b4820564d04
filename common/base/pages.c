#include "common/base/pages.h"

#include <stdint.h>
#include <sys/mman.h>

#define HUGE_PAGE ((size_t)2 << 20)

static size_t
rounded(size_t bytes)
{
	size_t unit = bytes < HUGE_PAGE ? 4096 : HUGE_PAGE;

	return (bytes + unit - 1) & ~(unit - 1);
}

static char *
map(size_t bytes)
{
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

void *
pages_new(size_t bytes)
{
	size_t size = rounded(bytes), before;
	char *base;

	if (size < HUGE_PAGE) {
		return map(size);
	}
	base = map(size + HUGE_PAGE);
	if (base == NULL) {
		return NULL;
	}
	before = (HUGE_PAGE - ((uintptr_t)base & (HUGE_PAGE - 1))) & (HUGE_PAGE - 1);
	if (before > 0) {
		(void)munmap(base, before);
	}
	(void)munmap(base + before + size, HUGE_PAGE - before);
	(void)madvise(base + before, size, MADV_HUGEPAGE);
	return base + before;
}

void
pages_free(void *pages, size_t bytes)
{
	if (pages != NULL) {
		(void)munmap(pages, rounded(bytes));
	}
}

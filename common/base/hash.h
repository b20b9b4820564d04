/* Hashes of bytes: XXH3, seeded.  Tables that peers can fill take hash_seed(). */
#ifndef COMMON_BASE_HASH_H
#define COMMON_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>
#include <sys/random.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

static inline uint64_t
hash_bytes(const void *bytes, size_t length, uint64_t seed)
{
	return XXH3_64bits_withSeed(bytes, length, seed);
}

/* Random per process, so that nobody outside can make collisions. */
static inline uint64_t
hash_seed(void)
{
	uint64_t seed = 0;
	if (getrandom(&seed, sizeof seed, 0) != (ssize_t)sizeof seed) {
		seed = (uint64_t)(uintptr_t)&seed;
	}
	return seed;
}

#endif

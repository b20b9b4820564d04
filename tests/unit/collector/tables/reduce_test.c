#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "collector/tables/reduce.h"
#include "common/base/cursor.h"

#define KEY  20 /* a number, a text, 12 bytes more */
#define TEXT 8

/* A table whose key is KEY bytes, with one sum. */
struct world {
	struct reduce_shape shape;
	struct reduce *reduce;
	struct reduce_scratch scratch;
	struct intern *texts;
	const uint32_t *order;
};

static struct world
new_world(bool is_append, bool has_text)
{
	struct world w = {.shape = {.key_length = KEY,
			      .sums = 1,
			      .is_append = is_append,
			      .text_count = has_text,
			      .texts = {TEXT}}};

	reduce_shape_finish(&w.shape, 1, 8);
	w.reduce = reduce_new(&w.shape, 200000, 7);
	w.texts = intern_new();
	assert_non_null(w.reduce);
	assert_non_null(w.texts);
	return w;
}

static void
free_world(struct world *w)
{
	reduce_free(w->reduce);
	reduce_scratch_free(&w->scratch);
	intern_free(w->texts);
}

static void
add(struct world *w, const uint8_t key[static KEY], int64_t value)
{
	uint8_t *image = reduce_images(w->reduce);

	memset(image, 0, w->shape.entry);
	memcpy(image, key, KEY);
	image[w->shape.header - 1] = 1; /* not NULL */
	memcpy(image + w->shape.header, &value, sizeof value);
	reduce_add(w->reduce, 1);
}

static int64_t
value_at(const struct world *w, uint64_t i)
{
	int64_t v;

	memcpy(&v, reduce_entry(w->reduce, w->order[i]) + w->shape.header, sizeof v);
	return v;
}

static void
sort(struct world *w)
{
	reduce_settle(w->reduce);
	assert_int_equal(reduce_sort(w->reduce, w->texts, &w->scratch, &w->order), 0);
}

/* By key bytes, the same keys in the order of arrival; each entry once. */
static void
check_order(const struct world *w)
{
	uint64_t count = reduce_count(w->reduce);
	uint8_t *seen = calloc(count + 1, 1);

	assert_non_null(seen);
	for (uint64_t i = 0; i < count; i++) {
		assert_in_range(w->order[i], 0, count - 1);
		assert_int_equal(seen[w->order[i]]++, 0);
		if (i > 0) {
			int order = memcmp(reduce_entry(w->reduce, w->order[i - 1]),
			    reduce_entry(w->reduce, w->order[i]), KEY);
			assert_true(
			    order < 0 || (order == 0 && w->order[i - 1] < w->order[i]));
		}
	}
	free(seen);
}

static uint64_t
mixed(uint64_t v)
{
	v = (v ^ v >> 30) * 0xbf58476d1ce4e5b9ULL;
	return (v ^ v >> 27) * 0x94d049bb133111ebULL;
}

static void
many_random_keys_come_in_order(void **state)
{
	struct world w = new_world(false, false);
	uint8_t key[KEY] = {0};

	(void)state;
	for (uint64_t i = 0; i < 150000; i++) {
		store_u64(key, mixed(i));
		store_u64(key + 8, mixed(~i));
		add(&w, key, 1);
	}
	sort(&w);
	assert_int_equal(reduce_count(w.reduce), 150000);
	check_order(&w);
	free_world(&w);
}

/* The first 64 bits that differ tell few of them apart. */
static void
keys_that_differ_late_come_in_order(void **state)
{
	struct world w = new_world(false, false);
	uint8_t key[KEY] = {0};

	(void)state;
	for (uint64_t i = 0; i < 100000; i++) {
		store_u64(key, mixed(i % 5));
		store_u64(key + 8, mixed(i % 7) << 32);
		store_u32(key + 16, (uint32_t)mixed(i));
		add(&w, key, 1);
	}
	sort(&w);
	check_order(&w);
	free_world(&w);
}

static void
one_byte_that_differs_is_enough(void **state)
{
	struct world w = new_world(false, false);
	uint8_t key[KEY] = {0};

	(void)state;
	for (unsigned i = 0; i < 256; i++) {
		key[13] = (uint8_t)(i * 77);
		add(&w, key, 1);
	}
	sort(&w);
	assert_int_equal(reduce_count(w.reduce), 256);
	check_order(&w);
	free_world(&w);
}

static void
equal_keys_of_an_append_table_stay_as_they_came(void **state)
{
	struct world w = new_world(true, false);
	uint8_t key[KEY] = {0};

	(void)state;
	for (uint64_t i = 0; i < 100000; i++) {
		key[3] = i % 3 == 0;
		add(&w, key, (int64_t)i);
	}
	sort(&w);
	check_order(&w);
	for (uint64_t i = 1; i < 100000; i++) {
		assert_true(value_at(&w, i - 1) < value_at(&w, i) ||
			    value_at(&w, i - 1) % 3 != value_at(&w, i) % 3);
	}
	free_world(&w);
}

static void
texts_in_keys_sort_by_their_bytes(void **state)
{
	static const char *const texts[] = {"b", "", "abc", "ab", "\xc3\xa9", "a"};
	static const unsigned expected[] = {1, 5, 3, 2, 0, 4};
	struct world w = new_world(false, true);
	uint8_t key[KEY] = {0};

	(void)state;
	for (unsigned i = 0; i < 6; i++) {
		store_u32(key + TEXT, intern_add(w.texts, texts[i], strlen(texts[i])));
		add(&w, key, i);
	}
	sort(&w);
	for (unsigned i = 0; i < 6; i++) {
		assert_int_equal(value_at(&w, i), expected[i]);
	}
	free_world(&w);
}

static void
scratch_memory_serves_again(void **state)
{
	static const unsigned counts[] = {0, 1, 100, 70000, 2, 90000, 0};
	struct world w = new_world(false, false);
	uint8_t key[KEY] = {0};

	(void)state;
	for (unsigned i = 0; i < sizeof counts / sizeof counts[0]; i++) {
		reduce_clear(w.reduce);
		for (unsigned k = 0; k < counts[i]; k++) {
			store_u64(key + 4, mixed(k + i));
			add(&w, key, 1);
		}
		sort(&w);
		assert_int_equal(reduce_count(w.reduce), counts[i]);
		check_order(&w);
	}
	free_world(&w);
}

static void
sums_of_a_key_add_up_and_stay_at_the_top(void **state)
{
	struct world w = new_world(false, false);
	uint8_t key[KEY] = {0};

	(void)state;
	for (unsigned i = 0; i < 1000; i++) {
		key[0] = (uint8_t)(i % 10);
		add(&w, key, i);
	}
	key[0] = 9;
	add(&w, key, INT64_MAX);
	sort(&w);
	assert_int_equal(reduce_count(w.reduce), 10);
	for (unsigned i = 0; i < 9; i++) {
		assert_int_equal(value_at(&w, i), 100 * i + 49500);
	}
	assert_int_equal(value_at(&w, 9), INT64_MAX);
	assert_int_equal(reduce_saturated(w.reduce), 1);
	free_world(&w);
}

static void
what_finds_no_place_is_counted(void **state)
{
	const uint64_t rows = 400000;

	(void)state;
	for (int is_append = 0; is_append < 2; is_append++) {
		struct world w = new_world(is_append, false);
		uint64_t once = 0;
		for (uint64_t i = 0; i < rows; i++) {
			uint8_t key[KEY] = {0};
			store_u64(key, i % (rows - 1000)); /* 1,000 come again */
			add(&w, key, 1);
		}
		sort(&w);
		for (uint64_t i = 0; i < reduce_count(w.reduce); i++) {
			once += (uint64_t)value_at(&w, i);
		}
		assert_true(reduce_dropped(w.reduce) > 0);
		assert_int_equal(once + reduce_dropped(w.reduce), rows);
		reduce_clear(w.reduce);
		assert_true(reduce_dropped(w.reduce) > 0);
		free_world(&w);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(many_random_keys_come_in_order),
	    cmocka_unit_test(keys_that_differ_late_come_in_order),
	    cmocka_unit_test(one_byte_that_differs_is_enough),
	    cmocka_unit_test(equal_keys_of_an_append_table_stay_as_they_came),
	    cmocka_unit_test(texts_in_keys_sort_by_their_bytes),
	    cmocka_unit_test(scratch_memory_serves_again),
	    cmocka_unit_test(sums_of_a_key_add_up_and_stay_at_the_top),
	    cmocka_unit_test(what_finds_no_place_is_counted),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

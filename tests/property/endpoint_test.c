/* Endpoints on seeded random values: what is written is read back the same, and of
 * mangled text whatever is accepted has one text that it is written as. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/base/endpoint.h"

#define ROUNDS 200000

static uint64_t seed;

static uint64_t
next(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed;
}

static struct endpoint
random_endpoint(void)
{
	struct endpoint x = {.port = (uint16_t)(next() % 4 == 0 ? 0 : next())};
	uint64_t shape = next();

	for (unsigned i = 0; i < sizeof x.address.bytes; i++) {
		x.address.bytes[i] = shape >> i & 1 ? 0 : (uint8_t)next();
	}
	if (shape >> 63 != 0) {
		uint64_t bits = next();
		address_from_ipv4(&x.address, (const uint8_t *)&bits);
	}
	return x;
}

static int
reset(void **state)
{
	(void)state;
	seed = 20261201;
	return 0;
}

static void
what_is_written_is_read_back(void **state)
{
	char text[ENDPOINT_TEXT];

	(void)state;
	for (int i = 0; i < ROUNDS; i++) {
		struct endpoint x = random_endpoint(), back;
		endpoint_format(&x, text);
		assert_int_equal(endpoint_parse(text, &back), 0);
		assert_true(endpoint_is_same(&x, &back));
	}
}

static void
what_is_accepted_of_mangled_text_has_one_form(void **state)
{
	static const char alphabet[] = "0123456789abcdef:.[]% x";
	char text[ENDPOINT_TEXT], once[ENDPOINT_TEXT], twice[ENDPOINT_TEXT];
	unsigned accepted = 0;

	(void)state;
	for (int i = 0; i < ROUNDS; i++) {
		struct endpoint x = random_endpoint(), back;
		endpoint_format(&x, text);
		text[next() % strlen(text)] = alphabet[next() % (sizeof alphabet - 1)];
		if (endpoint_parse(text, &x) < 0) {
			continue;
		}
		accepted++;
		endpoint_format(&x, once);
		assert_int_equal(endpoint_parse(once, &back), 0);
		assert_true(endpoint_is_same(&x, &back));
		endpoint_format(&back, twice);
		assert_string_equal(once, twice);
	}
	assert_in_range(accepted, ROUNDS / 10, ROUNDS - ROUNDS / 10);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup(what_is_written_is_read_back, reset),
	    cmocka_unit_test_setup(
		what_is_accepted_of_mangled_text_has_one_form, reset),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

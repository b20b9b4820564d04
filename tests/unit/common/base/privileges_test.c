/* Each test in a process of its own: what is given up does not come back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <pwd.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/privileges.h"

#define USER "nobody"

static int
in_child(int (*run)(void))
{
	pid_t child = fork();
	int status = 0;

	if (child == 0) {
		_exit(run());
	}
	assert_true(child > 0);
	assert_int_equal(waitpid(child, &status, 0), child);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void
skip_unless_root(void)
{
	if (geteuid() != 0) {
		skip();
	}
}

static void
an_unknown_user_is_named(void **state)
{
	struct err e = {""};
	uid_t uid;
	gid_t gid;

	(void)state;
	assert_int_equal(privileges_find("no-such-user", &uid, &gid, &e), -ENOENT);
	assert_non_null(strstr(e.text, "--user no-such-user: no such user"));
}

static void
a_user_is_found_with_its_numbers(void **state)
{
	const struct passwd *p = getpwuid(geteuid());
	uid_t uid = (uid_t)-1;
	gid_t gid = (gid_t)-1;

	(void)state;
	if (p == NULL) {
		skip();
	}
	assert_int_equal(privileges_find(p->pw_name, &uid, &gid, NULL), 0);
	assert_int_equal(uid, geteuid());
	assert_int_equal(gid, p->pw_gid);
}

static int
drop_without_user(void)
{
	uid_t before = geteuid();

	return privileges_drop(NULL, NULL) == 0 && geteuid() == before &&
		       prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1
		   ? 0
		   : 1;
}

static void
without_a_user_only_new_privileges_are_forbidden(void **state)
{
	(void)state;
	assert_int_equal(in_child(drop_without_user), 0);
}

static int
drop_to_user(void)
{
	if (privileges_drop(USER, NULL) < 0) {
		return 1;
	}
	return geteuid() != 0 && getuid() != 0 && setuid(0) < 0 && seteuid(0) < 0 ? 0
										  : 2;
}

static void
what_is_dropped_does_not_come_back(void **state)
{
	(void)state;
	skip_unless_root();
	assert_int_equal(in_child(drop_to_user), 0);
}

static int
lower_and_raise(void)
{
	if (privileges_lower(USER, NULL) < 0 || geteuid() == 0) {
		return 1;
	}
	return privileges_raise(NULL) == 0 && geteuid() == 0 ? 0 : 2;
}

static void
what_is_lowered_comes_back(void **state)
{
	(void)state;
	skip_unless_root();
	assert_int_equal(in_child(lower_and_raise), 0);
}

static int
drop_as_nobody(void)
{
	struct err e = {""};

	if (geteuid() == 0 && setuid(65534) < 0) {
		return 1;
	}
	return privileges_drop("root", &e) < 0 &&
		       strstr(e.text, "only root can") != NULL
		   ? 0
		   : 2;
}

static void
only_root_becomes_another_user(void **state)
{
	(void)state;
	assert_int_equal(in_child(drop_as_nobody), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(an_unknown_user_is_named),
	    cmocka_unit_test(a_user_is_found_with_its_numbers),
	    cmocka_unit_test(without_a_user_only_new_privileges_are_forbidden),
	    cmocka_unit_test(what_is_dropped_does_not_come_back),
	    cmocka_unit_test(what_is_lowered_comes_back),
	    cmocka_unit_test(only_root_becomes_another_user),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

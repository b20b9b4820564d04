"""The kernel that other tests run on: tests/uml/run."""

import os


def test_a_command_runs_there_as_here_with_sctp_authentication_and_ipv6(
        uml, repository, monkeypatch):
    monkeypatch.setenv("FLOWPAIR_WORD", "a 'b'  c")
    done = uml("test -e /proc/net/sctp/assocs && test -e /proc/net/if_inet6 && "
               "grep -q 1 /proc/sys/net/sctp/auth_enable && "
               "ip link show lo | grep -q 'mtu 1500' || exit 1\n"
               "echo \"$FLOWPAIR_WORD\"; pwd; ls tests/uml; echo said >&2; exit 3", status=3)
    assert done.stdout.splitlines() == ["a 'b'  c", str(repository)] + sorted(
        os.listdir(repository / "tests/uml"))
    assert done.stderr == "said\n"


def test_what_does_not_end_is_ended(uml):
    done = uml("echo begun; sleep 60", status=124, seconds=3)
    assert done.stdout == "begun\n"
    assert "stopped after 3 s" in done.stderr

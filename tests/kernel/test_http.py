"""`netmgr http` as a process: what it answers, and what nobody gets from it."""

import json
import os
import random
import socket
import sys
from typing import Dict, List, Tuple

import pytest

from tests.kernel.lab import Lab
from tests.kernel.running import ROOT, RULESET, Netmgr
from tests.waiting import PATIENCE, eventually

HEAD = "Host: localhost\r\n"


def raw(path: str, request: bytes) -> bytes:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(PATIENCE)
        connection.connect(path)
        answer = b""
        try:
            connection.sendall(request)
            connection.shutdown(socket.SHUT_WR)
            for data in iter(lambda: connection.recv(65536), b""):
                answer += data
        except (BrokenPipeError, ConnectionResetError):
            pass
        return answer


def get(path: str, target: str, head: str = HEAD, method: str = "GET") -> Tuple[int, Dict[str, str], str]:
    answer = raw(path, ("%s %s HTTP/1.1\r\n%s\r\n" % (method, target, head)).encode())
    first, _, body = answer.decode().partition("\r\n\r\n")
    status, *lines = first.split("\r\n")
    return int(status.split()[1]), dict(line.split(": ", 1) for line in lines), body


@pytest.fixture
def site(lab: Lab) -> "Tuple[Netmgr, str]":
    lab.link("eth0")
    lab.run("ip addr add 192.0.2.1/24 dev eth0")
    lab.nft(RULESET)
    netmgr = Netmgr(lab)
    return netmgr, serve(lab, netmgr)


def serve(lab: Lab, netmgr: Netmgr, *options: str) -> str:
    path = str(lab.directory / "http.sock")
    process = lab.start([sys.executable, "-m", "netmgr", "http", "--listen", "unix:" + path, "--socket", str(netmgr.socket), *options],
                        {**os.environ, "PYTHONPATH": str(ROOT)})

    def answers() -> bool:
        assert process.poll() is None, lab.log(process)
        try:
            return raw(path, b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n") != b""
        except OSError:
            return False
    eventually(answers)
    assert lab.log(process).startswith("netmgr http listens at unix:%s\n" % path)
    return path


def test_what_it_answers(lab: Lab, site: Tuple[Netmgr, str]) -> None:
    netmgr, path = site
    netmgr.holds("wan_ips", "192.0.2.1")
    assert json.loads(get(path, "/status")[2])["sets"] == netmgr.status()["sets"]
    assert [row["name"] for row in json.loads(get(path, "/sets?name=wan_ips")[2])["sets"]] == ["wan_ips"]
    assert json.loads(get(path, "/explain?q=192.0.2.1")[2])["feeds"][0]["set"] == "inet filter wan_ips"
    assert {node["kind"] for node in json.loads(get(path, "/graph")[2])["nodes"]} == {"interface", "zone", "set"}
    assert get(path, "/graph?format=dot")[2].startswith("digraph")
    assert "started" in json.dumps([json.loads(line[6:]) for line in [follow(path)]])
    assert isinstance(json.loads(get(path, "/log?n=5")[2]), list)
    status, headers, text = get(path, "/")
    assert (status, headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert "192.0.2.1/24" in text and "the configuration says `enabled: false`" in text
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert get(path, "/health")[0] == 200
    status, headers, text = get(path, "/status", method="HEAD")
    assert (status, text) == (200, "") and int(headers["Content-Length"]) > 0
    netmgr.stop()
    assert get(path, "/status")[0] == 503
    assert json.loads(get(path, "/health")[2])["state"] == "unreachable"


def follow(path: str) -> str:
    """The first thing that is told."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(PATIENCE)
        connection.connect(path)
        connection.sendall(b"GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n")
        with connection.makefile("r") as lines:
            return next(line for line in lines if line.startswith("data: "))


def test_what_nobody_gets(lab: Lab, site: Tuple[Netmgr, str]) -> None:
    netmgr, path = site
    for target, status in (("/../etc/passwd", 404), ("/%2e%2e/etc/passwd", 404), ("//etc/passwd", 404), ("/page.html", 404),
                           ("/reload", 404),
                           ("/explain", 400), ("/explain?q=x%0Ashutdown", 400), ("/explain?q=x%0Dreload", 400),
                           ("/log?n=1%0Ashutdown", 400),
                           ("/status?name=a%20b", 400), ("/graph?format=png", 400), ("http://evil.example/status", 404),
                           ("/explain?q=" + "x" * 400, 400), ("/status?" + "x" * 20000, 431)):
        assert get(path, target)[0] == status, target
    for method in ("POST", "PUT", "DELETE", "OPTIONS", "TRACE", "FOO"):
        status, headers, _text = get(path, "/status", method=method)
        assert (status, headers["Allow"]) == (405, "GET, HEAD")
    for host, status in (("evil.example", 421), ("localhost.evil.example", 421), ("192.0.2.1:80", 200), ("[::1]:80", 200),
                         ("LOCALHOST:1", 200),
                         ("", 421), ("localhost@evil.example", 421)):
        assert get(path, "/log", "Host: %s\r\n" % host)[0] == status, host
    assert get(path, "/log", "")[0] == 400
    assert get(path, "/log", HEAD + HEAD)[0] == 400
    assert netmgr.ask("ping") == "PONG\n"


def test_garbage_does_no_harm(lab: Lab, site: Tuple[Netmgr, str]) -> None:
    _netmgr, path = site
    generator = random.Random(16)
    whole = b"GET /status?name=wan_ips HTTP/1.1\r\nHost: localhost\r\nAccept: */*\r\n\r\n"
    for number in range(150):
        request = bytearray(whole)
        for _change in range(generator.randrange(1, 8)):
            request[generator.randrange(len(request))] = generator.randrange(256)
        answer = raw(path, bytes(request) if number % 3 else generator.randbytes(generator.randrange(1, 600)) + b"\r\n\r\n")
        assert answer == b"" or answer.startswith((b"HTTP/1.", b"{")), answer
    assert get(path, "/status")[0] == 200
    assert "Traceback" not in lab.log(lab.processes[-1])


def test_every_answer_has_a_head(lab: Lab, site: Tuple[Netmgr, str]) -> None:
    _netmgr, path = site
    for request, status in ((b"GET /health HTTP/2.0\r\nHost: localhost\r\n\r\n", 505), (b"\x16\x03\x01 x y z\r\n\r\n", 400),
                            (b"GET /health\r\n\r\n", 400), (b"\r\n\r\nGET /health HTTP/1.1\r\nHost: localhost\r\n\r\n", 200)):
        answer = raw(path, request)
        assert answer.startswith(b"HTTP/1.1 %d " % status), answer
        assert b"\r\nX-Content-Type-Options: nosniff\r\n" in answer


def test_thirty_two_at_a_time_and_not_for_long(lab: Lab, site: Tuple[Netmgr, str]) -> None:
    _netmgr, path = site
    slow: List[socket.socket] = []
    answers: List[Tuple[int, Dict[str, str], str]] = []

    def turned_away() -> bool:
        """Again, if the first of them have been cut off before the last came."""
        while slow:
            slow.pop().close()
        for _each in range(32):
            slow.append(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
            slow[-1].settimeout(PATIENCE)
            slow[-1].connect(path)
            slow[-1].sendall(b"GET /health HTTP/1.1\r\nHost: local")
        answers.append(get(path, "/health"))
        return answers[-1][0] == 503
    try:
        eventually(turned_away)
        status, headers, text = answers[-1]
        assert (status, headers["Retry-After"], headers["X-Content-Type-Options"]) == (503, "1", "nosniff")
        assert json.loads(text) == {"error": "there are 32 connections already"}
        assert [each.recv(100) for each in slow] == [b""] * 32, "they are cut off"
        eventually(lambda: get(path, "/health")[0] == 200)
    finally:
        for each in slow:
            each.close()


def test_the_token(lab: Lab, site: Tuple[Netmgr, str]) -> None:
    netmgr, _path = site
    lab.stop(lab.processes[-1])
    token = lab.directory / "token"
    token.write_text("correct-horse\n")
    path = serve(lab, netmgr, "--token-file", str(token), "--host", "fw.example,Other.Example")
    status, headers, _text = get(path, "/status")
    assert (status, headers["WWW-Authenticate"][:6]) == (401, "Bearer")
    assert get(path, "/status", HEAD + "Authorization: Bearer wrong\r\n")[0] == 401
    assert get(path, "/status", "Host: fw.example:9476\r\nAuthorization: Bearer correct-horse\r\n")[0] == 200
    assert get(path, "/status", "Host: other.example\r\nAuthorization: Basic YW55OmNvcnJlY3QtaG9yc2U=\r\n")[0] == 200
    for text in (b"", b"\xff"):
        token.write_bytes(text)
        command = [sys.executable, "-m", "netmgr", "http", "--listen", "0.0.0.0:9476", "--socket", str(netmgr.socket), "--token-file",
                   str(token)]
        done = lab.start(command, {**os.environ, "PYTHONPATH": str(ROOT)})
        assert (done.wait(PATIENCE), str(token) in lab.log(done)) == (1, True)
    refused = lab.run([sys.executable, "-m", "netmgr", "http", "--listen", "0.0.0.0:9476", "--socket", str(netmgr.socket)], check=False)
    assert refused == ""
    assert "9476" not in lab.run("ss -Hltn")

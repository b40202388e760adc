#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Bad request lines against a running control socket: each its exact answer, nobody else disturbed, no descriptor left behind.

usage: control_wire.py SOCKET        (run as a user with full access; the socket's options are the defaults)
"""
import array
import json
import os
import socket
import sys
import time

PATH = sys.argv[1] if len(sys.argv) == 2 else sys.exit(__doc__)


def error(kind, message, code):
    return {"error_kind": kind, "message": message, "code": code}


def malformed(id_, message):
    return {"id": id_, "error": error("serde", message, "malformed")}


def serde(id_, code, message):
    return {"id": id_, "error": error("serde", message, code)}


def invalid(id_, message):
    return {"id": id_, "error": dict(error("serde", message, "invalid"), step="params")}


class Client:
    def __init__(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(10)
        self.sock.connect(PATH)
        self.rest = b""

    def send(self, data, fds=()):
        if fds:
            self.sock.sendmsg([data], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))])
        else:
            self.sock.sendall(data)

    def line(self):
        """One answer, or None at the end of the connection."""
        while b"\n" not in self.rest:
            try:
                data = self.sock.recv(65536)
            except (ConnectionResetError, BrokenPipeError):
                return None
            if not data:
                return None
            self.rest += data
        line, self.rest = self.rest.split(b"\n", 1)
        return json.loads(line)

    def call(self, id_, method, params=None):
        self.send(json.dumps({"id": id_, "method": method, "params": params or {}}).encode() + b"\n")
        return self.line()


VERSION = b'{"id":99,"method":"version"}\n'
DEEP = b'{"id":1,"method":"list","params":' + b'{"a":' * 40 + b"1" + b"}" * 40 + b"}\n"
BIG = b'{"id":1,"method":"list","params":{"a":"' + b"x" * (2 << 20) + b'"}}\n'
NEAREST = "unknown method 'lst'; the nearest known one is 'list'"
LISTED = " (known: id, method, params, fds)"
BAD_ID = "id: expected an integer from 0 to 2^64-1 or a string of at most 64 bytes"

# A line that begins with anything but {, a blank, CR or LF comes after an empty one: as a connection's first byte it would be refused.
# name, bytes, answers, does the connection end, number of descriptors sent with the first byte
CASES = [
    ("not JSON", b"{oops\n", [malformed(None, "offset 1: expected a string key")], False, 0),
    ("not an object", b"\n[1,2]\n", [malformed(None, "expected an object")], False, 0),
    ("a bare word", b"\nhello\n", [malformed(None, "offset 0: expected a value")], False, 0),
    ("only blanks", b"   \n", [malformed(None, "offset 3: expected a value")], False, 0),
    ("NUL in a string", b'{"id":1,"method":"a\\u0000b"}\n',
     [malformed(None, "offset 19: expected no \\u0000: strings with a NUL are refused")], False, 0),
    ("raw NUL", b'{"id":1,"method":"a\x00b"}\n',
     [malformed(None, "offset 19: expected no NUL byte")], False, 0),
    ("not UTF-8", b'{"id":1,"method":"\xff\xfe"}\n', [malformed(None, "offset 18: expected well-formed UTF-8")], False, 0),
    ("text behind the object", b'{"id":1,"method":"list"} x\n', [malformed(None, "offset 25: expected the end of the text")],
     False, 0),
    ("too deep", DEEP, [malformed(None, "offset 188: expected less nesting of arrays and objects")], False, 0),
    ("leading zero", b'{"id":01,"method":"list"}\n', [malformed(None, "offset 7: expected no digit after a leading 0")], False, 0),
    ("duplicate key in the envelope", b'{"id":1,"method":"list","method":"wait"}\n',
     [serde(1, "duplicate_key", "offset 24: expected each key once, but 'method' comes again")], False, 0),
    ("duplicate key in params", b'{"id":"x","method":"wait","params":{"id":"a","id":"b"}}\n',
     [serde("x", "duplicate_key", "offset 45: expected each key once, but 'id' comes again")], False, 0),
    ("no id", b'{"method":"list"}\n', [serde(None, "bad_id", "id: missing")], False, 0),
    ("null id", b'{"id":null,"method":"list"}\n', [serde(None, "bad_id", "id: missing")], False, 0),
    ("fractional id", b'{"id":1.0,"method":"list"}\n', [serde(None, "bad_id", BAD_ID)], False, 0),
    ("negative id", b'{"id":-1,"method":"list"}\n', [serde(None, "bad_id", BAD_ID)], False, 0),
    ("id above 2^64-1", b'{"id":18446744073709551616,"method":"list"}\n', [serde(None, "bad_id", BAD_ID)], False, 0),
    ("id of 65 bytes", b'{"id":"' + b"i" * 65 + b'","method":"list"}\n', [serde(None, "bad_id", BAD_ID)], False, 0),
    ("object as id", b'{"id":{},"method":"list"}\n', [serde(None, "bad_id", BAD_ID)], False, 0),
    ("id in use", b'{"id":7,"method":"events"}\n{"id":7,"method":"version"}\n',
     [{"id": 7, "result": {}}, serde(None, "bad_id", "id: in use by another request")], False, 0),
    ("unknown envelope key", b'{"id":1,"methd":"list"}\n', [malformed(1, "unknown key 'methd'" + LISTED)], False, 0),
    ("no method", b'{"id":1}\n', [malformed(1, "method: expected a string")], False, 0),
    ("method of another type", b'{"id":1,"method":7}\n', [malformed(1, "method: expected a string")], False, 0),
    ("params of another type", b'{"id":1,"method":"list","params":[]}\n', [malformed(1, "params: expected an object")],
     False, 0),
    ("unknown method", b'{"id":1,"method":"lst"}\n', [serde(1, "unknown_method", NEAREST)], False, 0),
    ("unknown params key", b'{"id":1,"method":"wait","params":{"id":"a","contaner":"b"}}\n',
     [invalid(1, "unknown key 'contaner'; the nearest known one is 'container'")], False, 0),
    ("params key of another type", b'{"id":1,"method":"wait","params":{"id":7}}\n',
     [invalid(1, "key 'id': expected a string")], False, 0),
    ("missing params key", b'{"id":1,"method":"exec","params":{"id":"a"}}\n', [invalid(1, "key 'process': missing")], False, 0),
    ("neither id nor name", b'{"id":1,"method":"wait"}\n', [invalid(1, "key 'id': missing; so is 'name'")], False, 0),
    ("nested params key", b'{"id":1,"method":"create","params":{"spec":{},"rootfs":{"directry":"/"}}}\n',
     [invalid(1, "unknown key 'rootfs.directry'; the nearest known one is 'rootfs.directory'")], False, 0),
    ("spec with a root", b'{"id":1,"method":"create","params":{"spec":{"root":{}},"rootfs":{"directory":"/"}}}\n',
     [invalid(1, "key 'spec.root': the root file system is given as 'rootfs'")], False, 0),
    ("number above 2^64", b'{"id":1,"method":"wait","params":{"id":"a","process":18446744073709551616}}\n',
     [invalid(1, "key 'process': expected an integer, not negative, below 2^64")], False, 0),
    ("unknown signal", b'{"id":1,"method":"signal","params":{"id":"a","signal":"TREM"}}\n',
     [invalid(1, "key 'signal': expected a number from 1 to 64 or a name like TERM")], False, 0),
    ("descriptors on a method that takes none", b'{"id":1,"method":"list","fds":["stdout"]}\n',
     [serde(1, "bad_descriptors", "this method takes no descriptors")], False, 1),
    ("unknown role", b'{"id":1,"method":"exec","fds":["stdlog"]}\n',
     [serde(1, "bad_descriptors", "fds: a role is stdin, stdout, stderr, stream or extra")], False, 1),
    ("role twice", b'{"id":1,"method":"exec","fds":["stdout","stdout"]}\n',
     [serde(1, "bad_descriptors", "fds: a role stands twice")], False, 2),
    ("fds of another type", b'{"id":1,"method":"exec","fds":"stdout"}\n',
     [serde(1, "bad_descriptors", "fds: expected an array of roles")], False, 0),
    ("fewer descriptors than named", b'{"id":1,"method":"exec","fds":["stdout","stderr"]}\n',
     [serde(1, "bad_descriptors", "fds: fewer descriptors arrived than are named")], True, 1),
    ("descriptors that nobody named", VERSION, [], True, 1),
    ("too many descriptors", b" ", [], True, 65),
    ("2 MiB in one line", BIG, [serde(None, "too_large", "the request is too large")], True, 0),
    ("HTTP at the beginning", b"GET / HTTP/1.1\r\n\r\n", [], True, 0),
    ("a length at the beginning", b"\x00\x00\x00\x1c" + VERSION[:-1], [], True, 0),
    ("a word at the beginning", b"x\n", [], True, 0),
    ("a word at the beginning, with descriptors", b"x\n", [], True, 2),
    ("eight bad lines in a row", b"\n" + b"x\n" * 9, [malformed(None, "offset 0: expected a value")] * 8, True, 0),
]


def run_case(case):
    name, data, answers, ends, fd_count = case
    client = Client()
    fds = [os.open("/dev/null", os.O_RDONLY) for _ in range(fd_count)]
    try:
        client.send(data, fds)
    except (BrokenPipeError, ConnectionResetError):
        pass  # the rest of a line that was refused in its middle
    for fd in fds:
        os.close(fd)
    got = [client.line() for _ in answers]
    if got != answers:
        return "%s: got %s, not %s" % (name, json.dumps(got), json.dumps(answers))
    if ends:
        last = client.line()
        return None if last is None else "%s: the connection goes on with %s" % (name, json.dumps(last))
    try:
        client.send(VERSION)
        after = client.line()
    except (BrokenPipeError, ConnectionResetError):
        after = None
    if not after or after.get("id") != 99 or "result" not in after:
        return "%s: the connection does not go on: %s" % (name, json.dumps(after))
    client.sock.close()
    return None


def good_lines():
    """What must not be refused: CRLF, empty lines, exact ids, pipelining, a half-closed client."""
    client = Client()
    client.send(b'\n\r\n{"id":18446744073709551615,"method":"version"}\r\n{"id":"\\u00e9<","method":"version","params":null}\n')
    client.sock.shutdown(socket.SHUT_WR)
    ids = [client.line()["id"], client.line()["id"]]
    if ids != [18446744073709551615, "\u00e9<"] or client.line() is not None:
        return "good lines: answered with ids %r" % ids
    client = Client()
    client.send(VERSION[:9])
    client.sock.shutdown(socket.SHUT_WR)
    if client.line() is not None:
        return "half a line and the end: not discarded"
    client = Client()
    client.send(b"\n" + b"x\n" * 7 + VERSION + b"x\n" * 7 + VERSION)
    got = [client.line() for _ in range(16)]
    if [a["id"] for a in got if a] != [None] * 7 + [99] + [None] * 7 + [99]:
        return "seven bad lines between good ones: %s" % json.dumps(got)
    client = Client()
    hello = client.call(1, "hello", {"protocol": 1})
    if hello.get("result", {}).get("max_message") != 1048576:
        return "hello: %s" % json.dumps(hello)
    client = Client()
    client.send(b"".join(b'{"id":%d,"method":"version"}\n' % i for i in range(500)))
    if [client.line()["id"] for _ in range(500)] != list(range(500)):
        return "500 pipelined requests: not all answered in order"
    return None


def subscriptions():
    client = Client()
    steps = [("events", {}, {}), ("unsubscribe", {"sub": 0}, {})]
    for i, (method, params, want) in enumerate(steps):
        answer = client.call(i, method, params)
        if answer != {"id": i, "result": want}:
            return "%s: %s" % (method, json.dumps(answer))
    answer = client.call(5, "unsubscribe", {"sub": 0})
    if answer["error"]["error_kind"] != "no_such_entity":
        return "unsubscribe twice: %s" % json.dumps(answer)
    return None


def open_descriptors(client):
    pid = client.call(0, "version")["result"]["pid"]
    return len(os.listdir("/proc/%d/fd" % pid))


def main():
    watcher = Client()
    before = open_descriptors(watcher)
    failures = []
    for case in CASES:
        failures.append(run_case(case))
        if "result" not in watcher.call(1, "version"):
            failures.append("%s: another client is no longer served" % case[0])
    failures += [good_lines(), subscriptions()]
    failures = [f for f in failures if f]
    after = 0
    for _ in range(50):  # closing is asynchronous: the last ones may take their second
        after = open_descriptors(watcher)
        if after <= before:
            break
        time.sleep(0.1)
    if after > before:
        failures.append("%d descriptors before, %d after" % (before, after))
    for failure in failures:
        print("FAIL", failure)
    print("%d cases, %d failed" % (len(CASES) + 2, len(failures)))
    return 1 if failures else 0


sys.exit(main())

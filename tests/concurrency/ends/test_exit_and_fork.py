"""The end of the interpreter with everything open, and `os.fork` in the middle of it. Each test is a process."""

from __future__ import annotations

from typing import Any

import pytest

from support.programs.processes import start, succeeds

__all__ = ["start"]

LONGEST_EXIT = 8.0
"""Seconds that the interpreter may need to end, whatever is open."""

# -- exit


IDLE = """
client, server_session = pair(echo)
exchange(client)
server = sync_h2.create_server(echo)
server.start()
session = sync_h2.connect(server.url)
exchange(session)
"""

BLOCKED_READERS_AND_WRITERS = """
client, server_session = pair(lambda stream, headers: threading.Event().wait())
reading, writing = client.request(), client.request({":method": "POST"})
in_background(reading.read)
in_background(reading.wait_closed)
in_background(writing.write, b"x" * 10_000_000)
in_background(client.close)
eventually(lambda: waits(reading) and waits(writing) and client.closed)
"""

BLOCKED_HANDLERS = """
entered = queue.SimpleQueue()
def handler(stream, headers):
    entered.put(None)
    {"/event": lambda: threading.Event().wait(), "/read": stream.read, "/sleep": lambda: time.sleep(1000),
     "/write": lambda: stream.write(b"x" * 10_000_000)}[headers[":path"]]()
server = sync_h2.create_server(handler)
server.start()
session = sync_h2.connect(server.url)
streams = [session.request({":method": "POST", ":path": path}) for path in ("/event", "/read", "/write", "/sleep")]
for _ in streams:
    entered.get()
"""

FULL_SOCKET = """
near, far = socket.socketpair()
session = sync_h2.connect("http://localhost", sock=near)
far.send(bytes.fromhex("00000c0400000000000004 7fffffff 0005 00ffffff 000004080000000000 7fff0000".replace(" ", "")))
eventually(lambda: not session.connecting)
stream = session.request({":method": "POST"})
in_background(stream.write, b"x" * 50_000_000)
eventually(lambda: session._sender.writer.awaits_writable_locked)
"""

BLOCKED_SEND = (
    FULL_SOCKET
    + """
while session._sender.writer.awaits_writable_locked:
    far.recv(10_000)
eventually(lambda: session._transport._in_hand)
"""
)

BLOCKED_LISTENER = """
client, server_session = pair(echo)
entered = threading.Event()
client.on("remote_settings", lambda settings: (entered.set(), threading.Event().wait()))
entered.wait(10)
client.close(wait=False)
"""

SERVING = """
server = sync_h2.create_server(echo)
in_background(server.serve_forever)
eventually(lambda: server._acceptor._thread)
silent = socket.create_connection(server.address)
eventually(lambda: server._connections._newcomers or server.sessions)
"""

TRAFFIC = """
server = sync_h2.create_server(echo)
server.start()
def work():
    session = sync_h2.connect(server.url)
    while True:
        exchange(session, b"x" * 100_000)
        done.put(None)
done = queue.SimpleQueue()
for _ in range(4):
    in_background(work)
for _ in range(10):
    done.get()
"""

DESTROYED = """
client, server_session = pair(echo)
stream = client.request({":method": "POST"})
client.destroy()
session_of_nobody, other = pair(echo)
del session_of_nobody
"""


@pytest.mark.parametrize(
    "open_things",
    [
        IDLE,
        BLOCKED_READERS_AND_WRITERS,
        BLOCKED_HANDLERS,
        FULL_SOCKET,
        BLOCKED_SEND,
        BLOCKED_LISTENER,
        SERVING,
        TRAFFIC,
        DESTROYED,
    ],
    ids=[
        "idle",
        "blocked readers and writers",
        "blocked handlers",
        "full socket",
        "blocked send",
        "blocked listener",
        "serving",
        "traffic",
        "destroyed",
    ],
)
def test_the_interpreter_ends_at_once_and_silently(start: Any, open_things: str) -> None:
    process = start(open_things + "say('end')\n")
    assert process.line() == "end"
    seconds, status, errors = process.seconds_to_exit()
    assert (status, errors) == (0, "")
    assert seconds < LONGEST_EXIT


def test_an_exit_status_and_atexit_functions_are_kept(start: Any) -> None:
    process = start(
        BLOCKED_HANDLERS
        # The first exchange is for the worker that stays: from 3.12 on no thread can be started at exit.
        + "import atexit\nmine = pair(echo)\nexchange(mine[0])\n"
        + "atexit.register(exchange, mine[0])\nsay('end')\nsys.exit(7)"
    )
    assert process.line() == "end"
    seconds, status, errors = process.seconds_to_exit()
    assert (status, errors) == (7, "")
    assert seconds < LONGEST_EXIT


INTERRUPT = """
def interrupt():
    main = threading.main_thread().ident

    def blocks_in():
        frame = sys._current_frames().get(main)  # there is none at the interpreter's end
        while frame is not None and frame.f_code.co_name == "acquire":
            frame = frame.f_back
        return frame if frame is not None and frame.f_code.co_name == "block" else None

    first = eventually(blocks_in)
    again = True
    # Again while nothing comes of it: a signal between Python's last look at its signals and the wait wakes nobody.
    # What the main thread waits for after that is another call.
    while again:
        os.kill(os.getpid(), signal.SIGINT)
        once_more = time.monotonic() + 1
        while (again := blocks_in() is first) and time.monotonic() < once_more:
            time.sleep(0.002)
"""


def test_an_interrupt_ends_a_server(start: Any) -> None:
    """Ctrl-C in `serve_forever`: the `with` block closes the server, then the interrupt goes on as anywhere."""
    process = start(
        INTERRUPT
        + IDLE
        + """
in_background(interrupt)
try:
    with server:
        server.serve_forever()
except KeyboardInterrupt:
    assert not server.sessions
    say("interrupted")
"""
    )
    assert process.line() == "interrupted"
    seconds, status, errors = process.seconds_to_exit()
    assert (status, errors) == (0, "")
    assert seconds < LONGEST_EXIT


@pytest.mark.parametrize(
    "call",
    [
        "client.request().read()",
        "client.request({':method': 'POST'}).write(b'x' * 10_000_000)",
        "client.close()",
        "client.request().wait_response()",
        "client.request().wait_closed()",
        "client.ping() and server_session._wait_gone(None)",
    ],
)
def test_an_interrupt_reaches_every_blocking_call(start: Any, call: str) -> None:
    """SIGINT, as Ctrl-C sends it, to a main thread that is blocked; the session goes on or ends clearly."""
    process = start(
        INTERRUPT
        + f"""
kept = []
client, server_session = pair(lambda stream, headers: (stream.detach(), kept.append(stream)))
kept.append(client.request())
in_background(interrupt)
try:
    {call}
except KeyboardInterrupt:
    say("interrupted")
client.destroy()
client._wait_gone(10)
say("end")
"""
    )
    assert process.line() == "interrupted"
    assert process.line() == "end"
    seconds, status, errors = process.seconds_to_exit()
    assert (status, errors) == (0, "")
    assert seconds < LONGEST_EXIT


# -- fork


def test_parent_and_child_go_on(start: Any) -> None:
    """The child can do all that any process can, and so can the parent, during the child's life and after it."""
    succeeds(
        start,
        """
server = sync_h2.create_server(echo)
server.start()
session = sync_h2.connect(server.url)
exchange(session)
go, gone = os.pipe(), os.pipe()

def child():
    mine = sync_h2.connect(server.url)  # to the parent's server
    exchange(mine)
    mine.close(10)
    with sync_h2.create_server(echo) as own:
        with sync_h2.connect(own.url) as to_own:
            exchange(to_own, b"x" * 1_000_000)
    idle = threading.Event()
    client, _ = pair(echo)
    client.set_timeout(0.05, idle.set)
    assert idle.wait(10)  # there is a timer thread
    os.write(gone[1], b"x")
    os.read(go[0], 1)

pid = fork(child)
exchange(session)
os.read(gone[0], 1)
exchange(session, b"x" * 1_000_000)
os.write(go[1], b"x")
ended(pid)
exchange(session)
session.close(10)
server.close(10)
""",
    )


def test_every_call_on_the_parents_objects_is_refused(start: Any) -> None:
    succeeds(
        start,
        """
server = sync_h2.create_server(lambda stream, headers: (stream.detach(), kept.append(stream)))
kept = []
server.start()
session = sync_h2.connect(server.url)
stream = session.request({":method": "POST"})
pending_read = in_background(stream.read)
eventually(lambda: kept and waits(stream))

def child():
    for call in (session.request, session.ping, session.goaway, lambda: session.settings({}), stream.read,
                 stream.wait_response, stream.wait_closed, lambda: stream.write(b"x"), stream.end,
                 lambda: kept[0].respond(), lambda: kept[0].write(b"x"), lambda: session.on("close", print),
                 lambda: stream.rfile.read(), lambda: stream.wfile.write(b"x")):
        refuses(call)
    session.close()
    session.destroy()
    with session:
        pass
    server.close()
    repr(session), repr(stream), repr(server)

ended(fork(child))
kept[0].end(b"goes on")
pending_read.join(10)
assert not pending_read.is_alive()
stream.end()
session.close(10)
server.close(10)
""",
    )


@pytest.mark.parametrize("how", ["close", "destroy", "drop", "os._exit", "sys.exit"])
def test_a_child_sends_no_byte_and_keeps_no_connection_open(start: Any, how: str) -> None:
    """The peer of the parent's connection sees nothing of the child, and the end when the parent ends it, although the
    child lives on.
    """
    succeeds(
        start,
        """
how = sys.argv[1]
near, far = socket.socketpair()
session = sync_h2.connect("http://localhost", sock=near)
far.sendall(bytes.fromhex("000000040000000000"))
eventually(lambda: not session.connecting)
stream = session.request({":method": "POST"})
far.settimeout(10)
time_to_go, child_is_done = os.pipe(), os.pipe()

def received():
    data = b""
    far.setblocking(False)
    try:
        while piece := far.recv(65536):
            data += piece
    except BlockingIOError:
        pass
    far.settimeout(10)
    return data

before = received()
descriptor = near.fileno()

def child():
    global session, stream
    try:
        os.fstat(descriptor)
    except OSError:
        pass
    else:
        raise AssertionError("the child has a copy of the descriptor")
    far.close()
    if how == "close":
        session.close(5)
    elif how == "destroy":
        session.destroy()
    elif how == "drop":
        del session, stream
        gc.collect()
        client, _ = pair(echo)  # with a timer thread, which gets what finalizers left
        exchange(client)
        client.close(10)
    os.write(child_is_done[1], b"x")
    if how == "sys.exit":
        os.read(time_to_go[0], 1)
        sys.exit(0)
    os.read(time_to_go[0], 1)

if how == "sys.exit":  # through the end of the interpreter
    pid = os.fork()
    if not pid:
        child()
else:
    pid = fork(child)
os.read(child_is_done[0], 1)
assert received() == b""
stream.write(b"from the parent")
stream.end()
expected = b"\\0\\0\\x0f\\0\\0\\0\\0\\0\\1from the parent"
data = b""
while len(data) < len(expected):
    data += far.recv(65536)
assert data.startswith(expected), data
session.destroy()
while far.recv(65536):  # the end, though the child lives
    pass
os.write(time_to_go[1], b"x")
ended(pid)
far.close()
session._wait_gone(10)
""",
        how,
    )


def test_a_fork_while_another_thread_holds_the_lock(start: Any) -> None:
    """In the child that lock is never released: nobody there waits for it."""
    succeeds(
        start,
        """
client, server_session = pair(echo)
stream = client.request({":method": "POST"})
inside, leave = threading.Event(), threading.Event()

def hold():
    with client._monitor, client._lock:
        inside.set()
        leave.wait(15)

holder = in_background(hold)
inside.wait(10)

def child():
    global client, stream
    refuses(client.ping)
    refuses(stream.read)
    client.close()
    client.destroy()
    del client, stream
    gc.collect()
    mine, _ = pair(echo)
    exchange(mine)
    mine.close(10)

pid = fork(child)
ended(pid)
leave.set()
holder.join()
exchange(client)
stream.end(b"x")
assert stream.read(timeout=10) == b"x"
client.close(10)
""",
    )


def test_a_fork_while_the_writer_is_in_the_middle_of_a_frame(start: Any) -> None:
    """What the parent's writer still has to send comes whole, whatever the children do."""
    succeeds(
        start,
        """
body = bytes(range(256)) * 20_000
near, far = socket.socketpair()
session = sync_h2.connect("http://localhost", sock=near)
# SETTINGS and WINDOW_UPDATE: frames and windows as large as they get
far.sendall(bytes.fromhex("00000c04000000000000047fffffff000500ffffff" "000004080000000000" "7fff0000"))
eventually(lambda: not session.connecting)
stream = session.request({":method": "POST"})
writing = in_background(stream.end, body)
eventually(lambda: session._sender.writer.awaits_writable_locked)  # not `active`, which it is a little before that
incoming = far.makefile("rb")
begin = b""
while session._sender.writer.awaits_writable_locked:
    begin += incoming.read(10_000)
eventually(lambda: session._transport._in_hand)

def child():
    refuses(session.ping)
    refuses(lambda: stream.write(b"x"))
    session.destroy()

for pid in [fork(child) for _ in range(3)]:
    ended(pid)

def read(count):
    global begin
    front, begin = begin[:count], begin[count:]
    return front + incoming.read(count - len(front))

read(24)
received = b""
while True:
    header = read(9)
    payload = read(int.from_bytes(header[:3], "big"))
    if header[3] == 0:
        received += payload
        if header[4] & 1:
            break
assert received == body
writing.join(10)
incoming.close()
far.close()
session.destroy()
session._wait_gone(10)
""",
    )


def test_forks_under_traffic(start: Any) -> None:
    """At any moment: locks of ours, of the queue module and of logging may be held by other threads."""
    succeeds(
        start,
        """
import logging
nowhere = os.open(os.devnull, os.O_WRONLY)

class Handler(logging.Handler):  # a file object's own lock does not survive a fork
    def emit(self, record):
        os.write(nowhere, self.format(record).encode())

logging.basicConfig(level=logging.INFO, handlers=[Handler()])
server = sync_h2.create_server(echo)
server.start()
stop = threading.Event()

def work():
    with sync_h2.connect(server.url) as session:
        while not stop.is_set():
            exchange(session, b"x" * 20_000)

def child():
    client, _ = pair(echo)
    exchange(client)
    client.close(10)

workers = [in_background(work) for _ in range(4)]
for _ in range(20):
    ended(fork(child))
stop.set()
for worker in workers:
    worker.join(15)
    assert not worker.is_alive()
server.close(10)
""",
    )


def test_a_fork_in_a_handler_and_in_a_listener(start: Any) -> None:
    succeeds(
        start,
        """
pids = queue.SimpleQueue()

def child():
    mine, _ = pair(echo)
    exchange(mine)
    mine.close(10)

def handler(stream, headers):
    pids.put(fork(child))
    stream.end(stream.read())

def listener(settings):
    pids.put(fork(child))

client, server_session = pair(handler, client={"listeners": {"remote_settings": listener}})
exchange(client)
for _ in range(2):
    ended(pids.get(timeout=10))
exchange(client)
ended(pids.get(timeout=10))
client.close(10)
""",
    )


def test_multiprocessing_with_fork(start: Any) -> None:
    succeeds(
        start,
        """
import multiprocessing

def work(url, results):
    with sync_h2.connect(url) as session:
        exchange(session, b"x" * 100_000)
    results.put("done")

context = multiprocessing.get_context("fork")
with sync_h2.create_server(echo) as server, sync_h2.connect(server.url) as session:
    exchange(session)
    results = context.SimpleQueue()
    processes = [context.Process(target=work, args=(server.url, results)) for _ in range(3)]
    for process in processes:
        process.start()
    exchange(session)
    for process in processes:
        process.join(15)
        assert process.exitcode == 0, process.exitcode
    exchange(session)
""",
    )


def test_a_grandchild(start: Any) -> None:
    succeeds(
        start,
        """
def grandchild():
    refuses(client.ping)
    refuses(mine.ping)
    own, _ = pair(echo)
    exchange(own)
    own.close(10)

def child():
    global mine
    mine, _ = pair(echo)
    exchange(mine)
    ended(fork(grandchild))
    exchange(mine)
    mine.close(10)

client, server_session = pair(echo)
ended(fork(child))
exchange(client)
client.close(10)
""",
    )


def test_a_fork_with_tls(start: Any, certificate: Any, ca_file: str) -> None:
    """No close_notify of the child ends the parent's connection."""
    succeeds(
        start,
        """
certfile, keyfile, cafile = sys.argv[1:]
server = sync_h2.create_secure_server(echo, certfile=certfile, keyfile=keyfile)
server.start()
session = sync_h2.connect(server.url, cafile=cafile)
exchange(session)

def child():
    refuses(session.ping)
    session.destroy()
    with sync_h2.connect(server.url, cafile=cafile) as mine:
        exchange(mine)

ended(fork(child))
exchange(session, b"x" * 1_000_000)
session.close(10)
server.close(10)
""",
        str(certificate.certfile),
        str(certificate.keyfile),
        ca_file,
    )


def test_a_child_serves_on_the_listening_socket_it_inherited(start: Any) -> None:
    """Pre-forking servers (gunicorn) bind first and make their server in each child."""
    succeeds(
        start,
        """
listener = socket.create_server(("127.0.0.1", 0))
url = "http://{}:{}".format(*listener.getsockname())
stop = os.pipe()

def child():
    with sync_h2.create_server(echo, sock=listener):
        os.read(stop[0], 1)

pids = [fork(child) for _ in range(2)]
for _ in range(4):
    with sync_h2.connect(url) as session:
        exchange(session)
os.write(stop[1], b"xx")
for pid in pids:
    ended(pid)
listener.close()
""",
    )

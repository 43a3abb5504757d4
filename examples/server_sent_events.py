"""An answer that goes on while there is news, read line by line as it comes: server_sent_events.py WORD..."""

import io
import queue
import sys

import sync_h2

news: "queue.SimpleQueue[str | None]" = queue.SimpleQueue()


def handler(stream: sync_h2.ServerStream, headers: sync_h2.Headers) -> None:
    stream.respond({"content-type": "text/event-stream"})
    while (word := news.get()) is not None:
        stream.write(f"data: {word}\n".encode())
    stream.end()


with sync_h2.create_server(handler) as server, sync_h2.connect(server.url) as session:
    stream = session.request({"accept": "text/event-stream"})
    lines = io.TextIOWrapper(stream.rfile, encoding="utf-8")
    for word in sys.argv[1:]:
        news.put(word)
        print(lines.readline().strip())
    news.put(None)
    print("the end" if lines.readline() == "" else "more?")

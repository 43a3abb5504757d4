"""A request that is answered when there is news, and made again: long_poll.py WORD..."""

import sys
import threading

import sync_h2

news: list[str] = []
changed = threading.Condition()


def handler(stream: sync_h2.ServerStream, headers: sync_h2.Headers) -> None:
    seen = int(headers[":path"].removeprefix("/news/"))
    with changed:
        # A handler has a thread of its own, so it can simply wait. The time limit is for clients that have gone.
        changed.wait_for(lambda: len(news) > seen, timeout=25)
        fresh = news[seen:]
    if fresh:
        stream.respond({"content-type": "text/plain"})
        stream.end("\n".join(fresh).encode())
    else:
        stream.respond({":status": 204})


with sync_h2.create_server(handler) as server, sync_h2.connect(server.url) as session:
    seen = 0
    for word in sys.argv[1:]:
        stream = session.request({":path": f"/news/{seen}"})
        with changed:
            news.append(word)
            changed.notify_all()
        for line in stream.read().decode().splitlines():
            seen += 1
            print(f"news {seen}:", line)

"""Clients of language models and of file stores stream through `HTTPXTransport`: each piece comes when it is sent.

The server sends a piece only after the client has seen the one before, so a piece kept back ends the test.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import anthropic
import httpx2
import huggingface_hub
import openai
import pytest
from huggingface_hub import constants
from huggingface_hub.utils import _http, tqdm

import sync_h2
from support.tls.certificates import Certificate
from sync_h2.adapters import HTTPXTransport

PATIENCE = 20.0
WORDS = ["HTTP/2", " is", " a", " protocol", "."]
FILE = bytes(range(256)) * 40
PIECE = 1_000
QUESTION = [{"role": "user", "content": "What is HTTP/2?"}]


class FakeService:
    """Answers like the services that the clients are for; `seen` is released for each piece that has arrived."""

    def __init__(self) -> None:
        self.seen = threading.Semaphore(1)
        self.bodies: list[Any] = []

    def __call__(self, stream: sync_h2.ServerStream, headers: sync_h2.Headers) -> None:
        body = stream.read()
        self.bodies.append(json.loads(body) if body else None)
        kind = headers[":path"].rpartition("/")[2]
        if kind == "completions":
            self._send(stream, {"content-type": "text/event-stream"}, _completion())
        elif kind == "messages":
            self._send(stream, {"content-type": "text/event-stream"}, _message())
        else:
            fields = {"x-repo-commit": "0" * 40, "etag": '"1"', "content-length": str(len(FILE))}
            head_only = headers[":method"] == "HEAD"
            self._send(stream, fields, [] if head_only else [FILE[i : i + PIECE] for i in range(0, len(FILE), PIECE)])

    def _send(self, stream: sync_h2.ServerStream, fields: dict[str, str], pieces: list[bytes]) -> None:
        stream.respond(fields)
        for piece in pieces:
            if not self.seen.acquire(timeout=PATIENCE):
                stream.close(sync_h2.ErrorCode.INTERNAL_ERROR)
                return
            stream.write(piece)
        stream.end()


def _completion() -> list[bytes]:
    choices = [{"index": 0, "delta": {"content": word}, "finish_reason": None} for word in WORDS]
    common = {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    events = [f"data: {json.dumps({**common, 'choices': [choice]})}\n\n" for choice in choices]
    return [event.encode() for event in events[:-1]] + [f"{events[-1]}data: [DONE]\n\n".encode()]


def _message() -> list[bytes]:
    deltas = [{"index": 0, "delta": {"type": "text_delta", "text": word}} for word in WORDS]
    message = {"id": "1", "type": "message", "role": "assistant", "model": "m", "content": []}
    message |= {"stop_reason": None, "stop_sequence": None, "usage": {"input_tokens": 1, "output_tokens": 1}}
    events = [
        ("message_start", {"message": message}),
        ("content_block_start", {"index": 0, "content_block": {"type": "text", "text": ""}}),
        *(("content_block_delta", delta) for delta in deltas),
        ("content_block_stop", {"index": 0}),
        ("message_delta", {"delta": {"stop_reason": "end_turn", "stop_sequence": None}, "usage": {"output_tokens": 5}}),
        ("message_stop", {}),
    ]
    return [f"event: {name}\ndata: {json.dumps({'type': name, **data})}\n\n".encode() for name, data in events]


@pytest.fixture(params=["HTTP/2", "HTTP/1.1"])
def protocol(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def service() -> FakeService:
    return FakeService()


@pytest.fixture
def url(service: FakeService, certificate: Certificate, protocol: str) -> Iterator[str]:
    if protocol == "HTTP/1.1":
        serving = sync_h2.create_server(service, allow_http1=True)
    else:
        serving = sync_h2.create_secure_server(
            service, certfile=certificate.certificate_pem, keyfile=certificate.key_pem
        )
    with serving as server:
        yield server.url


@pytest.fixture
def make_client(certificate: Certificate, protocol: str) -> Callable[[], httpx2.Client]:
    def check(response: Any) -> None:
        assert response.http_version == protocol

    def make() -> httpx2.Client:
        transport = HTTPXTransport(verify=str(certificate.cafile))
        return httpx2.Client(transport=transport, event_hooks={"response": [check]})

    return make


def test_openai(url: str, make_client: Any, service: FakeService) -> None:
    with openai.OpenAI(api_key="k", base_url=f"{url}/v1", http_client=make_client(), max_retries=0) as client:
        words = []
        for event in client.chat.completions.create(model="m", messages=QUESTION, stream=True):
            words.append(event.choices[0].delta.content)
            service.seen.release()
    assert words == WORDS
    assert service.bodies[0]["messages"] == QUESTION


def test_anthropic(url: str, make_client: Any, service: FakeService) -> None:
    with anthropic.Anthropic(api_key="k", base_url=url, http_client=make_client(), max_retries=0) as client:
        words = []
        for event in client.messages.create(model="m", max_tokens=9, messages=QUESTION, stream=True):
            if event.type == "content_block_delta":
                words.append(event.delta.text)
            service.seen.release()
    assert words == WORDS
    assert service.bodies[0]["messages"] == QUESTION


@pytest.fixture
def hub(make_client: Any) -> Iterator[None]:
    """huggingface_hub's client is one for the process."""
    default = _http._GLOBAL_CLIENT_FACTORY
    huggingface_hub.set_client_factory(make_client)
    yield
    huggingface_hub.set_client_factory(default)


def test_hugging_face_chat(url: str, hub: None, service: FakeService) -> None:
    client = huggingface_hub.InferenceClient(base_url=f"{url}/v1", api_key="k")
    words = []
    for event in client.chat_completion(QUESTION, stream=True):
        words.append(event.choices[0].delta.content)
        service.seen.release()
    assert words == WORDS
    assert service.bodies[0]["messages"] == QUESTION


def test_hugging_face_download(
    url: str, hub: None, service: FakeService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Progress(tqdm):
        monitor_interval = 0  # no thread that watches how often it is drawn

        def update(self, n: float | None = 1) -> bool | None:
            service.seen.release()
            return super().update(n)

    monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", PIECE)
    path = huggingface_hub.hf_hub_download(
        "owner/model", "weights", endpoint=url, cache_dir=tmp_path, token=False, tqdm_class=Progress
    )
    assert Path(path).read_bytes() == FILE

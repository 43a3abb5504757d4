"""A small site with Bottle: forms, uploads, cookies, files in part, JSON, redirects and errors."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

from bottle import Bottle, HTTPResponse, abort, redirect, request, response, static_file


def create_app(folder: Path) -> Bottle:
    app = Bottle()
    (folder / "picture.bin").write_bytes(bytes(range(256)) * 1000)
    os.utime(folder / "picture.bin", (1e9, 1e9))

    @app.get("/hello/<name>")
    def hello(name: str) -> str:
        return f"Hello {name}!"

    @app.get("/json")
    def as_json() -> dict[str, Any]:
        return {"query": dict(request.query), "numbers": [1, 2, 3]}

    @app.post("/form")
    def form() -> str:
        return ", ".join(f"{name}={value}" for name, value in sorted(request.forms.decode().items()))

    @app.post("/upload")
    def upload() -> str:
        picture = request.files["picture"]
        with request.body, picture.file as file:  # Bottle leaves what is large to the garbage collector
            return f"{picture.filename} {hashlib.sha256(file.read()).hexdigest()}"

    @app.put("/body")
    def body() -> str:
        with request.body as file:
            return hashlib.sha256(file.read()).hexdigest()

    @app.get("/cookies")
    def cookies() -> str:
        response.set_cookie("visits", str(int(request.get_cookie("visits", "0")) + 1), path="/")
        response.set_cookie("theme", "dark")
        return str(request.get_cookie("visits", "none"))

    @app.get("/picture")
    def picture() -> Any:
        return static_file("picture.bin", str(folder))

    @app.get("/download")
    def download() -> Any:
        return static_file("picture.bin", str(folder), download="picture.bin")

    @app.get("/away")
    def away() -> None:
        redirect("/hello/away", 303)  # Bottle's own choice depends on the version of HTTP

    @app.get("/teapot")
    def teapot() -> None:
        abort(418, "short and stout")

    @app.get("/nothing")
    def nothing() -> HTTPResponse:
        return HTTPResponse(status=204)

    @app.get("/stream")
    def stream() -> Any:
        response.content_type = "text/plain; charset=UTF-8"
        for number in range(5):
            yield f"line {number}\n"

    @app.get("/broken")
    def broken() -> None:
        raise RuntimeError("the view is broken")

    @app.route("/any", method=["GET", "POST", "DELETE", "PATCH"])
    def any_method() -> str:
        return str(request.method)

    return app

"""The blog of Flask's tutorial, in one file: users who register and log in, and posts that they write, change and
delete.
"""

from __future__ import annotations

import functools
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

from flask import (
    Flask,
    abort,
    flash,
    g,
    get_flashed_messages,
    redirect,
    render_template_string,
    request,
    session,
    url_for,
)
from werkzeug.security import check_password_hash, generate_password_hash

SCHEMA = """
DROP TABLE IF EXISTS user;
DROP TABLE IF EXISTS post;
CREATE TABLE user (id INTEGER PRIMARY KEY AUTOINCREMENT, username TEXT UNIQUE NOT NULL, password TEXT NOT NULL);
CREATE TABLE post (
    id INTEGER PRIMARY KEY AUTOINCREMENT, author_id INTEGER NOT NULL, title TEXT NOT NULL, body TEXT NOT NULL
);
"""

PAGE = """<!doctype html><title>Flaskr</title>
<nav>
{% if g.user %}<span>{{ g.user['username'] }}</span>
{% else %}<a href="{{ url_for('login') }}">Log In</a>{% endif %}
</nav>
{% for message in get_flashed_messages() %}<div class="flash">{{ message }}</div>{% endfor %}
"""
INDEX = (
    PAGE
    + """{% for post in posts %}<article><h1>{{ post['title'] }}</h1><p>by {{ post['username'] }}</p>
<p>{{ post['body'] }}</p></article>{% endfor %}"""
)
FORM = (
    PAGE
    + """<form method="post">{% for field in fields %}<input name="{{ field }}" value="{{ values[field] }}" required>
{% endfor %}<input type="submit"></form>"""
)

View = Callable[..., Any]


def create_app(database: Path) -> Flask:
    """A blog whose posts are in the file `database`; what is in there is forgotten."""
    with sqlite3.connect(database) as connection:
        connection.executescript(SCHEMA)
    connection.close()
    app = Flask("flaskr")
    app.config.update(SECRET_KEY="dev", TESTING=False)

    def get_db() -> sqlite3.Connection:
        if "db" not in g:
            g.db = sqlite3.connect(database)
            g.db.row_factory = sqlite3.Row
        db: sqlite3.Connection = g.db
        return db

    @app.teardown_appcontext
    def close_db(error: BaseException | None) -> None:
        if "db" in g:
            g.pop("db").close()

    @app.before_request
    def load_user() -> None:
        user = session.get("user_id")
        g.user = user and get_db().execute("SELECT * FROM user WHERE id = ?", (user,)).fetchone()

    def login_required(view: View) -> View:
        @functools.wraps(view)
        def wrapped(**values: Any) -> Any:
            return redirect(url_for("login")) if g.user is None else view(**values)

        return wrapped

    def form(**values: str) -> str:
        context = {"fields": list(values), "values": values, "get_flashed_messages": get_flashed_messages}
        return render_template_string(FORM, **context)

    @app.route("/auth/register", methods=("GET", "POST"))
    def register() -> Any:
        if request.method == "POST":
            name, password = request.form["username"], request.form["password"]
            if not name or not password:
                flash("Username and password are required.")
            else:
                try:
                    with get_db() as db:
                        db.execute(
                            "INSERT INTO user (username, password) VALUES (?, ?)",
                            (name, generate_password_hash(password, "pbkdf2:sha256:1")),
                        )
                    return redirect(url_for("login"))
                except sqlite3.IntegrityError:
                    flash(f"User {name} is already registered.")
        return form(username="", password="")

    @app.route("/auth/login", methods=("GET", "POST"))
    def login() -> Any:
        if request.method == "POST":
            query = "SELECT * FROM user WHERE username = ?"
            user = get_db().execute(query, (request.form["username"],)).fetchone()
            if user is not None and check_password_hash(user["password"], request.form["password"]):
                session.clear()
                session["user_id"] = user["id"]
                return redirect(url_for("index"))
            flash("Incorrect username or password.")
        return form(username="", password="")

    @app.route("/auth/logout")
    def logout() -> Any:
        session.clear()
        return redirect(url_for("index"))

    @app.route("/")
    def index() -> Any:
        query = "SELECT p.*, username FROM post p JOIN user u ON p.author_id = u.id ORDER BY p.id DESC"
        return render_template_string(INDEX, posts=get_db().execute(query).fetchall())

    @app.route("/create", methods=("GET", "POST"))
    @login_required
    def create() -> Any:
        if request.method == "POST":
            with get_db() as db:
                db.execute(
                    "INSERT INTO post (title, body, author_id) VALUES (?, ?, ?)",
                    (request.form["title"], request.form["body"], g.user["id"]),
                )
            return redirect(url_for("index"))
        return form(title="", body="")

    def get_post(number: int) -> sqlite3.Row:
        post: sqlite3.Row | None = get_db().execute("SELECT * FROM post WHERE id = ?", (number,)).fetchone()
        if post is None:
            abort(404, f"Post id {number} doesn't exist.")
        if post["author_id"] != g.user["id"]:
            abort(403)
        return post

    @app.route("/<int:number>/update", methods=("GET", "POST"))
    @login_required
    def update(number: int) -> Any:
        post = get_post(number)
        if request.method == "POST":
            with get_db() as db:
                db.execute(
                    "UPDATE post SET title = ?, body = ? WHERE id = ?",
                    (request.form["title"], request.form["body"], number),
                )
            return redirect(url_for("index"))
        return form(title=post["title"], body=post["body"])

    @app.route("/<int:number>/delete", methods=("POST",))
    @login_required
    def delete(number: int) -> Any:
        get_post(number)
        with get_db() as db:
            db.execute("DELETE FROM post WHERE id = ?", (number,))
        return redirect(url_for("index"))

    @app.route("/hello")
    def hello() -> str:
        return "Hello, World!"

    return app

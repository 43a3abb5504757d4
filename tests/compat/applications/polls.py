"""The polls of Django's tutorial, in one file: questions, their choices, and votes. Importing it configures Django, for
the whole process.
"""

from __future__ import annotations

import datetime
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import django
from django.conf import settings

TEMPLATES = {
    "index.html": """{% if questions %}<ul>{% for question in questions %}
<li><a href="{% url 'polls:detail' question.id %}">{{ question.question_text }}</a></li>{% endfor %}</ul>
{% else %}<p>No polls are available.</p>{% endif %}""",
    "detail.html": """<form action="{% url 'polls:vote' question.id %}" method="post">{% csrf_token %}<fieldset>
<legend><h1>{{ question.question_text }}</h1></legend>
{% if error_message %}<p><strong>{{ error_message }}</strong></p>{% endif %}
{% for choice in question.choice_set.all %}<input type="radio" name="choice" value="{{ choice.id }}">
{{ choice.choice_text }}{% endfor %}</fieldset><input type="submit" value="Vote"></form>""",
    "results.html": """<h1>{{ question.question_text }}</h1><ul>{% for choice in question.choice_set.all %}
<li>{{ choice.choice_text }} -- {{ choice.votes }} vote{{ choice.votes|pluralize }}</li>{% endfor %}</ul>""",
}

settings.configure(
    SECRET_KEY="dev",
    ALLOWED_HOSTS=["*"],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "chosen by create_app"}},
    INSTALLED_APPS=[
        "django.contrib.auth",
        "django.contrib.contenttypes",
        "django.contrib.sessions",
        "django.contrib.messages",
    ],
    MIDDLEWARE=[
        "django.middleware.security.SecurityMiddleware",
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.middleware.common.CommonMiddleware",
        "django.middleware.csrf.CsrfViewMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
        "django.contrib.messages.middleware.MessageMiddleware",
        "django.middleware.clickjacking.XFrameOptionsMiddleware",
    ],
    TEMPLATES=[
        {
            "BACKEND": "django.template.backends.django.DjangoTemplates",
            "OPTIONS": {"loaders": [("django.template.loaders.locmem.Loader", TEMPLATES)]},
        }
    ],
    ROOT_URLCONF=__name__,
    USE_TZ=True,
    LOGGING_CONFIG=None,
)
django.setup()

# What needs Django's settings when it is imported.
from django.core.management import call_command  # noqa: E402
from django.core.wsgi import get_wsgi_application  # noqa: E402
from django.db import connection, models  # noqa: E402
from django.db.models import F  # noqa: E402
from django.http import (  # noqa: E402
    FileResponse,
    Http404,
    HttpRequest,
    HttpResponse,
    HttpResponseRedirect,
    StreamingHttpResponse,
)
from django.shortcuts import get_object_or_404, render  # noqa: E402
from django.urls import include, path, reverse  # noqa: E402
from django.utils import timezone  # noqa: E402
from django.views import generic  # noqa: E402
from django.views.decorators.csrf import csrf_exempt  # noqa: E402


class Question(models.Model):
    question_text = models.CharField(max_length=200)
    pub_date = models.DateTimeField("date published")

    class Meta:
        app_label = "polls"


class Choice(models.Model):
    question = models.ForeignKey(Question, on_delete=models.CASCADE)
    choice_text = models.CharField(max_length=200)
    votes = models.IntegerField(default=0)

    class Meta:
        app_label = "polls"


class IndexView(generic.ListView):
    template_name = "index.html"
    context_object_name = "questions"

    def get_queryset(self) -> Any:
        return Question.objects.filter(pub_date__lte=timezone.now()).order_by("-pub_date")[:5]


class DetailView(generic.DetailView):
    model = Question
    template_name = "detail.html"


class ResultsView(generic.DetailView):
    model = Question
    template_name = "results.html"


def vote(request: HttpRequest, question_id: int) -> HttpResponse:
    question = get_object_or_404(Question, pk=question_id)
    try:
        choice = question.choice_set.get(pk=request.POST["choice"])
    except (KeyError, Choice.DoesNotExist):
        return render(request, "detail.html", {"question": question, "error_message": "You didn't select a choice."})
    choice.votes = F("votes") + 1
    choice.save()
    return HttpResponseRedirect(reverse("polls:results", args=(question.id,)))


def draft(request: HttpRequest) -> HttpResponse:
    raise Http404("there is no draft")


def export(request: HttpRequest) -> StreamingHttpResponse:
    votes = (f"{choice.choice_text},{choice.votes}\n" for choice in Choice.objects.order_by("id"))
    return StreamingHttpResponse(votes, content_type="text/csv")


def source(request: HttpRequest) -> FileResponse:
    return FileResponse(Path(__file__).open("rb"), content_type="text/plain")


@csrf_exempt
def echo(request: HttpRequest) -> HttpResponse:
    form = repr(request.POST.dict()) if request.method == "POST" else hashlib.sha256(request.read()).hexdigest()
    return HttpResponse(form)


urlpatterns = [
    path("", echo),
    path(
        "polls/",
        include(
            (
                [
                    path("", IndexView.as_view(), name="index"),
                    path("<int:pk>/", DetailView.as_view(), name="detail"),
                    path("<int:pk>/results/", ResultsView.as_view(), name="results"),
                    path("<int:question_id>/vote/", vote, name="vote"),
                ],
                "polls",
            )
        ),
    ),
    path("draft/", draft),
    path("export/", export),
    path("source/", source),
]


def create_app(database: Path) -> Callable[..., Any]:
    """The site with one question and three choices in a new database."""
    connection.close()
    connection.settings_dict["NAME"] = str(database)
    call_command("migrate", verbosity=0)
    with connection.schema_editor() as editor:
        editor.create_model(Question)
        editor.create_model(Choice)
    yesterday = timezone.now() - datetime.timedelta(days=1)
    question = Question.objects.create(question_text="What's up?", pub_date=yesterday)
    for text in ("Not much", "The sky", "Just hacking again"):
        question.choice_set.create(choice_text=text)
    connection.close()
    application: Callable[..., Any] = get_wsgi_application()
    return application

"""The view."""

from types import SimpleNamespace
from typing import Any

from django.http import HttpRequest, JsonResponse
from django.urls import path

from examples import CLIENT_README, python_examples


def example(request: HttpRequest) -> JsonResponse:
    request.user = SimpleNamespace(distinct_id="user_distinct_id_123")
    names: dict[str, Any] = {"team": SimpleNamespace(id=1), "request": request}
    for text in python_examples(CLIENT_README):
        exec(compile(text, str(CLIENT_README), "exec"), names)  # noqa: S102
    answer = names["response"].choices[0].message.content
    return JsonResponse({"answer": answer, "route": names["client"].last_route._asdict()})


urlpatterns = [path("", example)]

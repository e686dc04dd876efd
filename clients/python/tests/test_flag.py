"""The flag, asked through the real `posthog` package of a PostHog that the test controls."""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from collections.abc import Callable
from types import ModuleType, SimpleNamespace
from typing import Any, cast

import pytest

from calls import CLAUDE, STAND_IN, chat, run
from conftest import Configure, StartServer
from llm_gateway_client import flag as flags
from llm_gateway_client import get_async_llm_client, get_llm_client
from servers import Exchange, Server, answers_with, flag_is, flag_waits, refusing

PostHogAt = Callable[[Server], None]


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def until(condition: Callable[[], bool]) -> None:
    """Waits on a condition that another thread brings about."""
    give_up = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < give_up, "the condition never came about"
        time.sleep(0.001)


def test_the_flag_is_asked_once_for_all_calls_and_clients_of_a_team(
    gateway: Server,
    start: StartServer,
    configure: Configure,
    posthog_at: PostHogAt,
    openai_server: Server,
) -> None:
    posthog = start(flag_is(False))
    posthog_at(posthog)
    configure(gateway.url)

    for _ in range(3):
        client = get_llm_client(team_id=2)
        chat(client, [])
        chat(client, [])

    assert len(posthog.received) == 1
    assert posthog.received[0].json["groups"] == {"project": "2"}
    assert len(openai_server.received) == 6
    assert gateway.received == []


def test_each_team_has_its_own_answer(
    gateway: Server,
    start: StartServer,
    configure: Configure,
    posthog_at: PostHogAt,
    openai_server: Server,
) -> None:
    def team_2_only(server: Server, exchange: Exchange) -> None:
        flag_is(exchange.request.json["groups"] == {"project": "2"})(server, exchange)

    posthog_at(start(team_2_only))
    configure(gateway.url)

    for team in (1, 2):
        chat(get_llm_client(team_id=team), [])

    assert openai_server.models == [STAND_IN]
    assert gateway.models == [CLAUDE]


def test_a_package_whose_old_function_is_gone_is_asked_by_its_new_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[tuple[Any, ...]] = []

    class Flags:
        def is_enabled(self, key: str, default: Any, *, send_feature_flag_events: bool) -> Any:
            assert (key, default, send_feature_flag_events) == (flags.FLAG, None, False)
            return {"2": False}.get(asked[-1][0], default)

    def evaluate_flags(who: str, **options: Any) -> Flags:
        asked.append((who, options["groups"], options["flag_keys"]))
        return Flags()

    package = SimpleNamespace(api_key="phc_project", evaluate_flags=evaluate_flags)
    monkeypatch.setitem(sys.modules, "posthog", cast("Any", package))

    assert flags.ask_posthog("2") is False
    assert flags.ask_posthog("3") is None
    assert flags.ask_posthog(None) is None
    assert asked == [
        ("2", {"project": "2"}, [flags.FLAG]),
        ("3", {"project": "3"}, [flags.FLAG]),
        (flags.NO_TEAM, {}, [flags.FLAG]),
    ]


def test_an_application_that_is_called_posthog_itself_has_the_package_by_its_other_name(
    gateway: Server,
    start: StartServer,
    configure: Configure,
    posthog_at: PostHogAt,
    openai_server: Server,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    posthog_at(start(flag_is(False)))
    monkeypatch.setitem(sys.modules, "posthoganalytics", sys.modules["posthog"])
    monkeypatch.setitem(sys.modules, "posthog", ModuleType("posthog"))
    configure(gateway.url)

    chat(get_llm_client(team_id=2), [])

    assert openai_server.models == [STAND_IN]


def test_a_package_that_is_switched_off_is_not_asked(
    gateway: Server,
    start: StartServer,
    configure: Configure,
    posthog_at: PostHogAt,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    posthog = start(flag_is(False))
    posthog_at(posthog)
    monkeypatch.setattr("posthog.disabled", True)
    configure(gateway.url)

    chat(get_llm_client(team_id=2), [])

    assert posthog.received == []
    assert gateway.models == [CLAUDE]


def test_an_old_answer_serves_while_a_new_one_is_fetched(
    gateway: Server,
    start: StartServer,
    configure: Configure,
    posthog_at: PostHogAt,
    openai_server: Server,
) -> None:
    posthog = start(flag_is(True))
    posthog_at(posthog)
    configure(gateway.url)
    client = get_llm_client(team_id=2)
    chat(client, [])

    posthog.respond = flag_waits
    flag = client._router.flag
    flag._stale_at = 0.0
    chat(client, [])
    until(lambda: len(posthog.received) == 2)
    chat(client, [])
    assert len(gateway.received) == 3

    posthog.release.set()
    until(lambda: not flag.enabled())
    chat(client, [])
    assert len(posthog.received) == 2
    assert len(openai_server.received) == 1


@pytest.mark.parametrize(
    ("default", "gateway_calls", "openai_calls"), [("on", 1, 0), ("off", 0, 1)]
)
@pytest.mark.parametrize("trouble", ["no posthog", "no such flag", "posthog fails", "posthog gone"])
def test_a_flag_that_cannot_be_evaluated_has_the_answer_of_the_setting(
    trouble: str,
    default: str,
    gateway_calls: int,
    openai_calls: int,
    gateway: Server,
    start: StartServer,
    configure: Configure,
    posthog_at: PostHogAt,
    openai_server: Server,
) -> None:
    if trouble == "no such flag":
        posthog_at(start(flag_is(None)))
    elif trouble == "posthog fails":
        posthog_at(start(answers_with(500)))
    elif trouble == "posthog gone":
        posthog = start(flag_is(not default))
        posthog_at(posthog)
        posthog.stop()
    configure(gateway.url, LLM_GATEWAY_FLAG_DEFAULT=default)

    chat(get_llm_client(team_id=2), [])

    assert len(gateway.received) == gateway_calls
    assert len(openai_server.received) == openai_calls


def test_the_first_call_waits_for_posthog_only_so_long(
    monkeypatch: pytest.MonkeyPatch,
    gateway: Server,
    start: StartServer,
    configure: Configure,
    posthog_at: PostHogAt,
) -> None:
    monkeypatch.setattr(flags.Flag.wait, "__defaults__", (0.05,))
    posthog = start(flag_waits)
    posthog_at(posthog)
    configure(gateway.url)
    client = get_llm_client(team_id=2)

    chat(client, [])
    chat(client, [])

    assert len(gateway.received) == 2
    posthog.release.set()
    until(lambda: not client._router.flag.enabled())


def test_waiting_for_posthog_does_not_hold_up_other_tasks(
    gateway: Server, start: StartServer, configure: Configure, posthog_at: PostHogAt
) -> None:
    posthog = start(flag_waits)
    posthog_at(posthog)
    configure(gateway.url)

    async def call() -> str:
        async with get_async_llm_client(team_id=2) as client:
            waiting = asyncio.create_task(client.chat.completions.create(model="m", messages=[]))
            await asyncio.to_thread(until, lambda: bool(posthog.received))
            # Only a loop that is free gets here before PostHog has answered.
            posthog.release.set()
            await waiting
            assert client.last_route is None
            return "free"

    assert run(call()) == "free"


def test_an_outage_of_posthog_switches_nothing() -> None:
    clock, answers = Clock(), iter([False, None])
    flag = flags.Flag(lambda: next(answers), default=True, cache_seconds=30, clock=clock)
    for expected in (False, False):
        done = threading.Event()
        flag._fetch(done)
        assert done.is_set()
        assert flag.enabled() is expected


def test_an_answer_is_kept_for_its_time_and_then_asked_for_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(flags, "posthog_is_configured", lambda: True)
    clock, asked = Clock(), list[float]()

    def evaluate() -> bool:
        asked.append(clock.now)
        return True

    flag = flags.Flag(evaluate, default=False, cache_seconds=30, clock=clock)
    flag.wait()
    clock.now += 29.9
    assert flag.enabled()
    assert flag._refreshing is None
    clock.now += 0.1
    assert flag.enabled()
    until(lambda: len(asked) == 2)


def test_a_fork_in_the_middle_of_asking_asks_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flags, "posthog_is_configured", lambda: True)
    flag = flags.Flag(lambda: False, default=True, cache_seconds=30)
    # As a child finds it whose parent was asking: under way, by a thread that is not here.
    flag._refreshing = (-1, threading.Event())

    flag.wait()

    assert flag.enabled() is False


def test_posthog_being_away_costs_a_warning_and_no_exception(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(flags, "posthog_is_configured", lambda: True)

    def evaluate() -> bool:
        raise OSError("no route to host")

    flag = flags.Flag(evaluate, default=True, cache_seconds=30)
    flag.wait()

    assert flag.enabled() is True
    assert "no route to host" in caplog.text


def test_a_posthog_that_is_silent_holds_up_one_teams_first_call_and_no_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(flags, "posthog_is_configured", lambda: True)
    release = threading.Event()

    def evaluate() -> bool:
        assert release.wait(60)
        return False

    one, other, third = (flags.Flag(evaluate, default=True, cache_seconds=30) for _ in range(3))
    one.wait(0.05)
    began = time.monotonic()
    other.wait(30)
    assert time.monotonic() - began < 10
    assert one.enabled()
    assert other.enabled()

    release.set()
    until(lambda: not one.enabled())
    third.wait(30)
    assert not third.enabled()


def test_only_so_many_teams_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flags, "MOST_REMEMBERED", 2)
    first = flags.flag_for("1", default=True, cache_seconds=30)
    flags.flag_for("2", default=True, cache_seconds=30)
    assert flags.flag_for("1", default=True, cache_seconds=30) is first
    flags.flag_for("3", default=True, cache_seconds=30)

    assert [team for team, _, _ in flags._flags] == ["1", "3"]


def test_the_flag_is_not_asked_where_there_is_no_other_way(
    gateway: Server, start: StartServer, configure: Configure, posthog_at: PostHogAt
) -> None:
    posthog = start(flag_is(False))
    posthog_at(posthog)
    key = "phx_dev_local_test_api_key_1234567890abcdef"
    configure(gateway.url, LLM_GATEWAY_API_KEY=key, OPENAI_API_KEY="")

    chat(get_llm_client(team_id=2), [])

    assert posthog.received == []
    assert gateway.models == [CLAUDE]


def test_a_gateway_that_is_gone_stays_an_error_where_there_is_no_other_way(
    configure: Configure,
) -> None:
    import openai

    with refusing() as url:
        key = "phx_dev_local_test_api_key_1234567890abcdef"
        configure(url, LLM_GATEWAY_API_KEY=key, OPENAI_API_KEY="")
        client = get_llm_client().with_options(max_retries=0)
        with pytest.raises(openai.APIConnectionError):
            chat(client, [])
        assert client.last_route == ("gateway", CLAUDE, "gateway", None, ())

"""The breaker, on a clock of the test's own."""

from __future__ import annotations

import threading

from llm_gateway_client.breaker import Breaker


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_it_lets_all_calls_through_until_one_fails() -> None:
    breaker = Breaker(10, Clock())

    assert breaker.admit() is not None
    breaker.failed()
    assert breaker.admit() is None


def test_after_its_time_it_lets_one_probe_through_and_closes_when_that_succeeds() -> None:
    clock = Clock()
    breaker = Breaker(10, clock)
    breaker.failed()

    clock.now += 10
    probe = breaker.admit()
    assert probe is not None
    assert breaker.admit() is None
    breaker.succeeded(probe)

    assert breaker.admit() is not None
    assert breaker.admit() is not None


def test_a_probe_that_fails_opens_it_for_as_long_again() -> None:
    clock = Clock()
    breaker = Breaker(10, clock)
    breaker.failed()
    clock.now += 10
    assert breaker.admit() is not None

    clock.now += 1
    breaker.failed()
    clock.now += 9.5
    assert breaker.admit() is None
    clock.now += 0.5
    assert breaker.admit() is not None


def test_a_probe_that_never_reports_back_is_followed_by_another() -> None:
    clock = Clock()
    breaker = Breaker(10, clock)
    breaker.failed()
    clock.now += 10
    assert breaker.admit() is not None

    clock.now += 10
    assert breaker.admit() is not None


def test_an_answer_to_a_probe_from_before_another_failure_closes_nothing() -> None:
    clock = Clock()
    breaker = Breaker(10, clock)
    breaker.failed()
    clock.now += 10
    probe = breaker.admit()
    assert probe is not None

    breaker.failed()
    breaker.succeeded(probe)

    assert breaker.admit() is None


def test_an_answer_to_a_call_from_before_the_failure_closes_nothing() -> None:
    breaker = Breaker(10, Clock())
    before = breaker.admit()
    assert before is not None

    breaker.failed()
    breaker.succeeded(before)

    assert breaker.admit() is None


def test_of_many_threads_one_gets_the_probe() -> None:
    clock = Clock()
    breaker = Breaker(10, clock)
    breaker.failed()
    clock.now += 10
    start, admitted = threading.Barrier(8), list[int]()

    def ask() -> None:
        start.wait()
        permit = breaker.admit()
        if permit is not None:
            admitted.append(permit)

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(admitted) == 1

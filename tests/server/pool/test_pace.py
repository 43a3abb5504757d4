from __future__ import annotations

from sync_h2.server.pool.pace import Pace


def tick(
    pace: Pace,
    jobs_of_each: list[int],
    *,
    active: int | None = None,
    cores: float = 1.0,
    late: float = 1.0,
    usable: int = 1,
    seconds: float = 0.001,
) -> int:
    """One tick in which a worker for each entry has begun so many jobs; how many may run then."""
    for jobs in jobs_of_each:
        last_tick = -1
        for _ in range(jobs):
            last_tick = pace.began(last_tick)
    pace.tick(len(jobs_of_each) if active is None else active, seconds, late, cores, usable)
    return pace.allowed


def test_one_worker_is_enough_for_short_jobs_that_keep_the_interpreter_busy() -> None:
    pace = Pace()
    assert pace.allowed == 1
    assert [tick(pace, [20]) for _ in range(10)] == [1] * 10


def test_workers_that_all_stand_still_are_doubled() -> None:
    pace = Pace()
    assert [tick(pace, [], active=active, cores=0.1) for active in (1, 2, 4, 8)] == [2, 4, 8, 16]


def test_workers_that_stand_still_because_others_run_get_company_later() -> None:
    pace = Pace()
    assert [tick(pace, [], active=4) for _ in range(12)] == [4] * 10 + [5] * 2


def test_with_nobody_active_somebody_may_be() -> None:
    assert tick(Pace(), [], active=0) == 1


def test_an_interpreter_that_idles_takes_more_workers() -> None:
    pace = Pace()
    assert tick(pace, [1] * 8, cores=0.1) == 8 + 1 + 2


def test_who_ticks_late_adds_nobody() -> None:
    pace = Pace()
    assert tick(pace, [1] * 8, cores=0.1, late=5.0) == 8


def test_a_busy_interpreter_gets_rid_of_workers_with_short_jobs() -> None:
    pace = Pace()
    moving = 16
    seen = []
    while moving > 1:
        moving = tick(pace, [10] * moving)
        seen.append(moving)
    assert seen == [12, 9, 7, 6, 5, 4, 3, 2, 1]


def test_long_jobs_keep_their_workers_and_get_more_in_the_long_run() -> None:
    """They may wait for something, while others keep the interpreter busy."""
    pace = Pace()
    assert [tick(pace, [2] * 8) for _ in range(12)] == [8] * 10 + [9] * 2
    assert tick(pace, [10] * 8) == 6
    assert tick(pace, [2] * 6) == 6


def test_workers_that_wait_do_not_count_against_those_that_move() -> None:
    assert tick(Pace(), [10, 10], active=12) == 10 + 1


def test_a_job_that_began_before_the_last_tick_was_not_quick() -> None:
    pace = Pace()
    tick = pace.began(-1)
    assert pace.is_now(tick)
    pace.tick(1, 0.001, 1.0, 0.1, 1)
    assert not pace.is_now(tick)


def test_several_cores_are_for_jobs_that_compute() -> None:
    pace = Pace()
    assert tick(pace, [1], cores=1.0, usable=4) == 2
    assert tick(pace, [1, 1], cores=2.0, usable=4) == 3
    assert tick(pace, [1, 1, 1], cores=3.0, usable=4) == 4
    assert tick(pace, [1, 1, 1, 1], cores=4.0, usable=4) == 4


def test_several_cores_are_not_for_tiny_jobs() -> None:
    pace = Pace()
    assert tick(pace, [8], cores=1.0, usable=4) == 1
    assert tick(pace, [8], cores=0.7, usable=4) == 2


def test_busy_cores_keep_a_worker_each_that_has_short_jobs() -> None:
    pace = Pace()
    moving = 10
    seen = []
    while moving > 4:
        moving = tick(pace, [5] * moving, cores=4.0, usable=4, seconds=0.01)
        seen.append(moving)
    assert seen == [8, 6, 5, 4]
    assert tick(pace, [5] * 4, cores=4.0, usable=4, seconds=0.01) == 4


def test_busy_cores_get_rid_of_a_crowd() -> None:
    assert tick(Pace(), [1] * 12, cores=4.0, usable=4) == 9


def test_while_several_cores_idle_workers_that_all_stand_still_are_doubled() -> None:
    assert tick(Pace(), [], active=8, cores=0.9, usable=4) == 16
    assert tick(Pace(), [], active=8, cores=2.5, usable=4) == 9

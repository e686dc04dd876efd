//! One counter, alone and among others, near its limit and far from it, and as time is set.

use super::*;

const HOUR: u64 = 3_600_000;
const NOON: LedgerTime = LedgerTime(500 * HOUR);

fn later(ms: u64) -> LedgerTime {
    LedgerTime(NOON.0 + ms)
}

fn counter(limit: i64) -> Counter {
    Counter::new(WindowLength::new(Duration::from_millis(HOUR)).unwrap(), NanoUsd(limit), NOON)
}

fn learnt(admitted: bool, others: i64, lease: i64) -> Learnt {
    Learnt {
        admitted,
        others: Spent { current: NanoUsd(others), previous: NanoUsd::ZERO },
        promised: NanoUsd::ZERO,
        lease: NanoUsd(lease),
    }
}

fn admit(counter: &mut Counter, estimate: i64, company: Company) -> Local {
    counter.admit(NanoUsd(estimate), NOON, company).0
}

fn settle(counter: &mut Counter, estimate: i64, actual: i64) -> bool {
    counter.settle(NanoUsd(estimate), NanoUsd(actual), NOON, 0.8).0
}

#[test]
fn what_each_call_needs_fits_two_cache_lines_with_a_lock_before_it() {
    assert!(size_of::<u64>() + std::mem::offset_of!(Counter, promised) <= 128);
}

#[test]
fn the_short_way_says_what_the_long_one_would() {
    let mut admitted = 0;
    for case in 0..200_000_u64 {
        let mut random = fastrand::Rng::with_seed(case);
        let mut counter = counter(100);
        let mut amount = |most: i64| NanoUsd(random.i64(0..=most));
        (counter.own.current, counter.others.current) = (amount(60), amount(60));
        (counter.reserved, counter.promised, counter.lease) = (amount(40), amount(3), amount(40));
        let estimate = amount(30);
        counter.looked_at = LedgerTime(NOON.0 - random.u64(0..2 * LEASE_MS));
        let company = if random.bool() { Company::Alone } else { Company::Shared(2) };
        if !counter.is_far_from_its_limit(estimate, NOON, company) {
            continue;
        }
        admitted += 1;
        let mut standing = counter.standing();
        standing.reserved += if company == Company::Alone { counter.promised_elsewhere(NOON) } else { NanoUsd::ZERO };
        assert_eq!(standing.verdict(estimate, NOON), Verdict::Admit, "{counter:?}");
        assert!(company == Company::Alone || counter.is_covered(estimate, NOON, 2), "{counter:?}");
    }
    assert!(admitted > 10_000, "{admitted}");
}

#[test]
fn alone_calls_go_until_reservations_fill_the_limit() {
    let mut counter = counter(100);
    for _ in 0..10 {
        assert_eq!(admit(&mut counter, 10, Company::Alone), Local::Admitted);
    }
    assert_eq!(admit(&mut counter, 10, Company::Alone), Local::Wait);
    settle(&mut counter, 10, 5);
    assert_eq!(admit(&mut counter, 5, Company::Alone), Local::Admitted);
}

#[test]
fn what_was_spent_refuses() {
    let mut counter = counter(100);
    counter.reserve(NanoUsd(10));
    settle(&mut counter, 10, 100);
    assert!(matches!(admit(&mut counter, 1, Company::Alone), Local::Refused { .. }));
}

#[test]
fn among_others_a_first_call_that_is_small_goes_unseen_and_a_large_one_asks() {
    let mut counter = counter(1000);
    assert_eq!(admit(&mut counter, 5, Company::Shared(2)), Local::Admitted);
    assert_eq!(admit(&mut counter, 5, Company::Shared(2)), Local::Ask, "half of a hundredth is spent");
}

#[test]
fn a_lease_is_spent_without_asking_and_no_further() {
    let mut counter = counter(1000);
    let told = counter.tell(NOON);
    counter.learn(&told, &learnt(true, 0, 250), NanoUsd(10), NOON, NOON);
    for _ in 0..25 {
        assert_eq!(admit(&mut counter, 10, Company::Shared(2)), Local::Admitted);
    }
    assert_eq!(admit(&mut counter, 10, Company::Shared(2)), Local::Ask);
}

#[test]
fn what_was_admitted_while_a_look_was_under_way_comes_off_the_lease() {
    let mut counter = counter(1000);
    let told = counter.tell(NOON);
    counter.learn(&told, &learnt(false, 0, 250), NanoUsd::ZERO, NOON, NOON);
    let told = counter.tell(NOON);
    assert_eq!(admit(&mut counter, 200, Company::Shared(2)), Local::Admitted);
    counter.learn(&told, &learnt(false, 0, 250), NanoUsd::ZERO, NOON, NOON);
    assert_eq!(admit(&mut counter, 51, Company::Shared(2)), Local::Ask);
    assert_eq!(admit(&mut counter, 50, Company::Shared(2)), Local::Admitted);
}

#[test]
fn what_was_spent_is_mentioned_without_a_look_for_a_moment_and_half_of_a_lease() {
    let mut counter = counter(1000);
    assert_eq!(counter.mention(NOON), None, "it has never looked");
    let told = counter.tell(NOON);
    counter.learn(&told, &learnt(false, 0, 250), NanoUsd::ZERO, NOON, NOON);
    counter.reserve(NanoUsd(100));
    settle(&mut counter, 100, 90);
    let mention = Mention { bucket: told.bucket, own: NanoUsd(90) };
    assert_eq!(counter.mention(later(LOOK_EVERY_MS - 1)), Some(mention));
    assert_eq!(counter.mention(later(LOOK_EVERY_MS)), None);
    counter.reserve(NanoUsd(35));
    assert_eq!(counter.mention(NOON), None, "half of the lease is promised away");
    settle(&mut counter, 35, 0);
    assert!(counter.mention(NOON).is_some());
    counter.doubt();
    assert_eq!(counter.mention(NOON), None);
}

#[test]
fn in_a_new_bucket_what_was_spent_in_the_old_one_is_told_before_anything_is_mentioned() {
    let mut counter = counter(1000);
    let edge = LedgerTime(NOON.0 / HOUR * HOUR + HOUR);
    let before = LedgerTime(edge.0 - 1);
    let told = counter.tell(before);
    counter.learn(&told, &learnt(false, 0, 250), NanoUsd::ZERO, before, before);
    assert!(counter.mention(before).is_some());
    assert_eq!(counter.mention(edge), None);
}

#[test]
fn a_lease_ends() {
    let mut counter = counter(1000);
    let told = counter.tell(NOON);
    counter.learn(&told, &learnt(false, 0, 250), NanoUsd::ZERO, NOON, NOON);
    let late = counter.admit(NanoUsd(100), later(LEASE_MS), Company::Shared(2)).0;
    assert_eq!(late, Local::Ask);
}

#[test]
fn a_lease_is_good_from_when_it_was_asked_for_and_not_from_when_the_answer_came() {
    let mut counter = counter(1000);
    let told = counter.tell(NOON);
    counter.learn(&told, &learnt(false, 0, 250), NanoUsd::ZERO, NOON, later(LEASE_MS - 1));
    assert_eq!(counter.admit(NanoUsd(100), later(LEASE_MS - 1), Company::Shared(2)).0, Local::Admitted);
    assert_eq!(counter.admit(NanoUsd(100), later(LEASE_MS), Company::Shared(2)).0, Local::Ask);
}

#[test]
fn what_a_redis_has_forgotten_is_not_free_again() {
    let mut counter = counter(100);
    let told = counter.tell(NOON);
    counter.learn(&told, &learnt(false, 100, 0), NanoUsd::ZERO, NOON, NOON);
    counter.learn(&told, &learnt(false, 0, 50), NanoUsd::ZERO, NOON, NOON);
    assert!(matches!(admit(&mut counter, 1, Company::Shared(2)), Local::Refused { .. }));
}

#[test]
fn out_of_reach_of_the_others_what_they_had_reserved_counts_for_a_while() {
    let mut counter = counter(100);
    let told = counter.tell(NOON);
    let promised = Learnt { promised: NanoUsd(60), ..learnt(false, 30, 0) };
    counter.learn(&told, &promised, NanoUsd::ZERO, NOON, NOON);
    assert_eq!(admit(&mut counter, 20, Company::Alone), Local::Wait);
    assert_eq!(admit(&mut counter, 10, Company::Alone), Local::Admitted);
    assert_eq!(counter.admit(NanoUsd(20), later(PROMISE_MS), Company::Alone).0, Local::Admitted);
}

#[test]
fn what_others_spent_refuses_here_too_and_fades_with_the_window() {
    let mut counter = counter(100);
    let told = counter.tell(NOON);
    counter.learn(&told, &learnt(false, 100, 0), NanoUsd::ZERO, NOON, NOON);
    assert!(matches!(admit(&mut counter, 1, Company::Alone), Local::Refused { .. }));
    assert_eq!(counter.admit(NanoUsd(1), later(HOUR + HOUR / 2), Company::Alone).0, Local::Admitted);
}

#[test]
fn a_new_counter_takes_over_a_reset_it_had_not_heard_of_and_keeps_what_it_spent() {
    let mut counter = counter(1000);
    counter.reserve(NanoUsd(10));
    settle(&mut counter, 10, 90);
    counter.forget(7);
    let told = counter.tell(NOON);
    assert_eq!((told.resets, told.own.current), (7, NanoUsd(90)));
    counter.learn(&told, &learnt(false, 0, 250), NanoUsd::ZERO, NOON, NOON);
    counter.forget(8);
    let told = counter.tell(NOON);
    assert_eq!((told.resets, told.own.current), (8, NanoUsd::ZERO));
}

#[test]
fn a_step_of_time_neither_frees_nor_holds_what_was_spent() {
    let odd = HOUR / 3 + 7;
    for to in [NOON.0 - 90 * HOUR, NOON.0 + 90 * HOUR, NOON.0 - 90 * HOUR - odd, NOON.0 + 90 * HOUR + odd] {
        let mut counter = counter(100);
        counter.reserve(NanoUsd(100));
        settle(&mut counter, 100, 100);
        let to = LedgerTime(to);
        counter.step(NOON, to);
        assert!(matches!(counter.admit(NanoUsd(1), to, Company::Alone).0, Local::Refused { .. }));
        let a_window_later = LedgerTime(to.0 + HOUR + 60_000);
        assert_eq!(counter.admit(NanoUsd(1), a_window_later, Company::Alone).0, Local::Admitted);
    }
}

#[test]
fn a_warning_comes_once_when_its_share_is_reached() {
    let mut counter = counter(100);
    let spends = |counter: &mut Counter, amount| {
        counter.reserve(NanoUsd(amount));
        settle(counter, amount, amount)
    };
    assert!(!spends(&mut counter, 79));
    assert!(spends(&mut counter, 1));
    assert!(!spends(&mut counter, 1));
}

#[test]
fn in_one_bucket_there_is_one_warning_however_often_the_share_is_reached() {
    let mut counter = counter(100);
    let spends = |counter: &mut Counter, amount, at| {
        counter.reserve(NanoUsd(amount));
        counter.settle(NanoUsd(amount), NanoUsd(amount), at, 0.8).0
    };
    let edge = HOUR - NOON.0 % HOUR;
    assert!(spends(&mut counter, 80, NOON));
    // In the next bucket the old one fades, and is filled up, and fades again.
    assert!(spends(&mut counter, 20, later(edge + HOUR / 4)));
    assert!(!spends(&mut counter, 20, later(edge + HOUR / 2)));
    // And in the one after that.
    assert!(spends(&mut counter, 60, later(edge + HOUR + HOUR / 8)));
}

#[test]
fn a_counter_is_idle_once_its_windows_have_passed() {
    let mut counter = counter(100);
    counter.reserve(NanoUsd(5));
    assert!(!counter.is_idle(later(3 * HOUR)), "a call is under way");
    counter.settle(NanoUsd(5), NanoUsd(5), later(3 * HOUR), 0.8);
    assert!(!counter.is_idle(later(4 * HOUR)));
    assert!(counter.is_idle(later(5 * HOUR)));
}

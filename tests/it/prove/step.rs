//! What a step of the shared clock does to an instance that keeps very many counters.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use futures_util::FutureExt as _;
use llm_gateway::clock::Clock;
use llm_gateway::money::NanoUsd;

use super::load::CENT;
use super::machine::Lateness;
use super::{report, times};
use crate::limits::Instance;
use crate::support::own_redis::OwnRedis;
use crate::support::proxy::{Proxy, Weather};
use crate::support::wait;

const DAY: i64 = 24 * 3_600;
const WINDOW: Duration = Duration::from_secs(3_600);
const LIMITS: &str = "[{ per = 'user', usd = 0.01, window = '1h' }]";

/// What a call may wait for at most while the clock is set, beside what the machine is late by.
const PATIENCE: Duration = Duration::from_millis(300);

/// The longest that calls took, of those that ask nobody, and of those that ask Redis.
#[derive(Debug, Default)]
struct Slowest {
    far: Duration,
    near: Duration,
}

/// Calls by users of their own, until it is told to stop.
async fn call_on(instance: Instance, is_over: Arc<AtomicBool>) -> Slowest {
    let mut slowest = Slowest::default();
    for number in 0_u64.. {
        if is_over.load(Ordering::SeqCst) {
            break;
        }
        // A thousandth of the limit, and half of it.
        for (estimate, most) in [(CENT.0 / 1_000, &mut slowest.far), (CENT.0 / 2, &mut slowest.near)] {
            let user = format!("other {number} {estimate}");
            let begun = Instant::now();
            let reserved = instance.reserve(&user, NanoUsd(estimate)).await;
            reserved.unwrap().settle(NanoUsd(estimate / 2));
            *most = begun.elapsed().max(*most);
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    slowest
}

/// For how long somebody is kept out whose limit is spent.
fn kept_out(instance: &Instance, user: usize) -> Duration {
    let refused =
        instance.reserve(&user.to_string(), CENT).now_or_never().expect("nobody is asked, nothing waited for");
    refused.map(drop).expect_err("what was spent counts on").retry_after.unwrap()
}

#[actix_web::test]
async fn a_step_of_the_clock_with_very_many_counters_holds_no_call_up_and_moves_nobody_by_more_than_a_window() {
    let users = times("PROVE_USERS", 2_000);
    for ahead in [DAY + 1_234, -DAY - 1_234] {
        let redis = OwnRedis::start().await;
        let proxy = Proxy::start(redis.address()).await;
        proxy.set(Weather::Cut);
        // Its machine's calendar is wrong, and there is no Redis yet to tell it.
        let settings = [("LLM_GATEWAY__PRODUCTS__LLM_GATEWAY__LIMITS", LIMITS)];
        let url = format!("redis://{}/", proxy.address());
        let instance = Instance::at(Clock::ahead_by(ahead), &url, &settings).await;
        for user in 0..users {
            // Twice the limit: what is set back into the bucket before begins to fade at once.
            instance.reserve(&user.to_string(), CENT).await.unwrap().settle(NanoUsd(2 * CENT.0));
        }
        let before = kept_out(&instance, 0);

        let is_over = Arc::<AtomicBool>::default();
        let calls = std::thread::spawn({
            let (instance, is_over) = (instance.clone(), Arc::clone(&is_over));
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            move || runtime.block_on(call_on(instance, is_over))
        });
        let lateness = Lateness::watch();
        let begun = Instant::now();
        proxy.set(Weather::Fair);
        wait::until_true("Redis to be met", || !instance.limiter.is_redis_gone()).await;
        instance.limiter.flush().await;
        let told = begun.elapsed();
        is_over.store(true, Ordering::SeqCst);
        // Connections to Redis live on both threads: neither may stand still.
        let slowest = tokio::task::spawn_blocking(|| calls.join().unwrap()).await.unwrap();
        let late = lateness.worst();
        report(&format!(
            "a step of {} s with {users} users: Redis was met and knew of all of them within {told:?}; meanwhile a call took {:?} \
             at most, one that asks Redis {:?}; this machine was late by {late:?} at most",
            -ahead, slowest.far, slowest.near
        ));
        // Each counter is a key.
        assert!(redis.ask::<usize>(&["DBSIZE"]).await > users);
        assert!(slowest.far <= PATIENCE + late && slowest.near <= PATIENCE + late, "{slowest:?}");
        for user in 0..users {
            let after = kept_out(&instance, user);
            assert!(after.abs_diff(before) <= WINDOW, "{user}: kept out for {after:?}, and {before:?} before");
        }
    }
}

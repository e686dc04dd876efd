//! The same with Redis servers of a test's own: with TLS, as a cluster, hung, and emptied.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures_util::FutureExt as _;
use futures_util::future::join_all;
use llm_gateway::money::NanoUsd;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _};

use super::{CENT, DOLLAR, Instance, scope, somebody, spend};
use crate::support::binary::Binary;
use crate::support::own_redis::{OwnCluster, OwnRedis};
use crate::support::proxy::{Proxy, Weather};
use crate::support::wait;

#[actix_web::test]
async fn with_tls_the_servers_authority_has_to_be_known() {
    llm_gateway::cli::install_crypto();
    let server = OwnRedis::start_tls().await;
    let ca_file = server.ca_file();
    let known = [("LLM_GATEWAY__REDIS__CA_FILE", ca_file.to_str().unwrap())];
    let [one, other] = [Instance::with(&server.url(), &known).await, Instance::with(&server.url(), &known).await];
    assert!(!one.limiter.is_redis_gone());
    let user = somebody();
    one.reserve(&user, CENT).await.unwrap().settle(DOLLAR);
    one.limiter.flush().await;
    assert_eq!(other.in_redis(&user).await, DOLLAR);
    let fault = other.reserve(&user, CENT).await.unwrap_err();
    assert!(fault.message.contains("is spent"), "{}", fault.message);

    // No public authority made this certificate, and no other private one.
    let elsewhere = OwnRedis::start_tls().await;
    let strange = elsewhere.ca_file();
    for settings in [&[][..], &[("LLM_GATEWAY__REDIS__CA_FILE", strange.to_str().unwrap())]] {
        let stranger = Instance::with(&server.url(), settings).await;
        assert!(stranger.limiter.is_redis_gone(), "{settings:?}");
    }
}

#[test]
fn an_authoritys_file_that_cannot_be_used_is_refused_before_anything_runs() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let path = file.path().to_str().unwrap();
    let run = |url: &str| {
        Binary::new(["dev", "--port", "0"])
            .env("LLM_GATEWAY_REDIS_URL", url)
            .env("LLM_GATEWAY__REDIS__CA_FILE", path)
            .run()
    };
    let empty = run("rediss://localhost:1/");
    assert_eq!(empty.code, Some(78), "{empty:?}");
    assert!(empty.stderr.contains("redis.ca_file") && empty.stderr.contains("holds no certificate"), "{empty:?}");
    let unused = run("redis://localhost:1/");
    assert_eq!(unused.code, Some(78), "{unused:?}");
    assert!(unused.stderr.contains("rediss://"), "{unused:?}");
}

#[actix_web::test]
async fn in_a_cluster_counters_are_spread_over_its_nodes_and_limits_hold() {
    let cluster = OwnCluster::start().await;
    let settings = [("LLM_GATEWAY__REDIS__CLUSTER", "true")];
    let instances = [Instance::with(&cluster.url(), &settings).await, Instance::with(&cluster.url(), &settings).await];
    assert!(instances.iter().all(|instance| !instance.limiter.is_redis_gone()));

    // Many counters in one flush.
    let users: Vec<String> = (0..300).map(|_| somebody()).collect();
    for user in &users {
        instances[0].reserve(user, CENT).await.unwrap().settle(CENT);
    }
    instances[0].limiter.flush().await;
    for user in users.iter().take(20) {
        assert_eq!(instances[1].in_redis(user).await, CENT);
    }
    let hashes = cluster.hashes().await;
    assert!(hashes.iter().all(|count| *count > 20), "{hashes:?}");

    let user = somebody();
    let callers = (0..64).map(|number| spend(&instances[number % 2], &user, CENT));
    let total: NanoUsd = join_all(callers).await.into_iter().sum();
    assert!((total.0 - DOLLAR.0).abs() <= DOLLAR.0 / 50, "{total}");
    for instance in &instances {
        instance.limiter.flush().await;
    }
    assert_eq!(instances[0].in_redis(&user).await, total);
}

#[actix_web::test]
async fn a_cluster_that_lost_a_node_and_has_it_back_is_told_everything() {
    let mut cluster = OwnCluster::start().await;
    let instance = Instance::with(&cluster.url(), &[("LLM_GATEWAY__REDIS__CLUSTER", "true")]).await;
    let users: Vec<String> = (0..30).map(|_| somebody()).collect();
    for round in 0..3 {
        cluster.nodes()[round].stop();
        for user in &users {
            instance.reserve(user, CENT).await.unwrap().settle(CENT);
        }
        wait::until_true("the loss to be noticed", || instance.limiter.is_redis_gone()).await;
        cluster.nodes()[round].run().await;
        cluster.until_complete().await;
        wait::until_true("the cluster to be back", || !instance.limiter.is_redis_gone()).await;
        let spent = NanoUsd(CENT.0 * (i64::try_from(round).unwrap() + 1));
        for user in &users {
            wait::until("what was spent to be in the cluster", || async {
                (instance.in_redis(user).await == spent).then_some(())
            })
            .await;
        }
    }
}

#[actix_web::test]
async fn far_from_a_limit_no_call_waits_for_a_redis_that_hangs() {
    let server = OwnRedis::start().await;
    let proxy = Proxy::start(server.address()).await;
    let instance = Instance::start(&format!("redis://{}/", proxy.address())).await;
    let users: Vec<String> = (0..50).map(|_| somebody()).collect();
    let calls = || {
        for user in &users {
            // Asked once and ready: nothing was waited for.
            let reserved = instance.reserve(user, NanoUsd(CENT.0 / 10)).now_or_never();
            reserved.expect("the call waited for Redis").unwrap().settle(NanoUsd(CENT.0 / 10));
        }
    };
    for weather in [Weather::Fair, Weather::Slow(Duration::from_millis(400)), Weather::Hanging, Weather::Cut] {
        proxy.set(weather);
        calls();
        wait::until("a batch to be under way, or lost", || async {
            tokio::time::sleep(Duration::from_millis(80)).await;
            Some(())
        })
        .await;
        calls();
    }
    wait::until_true("the loss to be noticed", || instance.limiter.is_redis_gone()).await;
    calls();
}

#[actix_web::test]
async fn a_limit_in_the_shadow_waits_for_no_redis_however_near_it_is() {
    let server = OwnRedis::start().await;
    let proxy = Proxy::start(server.address()).await;
    let shadow = "[{ per = 'user', usd = 1, window = '1h', mode = 'shadow' }]";
    let settings = [("LLM_GATEWAY__PRODUCTS__LLM_GATEWAY__LIMITS", shadow)];
    let instance = Instance::with(&format!("redis://{}/", proxy.address()), &settings).await;
    assert!(!instance.limiter.is_redis_gone());
    proxy.set(Weather::Hanging);
    let user = somebody();
    for _ in 0..5 {
        let reserved = instance.reserve(&user, NanoUsd(DOLLAR.0 / 2)).now_or_never();
        reserved.expect("the call waited for Redis").unwrap().settle(NanoUsd(DOLLAR.0 / 2));
    }
}

#[actix_web::test]
async fn a_call_that_finds_no_room_asks_once_before_it_waits_and_once_at_the_end() {
    let server = OwnRedis::start().await;
    // Less than the time after which it would look in between, and no batches that would be counted, too.
    let settings = [("LLM_GATEWAY__LIMITS__WAIT", "50ms"), ("LLM_GATEWAY__LIMITS__FLUSH_EVERY", "1h")];
    let instance = Instance::with(&server.url(), &settings).await;
    let other = Instance::with(&server.url(), &settings).await;
    let user = somebody();
    let _held = other.reserve(&user, NanoUsd(DOLLAR.0 * 9 / 10)).await.unwrap();
    let asked = || async {
        let stats: String = server.ask(&["INFO", "commandstats"]).await;
        let line = stats.lines().find_map(|line| line.strip_prefix("cmdstat_hgetall:calls=").map(str::to_owned));
        line.map_or(0, |line| line.split(',').next().unwrap().parse::<usize>().unwrap())
    };
    let question = |before: usize, after: usize| after - before;
    let before = asked().await;
    instance.limiter.usage(&scope(&user).product, &instance.limiter.claims(&scope(&user), &instance.product)).await;
    let one = question(before, asked().await);
    assert!(one > 0, "a question reads a hash");
    let before = asked().await;
    for _ in 0..10 {
        let fault = instance.reserve(&user, NanoUsd(DOLLAR.0 / 5)).await.unwrap_err();
        assert!(fault.message.contains("under way"), "{}", fault.message);
    }
    let all = question(before, asked().await);
    // Of those in between a machine that is late adds some.
    assert!((20 * one..30 * one).contains(&all), "{all} reads, of which {one} are a question");
}

#[actix_web::test]
async fn a_call_that_waits_looks_once_more_before_its_time_is_over() {
    let server = OwnRedis::start().await;
    // Its time is over by when it would look again, and no batch says meanwhile what settled elsewhere.
    let settings = [("LLM_GATEWAY__LIMITS__WAIT", "60ms"), ("LLM_GATEWAY__LIMITS__FLUSH_EVERY", "1h")];
    let instance = Instance::with(&server.url(), &settings).await;
    let other = Instance::with(&server.url(), &settings).await;
    let user = somebody();
    let held = other.reserve(&user, NanoUsd(DOLLAR.0 * 9 / 10)).await.unwrap();
    let frees = async {
        while !instance.metrics_page().contains(r#"event="waited""#) {
            tokio::task::yield_now().await;
        }
        drop(held);
        other.limiter.flush().await;
    };
    let (reserved, ()) = tokio::join!(instance.reserve(&user, NanoUsd(DOLLAR.0 / 5)), frees);
    reserved.unwrap();
}

#[actix_web::test]
async fn near_a_limit_calls_wait_for_a_slow_redis_no_longer_than_the_settings_say() {
    let server = OwnRedis::start().await;
    let proxy = Proxy::start(server.address()).await;
    let settings = [("LLM_GATEWAY__LIMITS__WAIT", "500ms")];
    let instance = Instance::with(&format!("redis://{}/", proxy.address()), &settings).await;
    let other = Instance::start(&server.url()).await;
    let user = somebody();
    let _held = other.reserve(&user, NanoUsd(DOLLAR.0 * 9 / 10)).await.unwrap();
    proxy.set(Weather::Slow(Duration::from_millis(50)));
    let begun = Instant::now();
    let calls = (0..40).map(|_| instance.reserve(&user, NanoUsd(DOLLAR.0 / 5)));
    let reserved = join_all(calls).await;
    // One after the other, they would have taken several seconds.
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    assert!(reserved.iter().all(|one| one.as_ref().is_err_and(|fault| fault.message.contains("under way"))));
}

#[actix_web::test]
async fn what_was_spent_is_told_at_the_end_although_redis_is_away_for_a_moment() {
    let server = OwnRedis::start().await;
    let proxy = Proxy::start(server.address()).await;
    let settings = [("LLM_GATEWAY__LIMITS__FLUSH_EVERY", "1h")];
    let instance = Instance::with(&format!("redis://{}/", proxy.address()), &settings).await;
    let user = somebody();
    instance.reserve(&user, NanoUsd(CENT.0 / 10)).await.unwrap().settle(CENT);
    proxy.set(Weather::Cut);
    tokio::join!(instance.limiter.flush(), async {
        wait::until_true("the loss to be noticed", || instance.limiter.is_redis_gone()).await;
        proxy.set(Weather::Fair);
    });
    let direct = Instance::start(&server.url()).await;
    assert_eq!(direct.in_redis(&user).await, CENT);
}

#[actix_web::test]
async fn a_redis_that_comes_back_empty_is_filled_by_those_that_live_and_frees_nobody() {
    let mut server = OwnRedis::start().await;
    let [one, other] = [Instance::start(&server.url()).await, Instance::start(&server.url()).await];
    let user = somebody();
    one.reserve(&user, CENT).await.unwrap().settle(NanoUsd(DOLLAR.0 / 2));
    other.reserve(&user, CENT).await.unwrap().settle(NanoUsd(DOLLAR.0 / 2));
    for instance in [&one, &other] {
        instance.limiter.flush().await;
    }
    // The other one hears of it, and then the first one is no more.
    assert!(other.reserve(&user, CENT).await.unwrap_err().message.contains("is spent"));
    drop(one);

    server.stop();
    wait::until_true("the loss to be noticed", || other.limiter.is_redis_gone()).await;
    server.run().await;
    wait::until_true("Redis to be back", || !other.limiter.is_redis_gone()).await;
    wait::until("its own half to be told", || async {
        (other.in_redis(&user).await == NanoUsd(DOLLAR.0 / 2)).then_some(())
    })
    .await;
    assert!(other.reserve(&user, CENT).await.unwrap_err().message.contains("is spent"));
}

#[actix_web::test]
async fn a_lone_caller_that_moves_between_instances_may_spend_the_whole_limit() {
    let server = OwnRedis::start().await;
    let instances = [Instance::start(&server.url()).await, Instance::start(&server.url()).await];
    let user = somebody();
    let mut spent = NanoUsd::ZERO;
    for call in 0_usize.. {
        match instances[call / 20 % 2].reserve(&user, CENT).await {
            Ok(reservation) => {
                reservation.settle(CENT);
                spent += CENT;
            }
            Err(fault) => {
                assert!(fault.message.contains("is spent"), "after {spent}: {}", fault.message);
                break;
            }
        }
    }
    assert!(spent >= DOLLAR && spent <= DOLLAR + CENT, "{spent}");
}

/// The commands that Redis is given, word by word, as somebody hears them who looks on.
async fn onlooker(server: &OwnRedis) -> Arc<Mutex<Vec<Vec<String>>>> {
    let mut stream = tokio::net::TcpStream::connect(server.address()).await.unwrap();
    stream.write_all(b"MONITOR\r\n").await.unwrap();
    let mut lines = tokio::io::BufReader::new(stream).lines();
    assert_eq!(lines.next_line().await.unwrap().as_deref(), Some("+OK"));
    let heard = Arc::<Mutex<Vec<Vec<String>>>>::default();
    tokio::task::spawn_local({
        let heard = Arc::clone(&heard);
        async move {
            while let Ok(Some(line)) = lines.next_line().await {
                heard.lock().unwrap().push(line.split('"').skip(1).step_by(2).map(ToOwned::to_owned).collect());
            }
        }
    });
    heard
}

#[actix_web::test]
async fn a_batch_that_comes_when_others_have_been_told_since_writes_nothing() {
    let server = OwnRedis::start().await;
    let proxy = Proxy::start(server.address()).await;
    let one = Instance::start(&format!("redis://{}/", proxy.address())).await;
    let user = somebody();
    let heard = onlooker(&server).await;
    // The last batch that was given, in the first turn or in a later one.
    let mention = async |is_first: bool| {
        wait::until("a mention in such a turn", || async {
            one.reserve(&user, CENT).await.unwrap().settle(NanoUsd(1000));
            one.limiter.flush().await;
            let heard = heard.lock().unwrap();
            // EVALSHA, the script, how many keys there are, those, the instance, the turn, and amounts.
            let is_it = |words: &&Vec<String>| {
                words[0] == "EVALSHA"
                    && words[3].starts_with("llmgw:turn:")
                    && (words[4 + words[2].parse::<usize>().unwrap()] == "1") == is_first
            };
            heard.iter().rfind(is_it).cloned()
        })
        .await
    };
    let late = mention(true).await;

    // Of a batch that was not answered nobody knows whether it is still on its way.
    proxy.set(Weather::Hanging);
    one.reserve(&user, CENT).await.unwrap().settle(NanoUsd(1000));
    // Longer than Redis has to answer.
    tokio::time::timeout(Duration::from_millis(1500), one.limiter.flush()).await.unwrap_err();
    proxy.set(Weather::Fair);
    wait::until_true("Redis to be back", || !one.limiter.is_redis_gone()).await;
    let last = mention(false).await;
    let told = one.in_redis(&user).await;
    assert_ne!(late.last(), last.last());

    let repeat = async |words: &[String]| -> Option<Vec<i64>> {
        server.ask(&words.iter().map(String::as_str).collect::<Vec<_>>()).await
    };
    assert_eq!((repeat(&late).await, one.in_redis(&user).await), (None, told), "{late:?}");
    // One of this turn is taken: it is the other's turn that was over.
    assert_eq!(repeat(&last).await, Some(Vec::new()), "{last:?}");
}

//! Calls to upstreams that misbehave on real sockets.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use llm_gateway::config::providers::{Kind, Upstream};
use llm_gateway::config::timeouts::Timeouts;
use llm_gateway::dialect::{Delivery, Dialect, Operation};
use llm_gateway::upstream::client::{CallError, Client, Tls, UpstreamBody, UpstreamHead, UpstreamRequest};
use llm_gateway::upstream::endpoint::Endpoint;
use llm_gateway::upstream::headers::{HeaderName, HeaderValue};
use secrecy::SecretString;
use tokio::net::TcpSocket;

use crate::support::raw_upstream::{RawConnection, RawUpstream};
use crate::support::wait;

/// One caller's way to an upstream.
struct Caller {
    client: Client,
    endpoint: Endpoint,
    timeouts: Timeouts,
}

impl Caller {
    fn of(base_url: &str, tls: Tls) -> Self {
        let upstream = Upstream {
            base_url: base_url.parse().unwrap(),
            api_key: Some(SecretString::from("sk-ours")),
            include_usage: true,
            responses: true,
        };
        let endpoint = Endpoint::new(Kind::OpenAi, &upstream).unwrap().unwrap();
        let long = Duration::from_secs(30);
        Self {
            client: Client::new(endpoint.origin().clone(), tls),
            endpoint,
            timeouts: Timeouts { connect: long, first_byte: long, idle: long, total: long },
        }
    }

    fn to(upstream: &RawUpstream) -> Self {
        Self::of(&format!("http://{}/v1", upstream.address()), Tls::web().unwrap())
    }

    fn with(mut self, change: impl FnOnce(&mut Timeouts)) -> Self {
        change(&mut self.timeouts);
        self
    }

    async fn call(&self) -> Result<(UpstreamHead, UpstreamBody), CallError> {
        self.send(Delivery::Events, "{}".into()).await
    }

    async fn send(&self, delivery: Delivery, body: Bytes) -> Result<(UpstreamHead, UpstreamBody), CallError> {
        let request = UpstreamRequest {
            dialect: Dialect::OpenAiChat,
            operation: Operation::Generate,
            delivery,
            model: "gpt-4.1".into(),
            query: "beta=true".to_owned(),
            headers: vec![(HeaderName::from_static("expect"), HeaderValue::from_static("100-continue"))],
            body,
        };
        wait::within("an end of the call", self.client.call(&self.endpoint, &self.timeouts, request)).await
    }

    /// Status and whole body.
    async fn answer(&self) -> Result<(u16, String), CallError> {
        let (head, body) = self.call().await?;
        let (text, end) = read(body).await;
        end.map_or(Ok((head.status, text)), Err)
    }
}

/// All pieces, and how the body ended.
async fn read(mut body: UpstreamBody) -> (String, Option<CallError>) {
    let mut text = String::new();
    while let Some(piece) = wait::within("the next piece", body.next()).await {
        match piece {
            Ok(piece) => text.push_str(std::str::from_utf8(&piece).unwrap()),
            Err(error) => return (text, Some(error)),
        }
    }
    (text, None)
}

/// Answers each connection's first request with these bytes, then closes.
async fn saying(bytes: &'static str) -> RawUpstream {
    RawUpstream::start(move |_, mut connection| async move {
        connection.request().await;
        connection.send(bytes).await;
    })
    .await
}

/// Answers each request on each connection with `ok` and keeps the connection.
async fn serve_ok(mut connection: RawConnection) {
    while connection.request().await.is_some() {
        connection.answer(200, "", "ok").await;
    }
}

#[actix_rt::test]
async fn a_request_arrives_as_it_was_given_and_connections_are_kept() {
    let seen = Rc::new(RefCell::new(Vec::new()));
    let requests = Rc::clone(&seen);
    let upstream = RawUpstream::start(move |_, mut connection| {
        let seen = Rc::clone(&seen);
        async move {
            while let Some(request) = connection.request().await {
                seen.borrow_mut().push(request);
                connection.answer(200, "x-request-id: req_1\r\nset-cookie: a=b\r\n", "{ \"a\" : 1 }").await;
            }
        }
    })
    .await;
    let caller = Caller::to(&upstream);
    let sent = "{ \"b\" :\t2,\n\"a\": 1 }";
    for _ in 0..3 {
        let (head, body) = caller.send(Delivery::Whole, sent.into()).await.unwrap();
        assert_eq!(head.status, 200);
        assert_eq!(read(body).await, ("{ \"a\" : 1 }".to_owned(), None));
        let names: Vec<String> = head.headers.for_caller().map(|(name, _)| name.to_string()).collect();
        assert_eq!(names, ["x-upstream-request-id"]);
    }
    assert_eq!(upstream.connections(), 1);
    let requests = requests.borrow();
    assert!(requests[0].head.starts_with("POST /v1/chat/completions?beta=true HTTP/1.1\r\n"), "{}", requests[0].head);
    assert_eq!(requests[2].body, sent.as_bytes());
    assert_eq!(requests[0].header("host"), Some(upstream.address().to_string().as_str()));
    assert_eq!(requests[0].header("authorization"), Some("Bearer sk-ours"));
    assert_eq!(requests[0].header("accept-encoding"), Some("identity"));
    assert_eq!(requests[0].header("expect"), None);
    assert_eq!(requests[0].header("transfer-encoding"), None);
}

#[actix_rt::test]
async fn an_answer_that_ends_before_its_end_is_an_error() {
    for (what, bytes, before) in [
        ("a length not reached", "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf", "half"),
        ("a length of which nothing came", "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n", ""),
        ("no last chunk", "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n", "half"),
        ("no chunk", "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", ""),
        ("half a last chunk", "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n0\r\n", "half"),
        ("half a chunk's size", "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n1", "half"),
    ] {
        let (_, body) = Caller::to(&saying(bytes).await).call().await.unwrap();
        assert_eq!(read(body).await, (before.to_owned(), Some(CallError::Truncated)), "{what}");
    }
    let bytes = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n64\r\nhalf";
    let (_, body) = Caller::to(&saying(bytes).await).call().await.unwrap();
    assert_eq!(read(body).await.1, Some(CallError::Truncated), "half a chunk");
}

#[actix_rt::test]
async fn the_same_over_tls_with_and_without_a_proper_goodbye() {
    for (bytes, is_whole) in [
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\ntext\r\n", false),
        ("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\ntext", false),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\ntext\r\n0\r\n\r\n", true),
        ("HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\ntext", true),
    ] {
        for says_goodbye in [true, false] {
            let (upstream, certificate) = RawUpstream::start_tls(move |_, mut connection| async move {
                connection.request().await;
                connection.send(bytes).await;
                if says_goodbye {
                    connection.goodbye().await;
                }
            })
            .await;
            let base = format!("https://localhost:{}/v1", upstream.address().port());
            let (_, body) = Caller::of(&base, Tls::trusting(certificate).unwrap()).call().await.unwrap();
            let expected = (!is_whole).then_some(CallError::Truncated);
            assert_eq!(read(body).await, ("text".to_owned(), expected), "{bytes:?}, goodbye {says_goodbye}");
        }
    }
}

#[actix_rt::test]
async fn an_answer_that_is_whole_is_none_even_if_the_connection_ends_with_it() {
    for (what, bytes, text) in [
        ("length", "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 4\r\n\r\ntext", "text"),
        ("chunks", "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\ntext\r\n0\r\n\r\n", "text"),
        ("trailers", "HTTP/1.1 200 OK\r\ntransfer-encoding: Chunked\r\n\r\n4\r\ntext\r\n0\r\na: b\r\n\r\n", "text"),
        ("no bytes", "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", ""),
        ("no content", "HTTP/1.1 204 No Content\r\n\r\n", ""),
        ("HTTP/1.0", "HTTP/1.0 200 OK\r\n\r\ntext", "text"),
    ] {
        let answer = Caller::to(&saying(bytes).await).answer().await;
        assert_eq!(answer.map(|(_, text)| text), Ok(text.to_owned()), "{what}");
    }
}

#[actix_rt::test]
async fn an_answer_that_says_nowhere_where_it_ends_is_no_empty_success() {
    let error = Caller::to(&saying("HTTP/1.1 200 OK\r\n\r\nsome text").await).answer().await.unwrap_err();
    assert!(matches!(&error, CallError::Protocol(why) if why.contains("length")), "{error}");
}

#[actix_rt::test]
async fn what_is_no_answer_is_an_error_that_says_why() {
    for (bytes, word) in [
        ("HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok", "interim"),
        ("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok", "interim"),
        ("HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 2\r\n\r\nok", "compressed"),
        ("HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\nok", "malformed"),
        ("SSH-2.0-OpenSSH_9.2\r\n", "malformed"),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nnot a size\r\n", "chunks"),
    ] {
        let error = Caller::to(&saying(bytes).await).answer().await.unwrap_err();
        assert!(matches!(&error, CallError::Protocol(why) if why.contains(word)), "{bytes:?}: {error}");
    }
}

#[actix_rt::test]
async fn a_connection_with_a_stray_answer_on_it_serves_nobody_else() {
    for stray in ["HTTP/1.1 103 Early Hints\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\n"] {
        let upstream = RawUpstream::start(move |number, mut connection| async move {
            if number == 0 {
                connection.request().await;
                connection.send(stray).await;
                // Another caller would take this for its own answer.
                if connection.request().await.is_some() {
                    connection.answer(200, "", "somebody else's").await;
                }
            } else {
                serve_ok(connection).await;
            }
        })
        .await;
        let caller = Caller::to(&upstream);
        assert!(matches!(caller.answer().await, Err(CallError::Protocol(_))));
        assert_eq!(caller.answer().await.unwrap().1, "ok");
    }
}

#[actix_rt::test]
async fn a_redirect_is_not_followed() {
    let upstream = RawUpstream::start(|_, mut connection| async move {
        while connection.request().await.is_some() {
            connection.answer(307, "location: /elsewhere\r\n", "").await;
        }
    })
    .await;
    assert_eq!(Caller::to(&upstream).answer().await, Err(CallError::Redirect(307)));
    assert_eq!(upstream.connections(), 1);
}

#[actix_rt::test]
async fn nobody_listening_is_said_so_without_our_addresses() {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let base = format!("http://{}/v1", socket.local_addr().unwrap());
    let error = Caller::of(&base, Tls::web().unwrap()).answer().await.unwrap_err();
    assert_eq!(error, CallError::Connect("connection refused".to_owned()));
}

#[actix_rt::test]
async fn a_connection_that_never_comes_about_times_out() {
    // Its queue is full after the first, and nobody accepts.
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(1).unwrap();
    let address = listener.local_addr().unwrap();
    let mut held = Vec::new();
    while let Ok(Ok(stream)) =
        tokio::time::timeout(Duration::from_millis(200), TcpSocket::new_v4().unwrap().connect(address)).await
    {
        held.push(stream);
        assert!(held.len() < 100, "the queue has no end");
    }
    let limit = Duration::from_millis(100);
    let caller = Caller::of(&format!("http://{address}"), Tls::web().unwrap()).with(|t| t.connect = limit);
    let begun = Instant::now();
    assert_eq!(caller.answer().await, Err(CallError::ConnectTimeout));
    assert!(begun.elapsed() >= limit);
}

#[actix_rt::test]
async fn a_handshake_that_never_ends_is_a_connect_timeout_too() {
    let upstream = RawUpstream::start(|_, mut connection| async move { connection.closed().await }).await;
    let base = format!("https://localhost:{}", upstream.address().port());
    let caller = Caller::of(&base, Tls::web().unwrap()).with(|t| t.connect = Duration::from_millis(100));
    assert_eq!(caller.answer().await, Err(CallError::ConnectTimeout));
}

#[actix_rt::test]
async fn a_certificate_that_nobody_vouches_for_is_not_taken() {
    let (upstream, _) = RawUpstream::start_tls(|_, connection| serve_ok(connection)).await;
    let base = format!("https://localhost:{}", upstream.address().port());
    let error = Caller::of(&base, Tls::web().unwrap()).answer().await.unwrap_err();
    assert!(matches!(&error, CallError::Connect(why) if why.contains("certificate")), "{error}");
}

#[actix_rt::test]
async fn tls_connections_are_kept() {
    let (upstream, certificate) = RawUpstream::start_tls(|_, connection| serve_ok(connection)).await;
    let base = format!("https://localhost:{}", upstream.address().port());
    let caller = Caller::of(&base, Tls::trusting(certificate).unwrap());
    for _ in 0..3 {
        assert_eq!(caller.answer().await.unwrap().1, "ok");
    }
    assert_eq!(upstream.connections(), 1);
}

#[actix_rt::test]
async fn a_silent_upstream_times_out_before_its_first_byte() {
    let silent = || RawUpstream::start(|_, mut connection| async move { connection.closed().await });
    let limit = Duration::from_millis(100);

    let upstream = silent().await;
    let begun = Instant::now();
    let caller = Caller::to(&upstream).with(|t| t.first_byte = limit);
    assert_eq!(caller.answer().await, Err(CallError::FirstByteTimeout));
    assert!(begun.elapsed() >= limit);

    let upstream = silent().await;
    let caller = Caller::to(&upstream).with(|t| t.total = limit);
    assert_eq!(caller.send(Delivery::Whole, "{}".into()).await.err(), Some(CallError::TotalTimeout));
}

#[actix_rt::test]
async fn half_a_head_is_no_first_byte() {
    let upstream = RawUpstream::start(|_, mut connection| async move {
        connection.request().await;
        connection.send("HTTP/1.1 200 OK\r\ncontent-le").await;
        connection.closed().await;
    })
    .await;
    let caller = Caller::to(&upstream).with(|t| t.first_byte = Duration::from_millis(100));
    assert_eq!(caller.answer().await, Err(CallError::FirstByteTimeout));
}

#[actix_rt::test]
async fn an_answer_that_stops_times_out_and_one_that_goes_on_does_not() {
    let limit = Duration::from_millis(150);
    let upstream = RawUpstream::start(move |_, mut connection| async move {
        connection.request().await;
        connection.send("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").await;
        // Longer in all than the limit, each step shorter than it.
        for _ in 0..4 {
            tokio::time::sleep(limit / 3).await;
            connection.send("1\r\nx\r\n").await;
        }
        connection.closed().await;
    })
    .await;
    let caller = Caller::to(&upstream).with(|t| t.idle = limit);
    let (_, body) = caller.call().await.unwrap();
    assert_eq!(read(body).await, ("xxxx".to_owned(), Some(CallError::IdleTimeout)));
}

#[actix_rt::test]
async fn the_total_limit_holds_for_whole_answers_and_not_for_streams() {
    let limit = Duration::from_millis(100);
    let upstream = RawUpstream::start(move |_, mut connection| async move {
        connection.request().await;
        connection.send("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\na").await;
        tokio::time::sleep(limit * 2).await;
        connection.send("b").await;
        connection.closed().await;
    })
    .await;
    let caller = Caller::to(&upstream).with(|t| t.total = limit);
    let (_, whole) = caller.send(Delivery::Whole, "{}".into()).await.unwrap();
    assert_eq!(read(whole).await, ("a".to_owned(), Some(CallError::TotalTimeout)));
    let (_, stream) = caller.send(Delivery::Events, "{}".into()).await.unwrap();
    assert_eq!(read(stream).await, ("ab".to_owned(), None));
}

/// Closes kept connections when they are used again, before a word of an answer.
async fn forgetful(answers_to_second: &'static str) -> (RawUpstream, Rc<Cell<usize>>) {
    let requests = Rc::new(Cell::new(0));
    let counted = Rc::clone(&requests);
    let upstream = RawUpstream::start(move |_, mut connection| {
        let requests = Rc::clone(&counted);
        async move {
            connection.request().await;
            requests.set(requests.get() + 1);
            connection.answer(200, "", "ok").await;
            if connection.request().await.is_some() {
                requests.set(requests.get() + 1);
                connection.send(answers_to_second).await;
            }
        }
    })
    .await;
    (upstream, requests)
}

#[actix_rt::test]
async fn a_kept_connection_that_was_found_closed_costs_a_retry_and_no_error() {
    let (upstream, requests) = forgetful("").await;
    let caller = Caller::to(&upstream);
    assert_eq!(caller.answer().await.unwrap().1, "ok");
    assert_eq!(caller.answer().await.unwrap().1, "ok");
    assert_eq!((upstream.connections(), requests.get()), (2, 3));
}

#[actix_rt::test]
async fn there_is_no_retry_once_something_of_an_answer_was_seen() {
    let (upstream, requests) = forgetful("HTTP/1.1 20").await;
    let caller = Caller::to(&upstream);
    assert_eq!(caller.answer().await.unwrap().1, "ok");
    assert_eq!(caller.answer().await, Err(CallError::Truncated));
    assert_eq!((upstream.connections(), requests.get()), (1, 2));
}

#[actix_rt::test]
async fn a_fresh_connection_that_is_closed_without_an_answer_is_not_tried_again() {
    let upstream = saying("").await;
    assert_eq!(Caller::to(&upstream).answer().await, Err(CallError::Closed));
    assert_eq!(upstream.connections(), 1);
}

#[actix_rt::test]
async fn there_is_one_retry_and_no_more() {
    let upstream = RawUpstream::start(|number, mut connection| async move {
        connection.request().await;
        if number == 0 {
            connection.answer(200, "", "ok").await;
            connection.request().await;
        }
    })
    .await;
    let caller = Caller::to(&upstream);
    assert_eq!(caller.answer().await.unwrap().1, "ok");
    assert_eq!(caller.answer().await, Err(CallError::Closed));
    assert_eq!(upstream.connections(), 2);
}

#[actix_rt::test]
async fn a_kept_connection_that_the_upstream_closed_before_is_not_used() {
    let closed = Rc::new(Cell::new(0));
    let counted = Rc::clone(&closed);
    let upstream = RawUpstream::start(move |_, mut connection| {
        let closed = Rc::clone(&counted);
        async move {
            connection.request().await;
            connection.answer(200, "", "ok").await;
            drop(connection);
            closed.set(closed.get() + 1);
        }
    })
    .await;
    let caller = Caller::to(&upstream);
    for round in 1..=3 {
        assert_eq!(caller.answer().await.unwrap().1, "ok");
        wait::until_equal("closed connections", round, || closed.get()).await;
    }
    assert_eq!(upstream.connections(), 3);
}

#[actix_rt::test]
async fn a_refusal_while_a_big_request_is_still_being_sent_is_read() {
    let body = Bytes::from(vec![b' '; 16 << 20]);
    for closes in [true, false] {
        let upstream = RawUpstream::start(move |number, mut connection| async move {
            if number > 0 {
                return serve_ok(connection).await;
            }
            connection.head().await;
            connection.answer(401, "", "no such key").await;
            if !closes {
                // It reads nothing more either.
                std::future::pending::<()>().await;
            }
        })
        .await;
        let caller = Caller::to(&upstream).with(|t| t.first_byte = Duration::from_secs(5));
        let (head, refusal) = caller.send(Delivery::Whole, body.clone()).await.unwrap();
        assert_eq!((head.status, read(refusal).await), (401, ("no such key".to_owned(), None)), "closes: {closes}");
        // Half a request was sent on that connection.
        assert_eq!(caller.answer().await.unwrap().1, "ok");
        assert_eq!(upstream.connections(), 2);
    }
}

#[actix_rt::test]
async fn an_upstream_that_says_200_early_still_gets_the_whole_request() {
    let upstream = RawUpstream::start(|_, mut connection| async move {
        let head = connection.head().await.unwrap();
        connection.send("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").await;
        let length: usize = head.split("content-length: ").nth(1).unwrap().lines().next().unwrap().parse().unwrap();
        let got = connection.read_bytes(length).await;
        connection.send(format!("8\r\n{got:08}\r\n0\r\n\r\n")).await;
        connection.closed().await;
    })
    .await;
    let (_, body) = Caller::to(&upstream).send(Delivery::Whole, Bytes::from(vec![b' '; 16 << 20])).await.unwrap();
    assert_eq!(read(body).await, ("16777216".to_owned(), None));
}

/// How long after `leave` the upstream sees the connection close; the best of several rounds, since the machine may have
/// other things to do.
async fn leaving(answer: &'static str, is_mid_body: bool) -> Duration {
    let mut best = Duration::MAX;
    for _ in 0..5 {
        let (asked, closed) = (Rc::new(Cell::new(false)), Rc::new(Cell::new(None)));
        let told = (Rc::clone(&asked), Rc::clone(&closed));
        let upstream = RawUpstream::start(move |_, mut connection| {
            let (asked, closed) = told.clone();
            async move {
                connection.request().await;
                connection.send(answer).await;
                asked.set(true);
                connection.closed().await;
                closed.set(Some(Instant::now()));
            }
        })
        .await;
        let caller = Caller::to(&upstream);
        let left = if is_mid_body {
            let (_, mut body) = caller.call().await.unwrap();
            body.next().await.unwrap().unwrap();
            drop(body);
            Instant::now()
        } else {
            let call = caller.call();
            tokio::select! {
                _ = call => panic!("nobody answers here"),
                () = wait::until_true("the request", || asked.get()) => {}
            }
            Instant::now()
        };
        wait::until_true("the connection's end", || closed.get().is_some()).await;
        best = best.min(closed.get().unwrap().saturating_duration_since(left));
    }
    best
}

#[actix_rt::test]
async fn a_caller_that_leaves_closes_the_upstreams_connection_at_once() {
    let before_the_head = leaving("", false).await;
    assert!(before_the_head < Duration::from_millis(10), "{before_the_head:?}");
    let mid_body = leaving("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\nx\r\n", true).await;
    assert!(mid_body < Duration::from_millis(10), "{mid_body:?}");
}

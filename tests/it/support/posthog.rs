//! A PostHog to send events to: real HTTP on loopback, strict about what it is sent, and in whatever mood a test wants.
//!
//! It runs on a thread of its own. What breaks the protocol is kept as a fault, and a test that ends with one fails.

use std::collections::{BTreeMap, HashSet};
use std::io::Read as _;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{oneshot, watch};

pub(crate) use self::schema::Event;
use crate::support::port::Port;

mod schema;

/// The key of its one project.
pub(crate) const KEY: &str = "phc_stand_in_0123456789";

/// It takes no more bytes of JSON in one request than PostHog does.
const LARGEST: usize = 20 * 1024 * 1024;

/// What it does with a batch.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Mood {
    /// Takes it.
    Well,
    /// Takes it after a while.
    Slow(Duration),
    /// Is not there at all: connections are refused.
    Down,
    /// Answers with this status, and `retry-after` where one is given.
    Refusing(u16, Option<u64>),
    /// Takes no batch of more bytes of JSON than this: 413.
    Small(usize),
    /// Takes no batch with an event of one of these callers: 400.
    Picky(Vec<String>),
    /// Closes the connection in the middle of the request.
    CutsRequests,
    /// Takes the batch, and closes the connection in the middle of the answer.
    CutsAnswers,
    /// Takes the request, and never answers.
    Silent,
}

/// A PostHog with one project. Dropped: gone.
pub(crate) struct PostHog {
    address: SocketAddr,
    shared: Arc<Mutex<Shared>>,
    mood: watch::Sender<Mood>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    /// In the order in which they came; each once.
    events: Vec<Event>,
    seen: HashSet<(String, String, String, String)>,
    /// How often an event came that was there already.
    repeated: usize,
    batches: Vec<Batch>,
    faults: Vec<String>,
}

/// A request, as it came.
#[derive(Clone, Debug)]
pub(crate) struct Batch {
    /// How many events it had.
    pub(crate) events: usize,
    /// What it was answered; none where the connection was cut or nothing was said.
    pub(crate) status: Option<u16>,
    /// When it was sent, as it says.
    pub(crate) sent_at: String,
    /// When it came.
    pub(crate) at: std::time::Instant,
}

impl PostHog {
    /// One that is well.
    pub(crate) fn start() -> Self {
        Self::in_mood(Mood::Well)
    }

    /// One that begins like this.
    pub(crate) fn in_mood(mood: Mood) -> Self {
        let (mood, moods) = watch::channel(mood);
        let shared = Arc::<Mutex<Shared>>::default();
        let (stop, stopped) = oneshot::channel::<()>();
        let (tell, told) = std::sync::mpsc::channel();
        let thread = std::thread::spawn({
            let shared = Arc::clone(&shared);
            move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                runtime.block_on(async move {
                    let port = Port::free();
                    let listener = port.listen();
                    tell.send(port.address()).unwrap();
                    tokio::select! {
                        () = listen(port, listener, moods, shared) => {}
                        _ = stopped => {}
                    }
                });
            }
        });
        let address = told.recv().unwrap();
        Self { address, shared, mood, stop: Some(stop), thread: Some(thread) }
    }

    /// Where it is: `http://127.0.0.1:54321`.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// From now on.
    pub(crate) fn set(&self, mood: Mood) {
        self.mood.send_replace(mood);
    }

    /// What it has taken, each event once, in the order in which they came.
    pub(crate) fn events(&self) -> Vec<Event> {
        self.shared().events.clone()
    }

    /// How many events it has taken.
    pub(crate) fn taken(&self) -> usize {
        self.shared().events.len()
    }

    /// How often an event came again that it had taken already.
    pub(crate) fn repeated(&self) -> usize {
        self.shared().repeated
    }

    /// Every request that it read.
    pub(crate) fn batches(&self) -> Vec<Batch> {
        self.shared().batches.clone()
    }

    /// What came from each caller, in order.
    pub(crate) fn by_caller(&self) -> BTreeMap<String, Vec<Event>> {
        let mut callers = BTreeMap::<String, Vec<Event>>::new();
        for event in self.events() {
            callers.entry(event.distinct_id.clone()).or_default().push(event);
        }
        callers
    }

    fn shared(&self) -> std::sync::MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for PostHog {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let ended = thread.join();
            if !std::thread::panicking() {
                ended.unwrap();
                let faults = std::mem::take(&mut self.shared().faults);
                assert!(faults.is_empty(), "PostHog would not have understood: {faults:#?}");
            }
        }
    }
}

/// Serves connections for as long as it is not down, again and again.
async fn listen(port: Port, first: TcpListener, mut moods: watch::Receiver<Mood>, shared: Arc<Mutex<Shared>>) {
    let mut listener = Some(first);
    loop {
        let is_down = *moods.borrow_and_update() == Mood::Down;
        if is_down {
            listener = None;
            if moods.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
            continue;
        }
        let here = listener.take().unwrap_or_else(|| port.listen());
        let mut connections = tokio::task::JoinSet::new();
        loop {
            tokio::select! {
                accepted = here.accept() => {
                    let (stream, _) = accepted.unwrap();
                    stream.set_nodelay(true).unwrap();
                    connections.spawn(serve(stream, moods.clone(), Arc::clone(&shared)));
                }
                changed = moods.changed() => {
                    if changed.is_err() {
                        std::future::pending::<()>().await;
                    }
                    if *moods.borrow_and_update() == Mood::Down {
                        // Connections go with it.
                        break;
                    }
                }
            }
        }
    }
}

async fn serve(mut stream: TcpStream, moods: watch::Receiver<Mood>, shared: Arc<Mutex<Shared>>) {
    let mut heard = Vec::new();
    loop {
        let mood = moods.borrow().clone();
        if mood == Mood::CutsRequests {
            let mut some = [0; 100];
            let _ = stream.read(&mut some).await;
            return;
        }
        let Some(request) = read_request(&mut stream, &mut heard).await else { return };
        let at = std::time::Instant::now();
        // As it is now that all is there.
        let mood = moods.borrow().clone();
        let batch = schema::read(&request, LARGEST).unwrap_or_else(|fault| {
            let mut shared = shared.lock().unwrap();
            shared.faults.push(fault);
            schema::Batch::default()
        });
        if let Mood::Slow(by) = &mood {
            tokio::time::sleep(*by).await;
        }
        let (status, retry_after) = match &mood {
            Mood::Refusing(status, retry_after) => (*status, *retry_after),
            Mood::Small(most) if batch.bytes > *most => (413, None),
            Mood::Picky(callers) if batch.events.iter().any(|event| callers.contains(&event.distinct_id)) => {
                (400, None)
            }
            Mood::Well
            | Mood::Slow(_)
            | Mood::Down
            | Mood::Small(_)
            | Mood::Picky(_)
            | Mood::CutsRequests
            | Mood::CutsAnswers
            | Mood::Silent => (200, None),
        };
        let is_silent = mood == Mood::Silent;
        note(
            &shared,
            batch,
            (!is_silent && mood != Mood::CutsAnswers).then_some(status),
            is_silent || status != 200,
            at,
        );
        if is_silent {
            std::future::pending::<()>().await;
        }
        let retry_after = retry_after.map_or_else(String::new, |seconds| format!("retry-after: {seconds}\r\n"));
        let body = if status == 200 { "{\"status\":\"Ok\"}" } else { "no" };
        let answer = format!(
            "HTTP/1.1 {status} Said\r\ncontent-type: application/json\r\n{retry_after}content-length: {}\r\n\r\n{body}",
            body.len()
        );
        let answer = if mood == Mood::CutsAnswers { &answer[..20] } else { &answer };
        if stream.write_all(answer.as_bytes()).await.is_err() || mood == Mood::CutsAnswers {
            return;
        }
    }
}

fn note(shared: &Mutex<Shared>, batch: schema::Batch, status: Option<u16>, is_refused: bool, at: std::time::Instant) {
    let mut shared = shared.lock().unwrap();
    let events = batch.events.len();
    shared.batches.push(Batch { events, status, sent_at: batch.sent_at, at });
    if is_refused {
        return;
    }
    for event in batch.events {
        if shared.seen.insert(event.identity()) {
            shared.events.push(event);
        } else {
            shared.repeated += 1;
        }
    }
}

/// One request; none when the client has left.
async fn read_request(stream: &mut TcpStream, heard: &mut Vec<u8>) -> Option<schema::Request> {
    let mut chunk = vec![0; 64 * 1024];
    loop {
        let mut headers = [httparse::EMPTY_HEADER; 32];
        let mut parsed = httparse::Request::new(&mut headers);
        if let Ok(httparse::Status::Complete(length)) = parsed.parse(heard) {
            let line = format!("{} {}", parsed.method.unwrap_or_default(), parsed.path.unwrap_or_default());
            let headers: BTreeMap<String, String> = parsed
                .headers
                .iter()
                .map(|header| (header.name.to_lowercase(), String::from_utf8_lossy(header.value).into_owned()))
                .collect();
            let body: usize = headers.get("content-length").and_then(|text| text.parse().ok()).unwrap_or(0);
            while heard.len() < length + body {
                match stream.read(&mut chunk).await {
                    Ok(0) | Err(_) => return None,
                    Ok(read) => heard.extend_from_slice(&chunk[..read]),
                }
            }
            let rest = heard.split_off(length + body);
            let body = std::mem::replace(heard, rest).split_off(length);
            return Some(schema::Request { line, headers, body });
        }
        match stream.read(&mut chunk).await {
            Ok(0) | Err(_) => return None,
            Ok(read) => heard.extend_from_slice(&chunk[..read]),
        }
    }
}

/// What a gzip stream holds, read as PostHog reads it: one member, its checksum included.
fn gunzip(body: &[u8], most: usize) -> Result<String, String> {
    let mut text = String::new();
    let mut decoder = flate2::read::GzDecoder::new(body).take(most as u64 + 1);
    decoder.read_to_string(&mut text).map_err(|error| format!("the body is no gzip: {error}"))?;
    if text.len() > most { Err(format!("the body has more than {most} bytes of JSON")) } else { Ok(text) }
}

/// The property of an event, or null.
pub(crate) fn property<'a>(event: &'a Event, name: &str) -> &'a Value {
    event.properties.get(name).unwrap_or(&Value::Null)
}

//! One caller's connection: reads requests, records them, says the replies, and notices when the caller leaves.

use std::io;
use std::sync::Arc;
use std::time::Instant;

use bytes::{Bytes, BytesMut};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::net::tcp::OwnedWriteHalf;

use super::World;
use super::http1::{Inbox, Incoming};
use super::record::Recorded;
use super::reply::{Act, Ending, Framing, Reply};
use super::telling;

/// Serves a connection until either side ends it.
pub(super) async fn serve(stream: TcpStream, world: Arc<World>) {
    let number = world.log.connected();
    // A broken connection is the caller's affair: what was seen of it is on record.
    let _ = converse(stream, number, &world).await;
    world.log.disconnected();
}

enum After {
    Next,
    Close,
    Reset,
}

async fn converse(stream: TcpStream, connection: usize, world: &World) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let (inbound, mut out) = stream.into_split();
    let mut inbox = Inbox::new(inbound);
    while let Some(incoming) = inbox.request(&mut out).await? {
        let keep_alive = incoming.head.keep_alive;
        let request = record(connection, incoming);
        if let Some(told) = telling::answer(&request, |look| world.log.look(look)) {
            say(&mut out, told).await?;
            continue;
        }
        let number = world.log.request(request.clone());
        if !request.complete {
            world.log.peer_closed(number, Instant::now());
            return Ok(());
        }
        let after = tokio::select! {
            // The reply first: a caller that leaves as its answer ends has not left in the middle of it.
            biased;
            // One that leaves while it is written to is noticed by that alone.
            said = answer(&mut out, &request, world) => {
                said.inspect_err(|_| world.log.peer_closed(number, Instant::now()))?
            }
            () = inbox.closed() => {
                world.log.peer_closed(number, Instant::now());
                return Ok(());
            }
        };
        world.log.answered(number, Instant::now());
        match after {
            After::Next if keep_alive => {}
            After::Next | After::Close => return out.shutdown().await,
            After::Reset => {
                out.as_ref().set_zero_linger()?;
                // Dropped, it would say a polite end first.
                out.forget();
                return Ok(());
            }
        }
    }
    Ok(())
}

fn record(connection: usize, incoming: Incoming) -> Recorded {
    Recorded {
        connection,
        method: incoming.head.method,
        target: incoming.head.target,
        headers: incoming.head.headers,
        head: incoming.head.raw,
        body: incoming.body,
        complete: incoming.complete,
        arrived: incoming.head.arrived,
        peer_closed: None,
        answered: None,
    }
}

async fn answer(out: &mut OwnedWriteHalf, request: &Recorded, world: &World) -> io::Result<After> {
    let Some(scripted) = world.script.next() else {
        return say(out, world.simulate(request)).await;
    };
    if scripted.framing == Framing::Simulated {
        for act in &scripted.acts {
            pause(act).await;
        }
        return say(out, world.simulate(request)).await;
    }
    say(out, scripted).await
}

async fn say(out: &mut OwnedWriteHalf, reply: Reply) -> io::Result<After> {
    let mut head = Some(head(&reply));
    let last = reply.acts.iter().rposition(|act| matches!(act, Act::Bytes(_)));
    for (index, act) in reply.acts.iter().enumerate() {
        match act {
            Act::Head => out.write_all(&head.take().unwrap_or_default()).await?,
            Act::Bytes(bytes) => {
                let half = reply.ending == Ending::HalfChunk && Some(index) == last;
                let mut wire = head.take().unwrap_or_default();
                wire.extend_from_slice(&frame(reply.framing, bytes, half));
                out.write_all(&wire).await?;
            }
            Act::Delay(_) | Act::Wait(_) | Act::Stall => pause(act).await,
        }
    }
    let mut wire = head.take().unwrap_or_default();
    if reply.framing == Framing::Chunked && reply.ending == Ending::Whole {
        wire.extend_from_slice(b"0\r\n\r\n");
    }
    out.write_all(&wire).await?;
    Ok(match reply.ending {
        Ending::Whole if closes(&reply) => After::Close,
        Ending::Whole => After::Next,
        Ending::Close | Ending::HalfChunk => After::Close,
        Ending::Reset => After::Reset,
    })
}

async fn pause(act: &Act) {
    match act {
        Act::Delay(time) => tokio::time::sleep(*time).await,
        Act::Wait(gate) => gate.passed().await,
        Act::Stall => std::future::pending().await,
        Act::Head | Act::Bytes(_) => {}
    }
}

fn head(reply: &Reply) -> BytesMut {
    let mut head = BytesMut::new();
    let framing = match reply.framing {
        Framing::Raw | Framing::Simulated => return head,
        Framing::Chunked => "transfer-encoding: chunked\r\n".to_owned(),
        Framing::Length(claimed) => format!("content-length: {}\r\n", claimed.unwrap_or_else(|| length(&reply.acts))),
        Framing::UntilClose => "connection: close\r\n".to_owned(),
    };
    head.extend_from_slice(format!("HTTP/1.1 {} {}\r\n", reply.status, reason(reply.status)).as_bytes());
    for (name, value) in &reply.headers {
        head.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
    }
    head.extend_from_slice(framing.as_bytes());
    head.extend_from_slice(b"\r\n");
    head
}

fn closes(reply: &Reply) -> bool {
    reply
        .headers
        .iter()
        .any(|(name, value)| name.eq_ignore_ascii_case("connection") && value.eq_ignore_ascii_case("close"))
}

fn length(acts: &[Act]) -> usize {
    acts.iter().map(|act| if let Act::Bytes(bytes) = act { bytes.len() } else { 0 }).sum()
}

fn frame(framing: Framing, bytes: &Bytes, half: bool) -> Vec<u8> {
    let sent = if half { bytes.get(..bytes.len() / 2).unwrap_or_default() } else { bytes };
    match framing {
        // An empty chunk would end the body.
        Framing::Chunked if bytes.is_empty() => Vec::new(),
        Framing::Chunked if half => [format!("{:x}\r\n", bytes.len()).as_bytes(), sent].concat(),
        Framing::Chunked => [format!("{:x}\r\n", bytes.len()).as_bytes(), sent, b"\r\n"].concat(),
        Framing::Length(_) | Framing::UntilClose | Framing::Raw | Framing::Simulated => sent.to_vec(),
    }
}

fn reason(status: u16) -> &'static str {
    actix_web::http::StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason()).unwrap_or("Unknown")
}

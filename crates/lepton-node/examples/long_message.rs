//! Memory of both ends of a link while one long message passes, whole and in parts (TR-07, TR-08).
//!
//! `long_message [MEBIBYTES]`: this process is the coordinator and starts another one as the party; each prints the most memory it had. Linux only.
#![expect(
    clippy::disallowed_methods,
    reason = "it reads what the system says about its own memory"
)]
use std::io::Write;
use std::path::Path;
use std::process::{Child, Command};
use std::time::Duration;

use lepton_node::net::pki::{Authority, Member, MemberFolder, Role};
use lepton_node::net::{
    Credentials, DialConfig, Dialer, Event, IncomingStream, Limits, Link, ListenConfig, Listener,
};
use tokio::time::{Instant, sleep};

type Failure = Box<dyn std::error::Error + Send + Sync>;

const MEBIBYTE: u64 = 1 << 20;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.as_slice() {
        [role, way, folder, to, size] if role == "party" => {
            party(way, Path::new(folder), to, size.parse()?).await
        }
        [role, way, size] if role == "coordinator" => coordinator(way, size.parse()?).await,
        [] => both(500),
        [size] => both(size.parse()?),
        _ => Err("usage: long_message [MEBIBYTES]".into()),
    }
}

/// One process each way, so that one's memory does not show in the other's figure.
fn both(size: u64) -> Result<(), Failure> {
    for way in ["parts", "whole"] {
        done(
            own()
                .args(["coordinator", way, &size.to_string()])
                .spawn()?,
        )?;
    }
    Ok(())
}

fn own() -> Command {
    Command::new(std::env::current_exe().unwrap_or_default())
}

fn done(mut child: Child) -> Result<(), Failure> {
    let good = child.wait()?.success();
    good.then_some(())
        .ok_or_else(|| "the other process failed".into())
}

async fn coordinator(way: &str, size: u64) -> Result<(), Failure> {
    let folder = tempfile::tempdir()?;
    let authority = Authority::create(&folder.path().join("ca"), "trial".parse()?, 7, None)?;
    let hub = enrolled(&authority, folder.path(), Role::Coordinator, "hub")?;
    enrolled(&authority, folder.path(), Role::Party, "party")?;
    let limits = Limits {
        longest_message: size * MEBIBYTE,
        stream_above: if way == "parts" { MEBIBYTE } else { u64::MAX },
        ..Limits::default()
    };
    let mut listener = Listener::bind(ListenConfig {
        address: "127.0.0.1:0".parse()?,
        credentials: Credentials::open(&hub)?,
        limits,
        enrolment: None,
        observer: None,
    })
    .await?;
    let to = listener.address().to_string();
    let party = folder.path().join("party");
    let other = own()
        .args(["party", way])
        .arg(party)
        .args([to, size.to_string()])
        .spawn()?;
    let mut peer = listener.accept().await.ok_or("nobody came")?;
    let began = Instant::now();
    let sum = received(&mut peer.link).await?;
    let time = began.elapsed();
    if sum != expected(size) {
        return Err("another message than was sent".into());
    }
    peer.link.send("all of it").await?;
    tokio::task::spawn_blocking(move || done(other)).await??;
    report("coordinator", way, size, time)
}

async fn party(way: &str, folder: &Path, to: &str, size: u64) -> Result<(), Failure> {
    let credentials = Credentials::open(&MemberFolder::open(folder)?)?;
    let mut link = Dialer::connect(DialConfig::new(to.to_owned(), credentials))?;
    let (sender, began) = (link.sender(), Instant::now());
    let way_of_sending = way.to_owned();
    let sending = tokio::spawn(async move {
        if way_of_sending == "whole" {
            let length = usize::try_from(size * MEBIBYTE).unwrap_or(usize::MAX);
            let mut message = Vec::with_capacity(length);
            (0..size).for_each(|number| message.extend_from_slice(&part(number)));
            return sender.send(message).await;
        }
        let mut upload = sender.stream(size * MEBIBYTE).await?;
        for number in 0..size {
            upload.write(part(number)).await?;
        }
        upload.finish().await
    });
    loop {
        match link.recv().await.ok_or("the link ended")? {
            Event::Message(_) => break,
            Event::Closed(reason) | Event::Waiting(reason) => return Err(reason.into()),
            _ => {}
        }
    }
    sending.await??;
    // The last acknowledgement is on its way.
    sleep(Duration::from_millis(100)).await;
    report("party", way, size, began.elapsed())
}

/// The sum of all bytes of the next message.
async fn received(link: &mut Link) -> Result<u64, Failure> {
    let sum = |bytes: &[u8]| bytes.iter().map(|byte| u64::from(*byte)).sum::<u64>();
    loop {
        match link.recv().await.ok_or("the link ended")? {
            Event::Message(message) => return Ok(sum(&message)),
            Event::Stream(stream) => return in_parts(stream, sum).await,
            Event::Closed(reason) => return Err(reason.into()),
            _ => {}
        }
    }
}

async fn in_parts(mut stream: IncomingStream, sum: impl Fn(&[u8]) -> u64) -> Result<u64, Failure> {
    let mut all = 0;
    while let Some(part) = stream.part().await? {
        all += sum(&part);
    }
    Ok(all)
}

/// One mebibyte of the message.
fn part(number: u64) -> Vec<u8> {
    vec![number.to_le_bytes().first().copied().unwrap_or(0); 1 << 20]
}

fn expected(size: u64) -> u64 {
    (0..size).map(|number| number % 256 * MEBIBYTE).sum()
}

fn enrolled(
    authority: &Authority,
    folder: &Path,
    role: Role,
    name: &str,
) -> Result<MemberFolder, Failure> {
    let about = Member {
        federation: authority.federation()?,
        role,
        name: name.parse()?,
    };
    let folder = MemberFolder::create(&folder.join(name), about, None)?;
    let (_, issued) = authority.approve(&folder.request()?, false)?;
    folder.install(&issued)?;
    Ok(folder)
}

fn report(who: &str, way: &str, size: u64, time: Duration) -> Result<(), Failure> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let mut lines = status.lines();
    let most = lines
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .ok_or("no such line")?;
    let most: u64 = most.split_whitespace().next().ok_or("no number")?.parse()?;
    let mut out = std::io::stdout().lock();
    writeln!(
        out,
        "{size} MiB {way}, {who}: {} MiB of memory at most, {:.1} s",
        most >> 10,
        time.as_secs_f64()
    )?;
    Ok(out.flush()?)
}

//! What ten thousand connections from strangers do to a coordinator with the default limits (TR-10).
//!
//! `many_connections [CONNECTIONS] [SECONDS]`: this process listens and has two hundred members on their links; a second one, from a hundred addresses of the
//! loopback network, keeps that many connections knocking: a third says nothing, a third one byte a second, a third a whole TLS greeting and then nothing.
//! Needs that many open files: `ulimit -n 20000`. Linux only.
#![expect(
    clippy::disallowed_methods,
    reason = "it reads what the system says about its own memory"
)]
use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use lepton_node::net::pki::{Authority, Member, MemberFolder, Role};
use lepton_node::net::{
    Credentials, DialConfig, Dialer, Event, Limits, Link, ListenConfig, Listener, Peer,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpSocket;
use tokio::time::{Instant, sleep, timeout};

type Failure = Box<dyn std::error::Error + Send + Sync>;

const ADDRESSES: u64 = 100;
/// Below what one address may have.
const MEMBERS: usize = 200;
const SECOND: Duration = Duration::from_secs(1);

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.as_slice() {
        [role, to, many, seconds] if role == "crowd" => {
            crowd(to.parse()?, many.parse()?, seconds.parse()?).await
        }
        [] => coordinator(10_000, 40).await,
        [many] => coordinator(many.parse()?, 40).await,
        [many, seconds] => coordinator(many.parse()?, seconds.parse()?).await,
        _ => Err("usage: many_connections [CONNECTIONS] [SECONDS]".into()),
    }
}

async fn coordinator(many: u64, seconds: u64) -> Result<(), Failure> {
    let folder = tempfile::tempdir()?;
    let authority = Authority::create(&folder.path().join("ca"), "trial".parse()?, 7, None)?;
    let listener = Listener::bind(ListenConfig {
        address: "127.0.0.1:0".parse()?,
        credentials: member(&authority, folder.path(), Role::Coordinator, "hub")?,
        limits: Limits::default(),
        enrolment: None,
        observer: None,
    })
    .await?;
    let to = listener.address();
    tokio::spawn(answer(listener));
    let alone = memory("VmRSS:")?;
    let mut links = Vec::new();
    for number in 0..MEMBERS {
        let credentials = member(
            &authority,
            folder.path(),
            Role::Party,
            &format!("p{number}"),
        )?;
        links.push(connected(to, credentials).await?);
    }
    let quiet = talk(&mut links, 5 * SECOND).await?;
    let before = memory("VmRSS:")?;
    let late = member(&authority, folder.path(), Role::Party, "late")?;
    let mut crowd = std::process::Command::new(std::env::current_exe()?)
        .args([
            "crowd",
            &to.to_string(),
            &many.to_string(),
            &seconds.to_string(),
        ])
        .spawn()?;
    sleep(5 * SECOND).await;
    let began = Instant::now();
    let newcomer = connected(to, late).await?;
    let joined = began.elapsed();
    let besieged = talk(&mut links, Duration::from_secs(seconds) - 10 * SECOND).await?;
    let (open, during) = (
        std::fs::read_dir("/proc/self/fd")?.count(),
        memory("VmRSS:")?,
    );
    let status = tokio::task::spawn_blocking(move || crowd.wait()).await??;
    drop(newcomer);
    say(&format!(
        "members' 1 KiB there and back, without the crowd: {quiet}"
    ))?;
    say(&format!(
        "members' 1 KiB there and back, beside the crowd: {besieged}"
    ))?;
    say(&format!(
        "a new member from another address was connected after {} ms",
        joined.as_millis()
    ))?;
    say(&format!(
        "coordinator and {MEMBERS} members, one process: {} MiB in memory before the members, {} MiB before the crowd, {} MiB during, {} MiB at most; {open} open files of at most {} connections",
        alone >> 10,
        before >> 10,
        during >> 10,
        memory("VmHWM:")? >> 10,
        Limits::default().connections,
    ))?;
    status
        .success()
        .then_some(())
        .ok_or_else(|| "the crowd failed".into())
}

/// Sends every message back.
async fn answer(mut listener: Listener) {
    while let Some(Peer { mut link, .. }) = listener.accept().await {
        tokio::spawn(async move {
            while let Some(event) = link.recv().await {
                if let Event::Message(message) = event
                    && link.send(message).await.is_err()
                {
                    return;
                }
            }
        });
    }
}

fn member(
    authority: &Authority,
    folder: &Path,
    role: Role,
    name: &str,
) -> Result<Credentials, Failure> {
    let about = Member {
        federation: authority.federation()?,
        role,
        name: name.parse()?,
    };
    let folder = MemberFolder::create(&folder.join(name), about, None)?;
    let (_, issued) = authority.approve(&folder.request()?, false)?;
    folder.install(&issued)?;
    Ok(Credentials::open(&folder)?)
}

async fn connected(to: SocketAddr, credentials: Credentials) -> Result<Link, Failure> {
    let mut link = Dialer::connect(DialConfig::new(to.to_string(), credentials))?;
    while let Some(event) = timeout(60 * SECOND, link.recv()).await? {
        if let Event::Connected(_) = event {
            return Ok(link);
        }
    }
    Err("the link ended".into())
}

/// Every member in turn says something and hears it back, for a time.
async fn talk(links: &mut [Link], time: Duration) -> Result<String, Failure> {
    let (began, mut times) = (Instant::now(), Vec::new());
    while began.elapsed() < time {
        for link in &mut *links {
            let sent = Instant::now();
            link.send(vec![7; 1024]).await?;
            loop {
                match timeout(30 * SECOND, link.recv())
                    .await?
                    .ok_or("the link ended")?
                {
                    Event::Message(_) => break,
                    Event::Lost(reason) => {
                        return Err(format!("a member was cut off: {reason}").into());
                    }
                    _ => {}
                }
            }
            times.push(sent.elapsed().as_micros());
            sleep(Duration::from_millis(5)).await;
        }
    }
    times.sort_unstable();
    let at = |part: usize| {
        times
            .get((times.len() * part / 1000).min(times.len() - 1))
            .copied()
            .unwrap_or(0)
    };
    Ok(format!(
        "{} times, median {} µs, 99.9 % within {} µs, none lost",
        times.len(),
        at(500),
        at(999)
    ))
}

/// A line of this process's memory, KiB.
fn memory(line: &str) -> Result<u64, Failure> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let mut lines = status.lines();
    let found = lines
        .find_map(|text| text.strip_prefix(line))
        .ok_or("no such line")?;
    Ok(found
        .split_whitespace()
        .next()
        .ok_or("no number")?
        .parse()?)
}

/// What the crowd met with.
#[derive(Default)]
struct Tally {
    over: AtomicBool,
    open: AtomicU64,
    most: AtomicU64,
    made: AtomicU64,
    at_once: AtomicU64,
    cut_off: AtomicU64,
    longest: AtomicU64,
}

async fn crowd(to: SocketAddr, many: u64, seconds: u64) -> Result<(), Failure> {
    let (tally, greeting) = (Arc::new(Tally::default()), Arc::new(greeting()?));
    let all: Vec<_> = (0..many)
        .map(|number| tokio::spawn(knock(number, to, tally.clone(), greeting.clone())))
        .collect();
    sleep(Duration::from_secs(seconds)).await;
    tally.over.store(true, Ordering::Relaxed);
    for one in all {
        one.abort();
    }
    let of = |figure: &AtomicU64| figure.load(Ordering::Relaxed);
    say(&format!(
        "{many} strangers made {} connections in {seconds} s, up to {} of them open: {} closed within a second, {} later, the last of them after {:.1} s",
        of(&tally.made),
        of(&tally.most),
        of(&tally.at_once),
        of(&tally.cut_off),
        Duration::from_millis(of(&tally.longest)).as_secs_f64(),
    ))
}

async fn knock(number: u64, to: SocketAddr, tally: Arc<Tally>, greeting: Arc<Vec<u8>>) {
    // Not all in the same moment.
    sleep(Duration::from_millis(number % 2000)).await;
    while !tally.over.load(Ordering::Relaxed) {
        if let Some(lived) = visit(number, to, &tally, &greeting).await {
            let millis = u64::try_from(lived.as_millis()).unwrap_or(u64::MAX);
            let ended = if lived < SECOND {
                &tally.at_once
            } else {
                &tally.cut_off
            };
            ended.fetch_add(1, Ordering::Relaxed);
            tally.longest.fetch_max(millis, Ordering::Relaxed);
        }
        sleep(SECOND + Duration::from_millis(number % 1000)).await;
    }
}

/// One connection, until the listener ends it: how long it lived.
async fn visit(number: u64, to: SocketAddr, tally: &Tally, greeting: &[u8]) -> Option<Duration> {
    let host = u8::try_from(number % ADDRESSES + 1).ok()?;
    let socket = TcpSocket::new_v4().ok()?;
    socket
        .bind(SocketAddr::new(
            IpAddr::V4(Ipv4Addr::new(127, 1, 0, host)),
            0,
        ))
        .ok()?;
    let mut stream = timeout(10 * SECOND, socket.connect(to)).await.ok()?.ok()?;
    let began = Instant::now();
    tally.made.fetch_add(1, Ordering::Relaxed);
    let open = tally.open.fetch_add(1, Ordering::Relaxed) + 1;
    tally.most.fetch_max(open, Ordering::Relaxed);
    let (mut reader, mut writer) = stream.split();
    let mut nothing = [0; 4096];
    let listen = async { while matches!(reader.read(&mut nothing).await, Ok(1..)) {} };
    let speak = async {
        match number / ADDRESSES % 3 {
            0 => {}
            1 => {
                for byte in greeting {
                    if writer.write_all(&[*byte]).await.is_err() {
                        break;
                    }
                    sleep(SECOND).await;
                }
            }
            _ => drop(writer.write_all(greeting).await),
        }
        std::future::pending::<()>().await;
    };
    tokio::select! {
        () = listen => {}
        () = speak => {}
    }
    tally.open.fetch_sub(1, Ordering::Relaxed);
    Some(began.elapsed())
}

/// The first bytes of a good handshake.
fn greeting() -> Result<Vec<u8>, Failure> {
    use rustls::crypto::{CryptoProvider, aws_lc_rs};
    let provider = CryptoProvider {
        kx_groups: vec![aws_lc_rs::kx_group::X25519MLKEM768],
        ..aws_lc_rs::default_provider()
    };
    let mut config = rustls::ClientConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let name = rustls::pki_types::ServerName::try_from("127.0.0.1")?;
    let mut connection = rustls::ClientConnection::new(Arc::new(config), name)?;
    let mut bytes = Vec::new();
    connection.write_tls(&mut bytes)?;
    Ok(bytes)
}

fn say(line: &str) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}")?;
    Ok(out.flush()?)
}

//! Parties that join a running job (docs/protocols/late-join.md), with their failing twins.

use std::path::PathBuf;
use std::time::Duration;

use lepton_node::audit_log;
use lepton_node::daemon::Own;
use lepton_node::daemon::party;
use lepton_node::hex::hex;
use lepton_protocol::control::{Answer, Body, Control, JobDigest};
use lepton_protocol::report::Report;

use crate::whole::{data, report, tumours};
use crate::world::{World, ada, deal, signed};

/// A goal that many rounds may spend.
pub const GOAL: [&str; 4] = [
    "privacy.epsilon=8",
    "privacy.delta=1e-5",
    "training.sampling_rate=0.5",
    "evaluation.every=5",
];

/// So many parties with a table each, of which the first three are expected, and the text of a job that others may join.
pub fn federation(parties: usize, extra: &[&str]) -> (World, String) {
    let overrides = [&["training.late_join=6", "training.rounds=60"], extra].concat();
    let (few, text) = tumours(&overrides);
    let folder = few.folder;
    let tables: Vec<PathBuf> = deal(&data("breast_cancer.csv"), parties, folder.path());
    let mut world = World::new(folder, tables);
    (world.min_parties, world.expected) = (3, 3);
    // Dealt to six, the table is small.
    let table = "[tables.breast_cancer]\n";
    world.edit_policy =
        Box::new(move |policy| policy.replace(table, &format!("{table}min_rows = 20\n")));
    (world, text)
}

pub fn digest_of(text: &str) -> JobDigest {
    signed(text, &ada()).digest()
}

/// What a job has said, from its submission on.
struct Told {
    events: tokio::sync::watch::Receiver<Vec<String>>,
    follower: tokio::task::JoinHandle<()>,
}

impl Told {
    /// Follows a job, over a new link.
    async fn follow(world: &World, text: &str) -> Self {
        let mut client = world.client(&ada()).await;
        let job = digest_of(text);
        let (told, events) = tokio::sync::watch::channel(Vec::new());
        let follower = tokio::spawn(async move {
            // The coordinator may be killed under it.
            let _ = client
                .watch(job, 0, |event| {
                    let words = format!("{:?}", event.progress);
                    told.send_modify(|all: &mut Vec<String>| all.push(words));
                })
                .await;
        });
        Self { events, follower }
    }

    /// Until this was said so often.
    async fn until(&mut self, words: &str, often: usize) {
        let said = |all: &Vec<String>| all.iter().filter(|one| one.contains(words)).count();
        let waited = tokio::time::timeout(
            Duration::from_secs(60),
            self.events.wait_for(|all| said(all) >= often),
        );
        assert!(
            matches!(waited.await, Ok(Ok(_))),
            "never said {words}: {:#?}",
            self.all()
        );
    }

    fn all(&self) -> Vec<String> {
        self.events.borrow().clone()
    }
}

impl Drop for Told {
    fn drop(&mut self) {
        self.follower.abort();
    }
}

async fn submit(world: &World, text: &str) {
    let mut client = world.client(&ada()).await;
    client.submit(signed(text, &ada())).await.unwrap();
}

async fn end(world: &World, text: &str) -> (String, Vec<String>) {
    let mut client = world.client(&ada()).await;
    let mut said = Vec::new();
    let words = client.watch(digest_of(text), 0, |event| {
        said.push(format!("{:?}", event.progress));
    });
    (words.await.unwrap(), said)
}

async fn up(world: &mut World, parties: usize) {
    world.start_coordinator().await;
    for index in 0..parties {
        world.start_party(index).await;
    }
}

async fn state(world: &World, index: usize, wanted: &str) -> party::PartyJob {
    for _ in 0..1000 {
        let jobs = party::list(&world.home(index)).unwrap();
        if let Some(job) = jobs.into_iter().find(|job| job.state == wanted) {
            return job;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("p{index} never says {wanted}");
}

fn charges(world: &World, index: usize, text: &str) -> Vec<serde_json::Value> {
    let path = world.home(index).join(hex(&digest_of(text)));
    let own = std::fs::read_to_string(path.join("report.json")).unwrap();
    let own: serde_json::Value = serde_json::from_str(&own).unwrap();
    own["charges"].as_array().unwrap().clone()
}

fn says(path: &std::path::Path, job: &JobDigest, words: &str) -> bool {
    let (_, entries) = audit_log::read(path).unwrap();
    let job = hex(job);
    let entries = entries.iter().map(|entry| format!("{entry:?}"));
    entries
        .into_iter()
        .any(|entry| entry.contains(&job) && entry.contains(words))
}

fn rounds_of(report: &Report) -> Vec<Option<u32>> {
    report.parties.iter().map(|one| one.joined_round).collect()
}

/// LJ-06, LJ-08, LJ-09: a fourth party comes in the middle of a job with a goal; it is charged for what it takes part in, the others for everything.
#[tokio::test(flavor = "multi_thread")]
async fn a_fourth_party_joins_a_running_job() {
    let (mut world, text) = federation(4, &GOAL);
    world.with_ledgers(20.0);
    up(&mut world, 3).await;
    submit(&world, &text).await;
    let mut told = Told::follow(&world, &text).await;
    told.until("Trained", 3).await;
    world.start_party(3).await;
    let (words, said) = end(&world, &text).await;
    assert!(words.starts_with("finished: 60 of 60 rounds"), "{words}");
    let found = report(&world, &text).await;
    let round = found.parties[3].joined_round.unwrap();
    assert!((4..60).contains(&round), "{round}");
    assert_eq!(rounds_of(&found), [None, None, None, Some(round)]);
    let note = format!("p3 joined: 4 parties from round {round} on");
    assert!(said.iter().any(|event| event.contains(&note)), "{said:#?}");
    assert_eq!(found.protection.parties, 4);
    let until = format!(
        "Until round {round} there were 3 parties, not 4: sums were over at least 3 of them"
    );
    let assumed = &found.privacy.assumptions;
    assert!(
        assumed.iter().any(|one| one.starts_with(&until)),
        "{assumed:#?}"
    );
    assert!(found.privacy.epsilon_coordinator.unwrap() <= 8.0);
    assert!(
        found
            .notes
            .iter()
            .any(|note| note.contains("1 party joined before round"))
    );

    // Its own view, the others' view, and both logs.
    let own = state(&world, 3, "finished").await;
    assert_eq!(own.parties, ["p0", "p1", "p2", "p3"]);
    assert!(own.joined_late.is_empty() && own.explained.contains("up to 6 in all"));
    let other = state(&world, 0, "finished").await;
    let late: Vec<&str> = other
        .joined_late
        .iter()
        .map(|one| one.name.as_str())
        .collect();
    assert_eq!((late, &other.parties), (vec!["p3"], &own.parties));
    let job = digest_of(&text);
    for log in [world.hub_audit(), world.audit(0), world.audit(2)] {
        assert!(says(&log, &job, "grown to 4 parties"), "{}", log.display());
    }
    assert!(!says(&world.audit(3), &job, "grown"));

    // No charge of what was over before it came, and the sums it missed before are not held against it.
    let [old, new] = [0, 3].map(|index| charges(&world, index, &text));
    let kind = |charge: &serde_json::Value, kind: &str| charge["kind"] == kind;
    assert!(old.iter().any(|charge| kind(charge, "statistics")));
    assert!(!new.iter().any(|charge| kind(charge, "statistics")));
    let trained =
        |all: &[serde_json::Value]| all.iter().filter(|one| kind(one, "training")).count();
    assert_eq!((trained(&old), trained(&new)), (60, 61 - round as usize));
    assert_eq!(found.parties[3].sums_missed, 0);
    assert_eq!(found.parties[3].sums_joined, new.len() as u64);
}

/// JC-05: without the key the roster stays as it was.
#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_does_not_say_so_takes_nobody_in() {
    let (mut world, _) = federation(4, &[]);
    let (_few, text) = tumours(&["training.rounds=40"]);
    up(&mut world, 3).await;
    submit(&world, &text).await;
    let mut told = Told::follow(&world, &text).await;
    told.until("Trained", 2).await;
    world.start_party(3).await;
    let (words, _) = end(&world, &text).await;
    assert!(words.starts_with("finished: 40 of 40 rounds"), "{words}");
    assert_eq!(rounds_of(&report(&world, &text).await), [None; 3]);
    assert!(party::list(&world.home(3)).unwrap().is_empty());
}

/// LJ-04: exact sums take three at a time here (one colluder, and every policy wants three parties), never one alone.
#[tokio::test(flavor = "multi_thread")]
async fn nobody_joins_exact_sums_alone() {
    let (mut world, text) = federation(6, &["training.rounds=120"]);
    up(&mut world, 3).await;
    submit(&world, &text).await;
    let mut told = Told::follow(&world, &text).await;
    told.until("Trained", 2).await;
    world.start_party(3).await;
    told.until("p3 accepted, and waits: without a privacy goal parties join 3 or more at a time, and these are 1", 1).await;
    world.start_party(4).await;
    told.until("p4 accepted, and waits", 1).await;
    told.until("Trained", 8).await;
    world.start_party(5).await;
    let (words, said) = end(&world, &text).await;
    assert!(words.starts_with("finished: 120 of 120 rounds"), "{words}");
    let whole = report(&world, &text).await;
    let mut assumed = whole.privacy.assumptions.iter();
    assert!(assumed.any(|one| one.contains("there were 3 parties, not 6")));
    let found = rounds_of(&whole);
    let round = found[5].unwrap();
    assert!(round > 8);
    assert_eq!(
        found,
        [None, None, None, Some(round), Some(round), Some(round)]
    );
    let grown = said.iter().filter(|event| event.contains("may join"));
    assert_eq!(grown.count(), 1, "{said:#?}");
}

/// LJ-05, LJ-06: whoever refuses the longer roster, an old party or the newcomer, the job goes on with the roster before.
#[tokio::test(flavor = "multi_thread")]
async fn a_refused_roster_is_given_up_in_words() {
    for refuses in [1, 3] {
        let (mut world, text) = federation(4, &GOAL);
        up(&mut world, 3).await;
        submit(&world, &text).await;
        let mut told = Told::follow(&world, &text).await;
        told.until("Trained", 2).await;
        world.policy += "[parties]\nmost = 3\n";
        match refuses {
            1 => {
                world.write_policy(1);
                world.policy = world.policy.replace("[parties]\nmost = 3\n", "");
                world.start_party(3).await;
            }
            _ => world.start_party(3).await,
        }
        let (words, said) = end(&world, &text).await;
        assert!(words.starts_with("finished: 60 of 60 rounds"), "{words}");
        let refused = format!(
            "p{refuses} refused (PO-06): the job has 4 parties; the policy wants at most 3 (PO-06)"
        );
        let given_up = format!(
            "p3 does not join now (p{refuses}: it refused); the job goes on with 3 parties"
        );
        for expected in [&refused, &given_up] {
            assert!(
                said.iter().any(|event| event.contains(expected.as_str())),
                "{said:#?}"
            );
        }
        assert_eq!(rounds_of(&report(&world, &text).await), [None; 3]);
        for index in 0..3 {
            let job = state(&world, index, "finished").await;
            assert!(job.parties == ["p0", "p1", "p2"] && job.joined_late.is_empty());
        }
    }
}

/// LJ-05, LJ-06: kill -9 of everybody around the moment when the roster grows.
#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_killed_while_a_party_joins_the_job_goes_on() {
    for who in [None, Some(0), Some(3)] {
        for moment in ["p3 accepted", "p3 may join", "p3 joined"] {
            let (mut world, text) = federation(4, &GOAL);
            up(&mut world, 3).await;
            submit(&world, &text).await;
            let mut told = Told::follow(&world, &text).await;
            told.until("Trained", 2).await;
            world.start_party(3).await;
            told.until(moment, 1).await;
            match who {
                None => {
                    world.kill_coordinator().await;
                    world.start_coordinator().await;
                }
                Some(party) => {
                    world.kill_party(party).await;
                    world.start_party(party).await;
                }
            }
            let (words, said) = end(&world, &text).await;
            assert!(
                words.starts_with("finished"),
                "{who:?} after {moment}: {words}"
            );
            let found = report(&world, &text).await;
            let came = found.parties.last().unwrap().joined_round;
            assert!(
                found.parties.len() == 4 && came.is_some(),
                "{who:?} after {moment}: {said:#?}"
            );
            assert!(found.privacy.epsilon_coordinator.unwrap() <= 8.0);
        }
    }
}

/// LJ-06: a newcomer that accepts and then says nothing costs the others a while, and not the job; it is tried three times and no more.
#[tokio::test(flavor = "multi_thread")]
async fn a_silent_newcomer_is_left_out() {
    let (mut world, text) = federation(3, &GOAL);
    world.patience = Duration::from_secs(2);
    up(&mut world, 3).await;
    submit(&world, &text).await;
    let mut told = Told::follow(&world, &text).await;
    told.until("Trained", 2).await;
    let job = digest_of(&text);
    for time in 1..=4 {
        let link = world.link_as_party(3).await;
        let hello = Body::Hello {
            boot: [7; 16],
            certificate: World::party(3).certificate(),
        };
        let accepted = Body::Answer(Answer::Accepted);
        let messages = [
            Control::of_none(hello),
            Control {
                job,
                body: accepted,
            },
        ];
        for message in messages {
            link.out.send(message.to_bytes()).await.unwrap();
        }
        if time == 4 {
            told.until("p3 accepted, and is left out", 1).await;
            break;
        }
        told.until(
            "p3 does not join now (p3: it did not join in time); the job goes on with 3 parties",
            time,
        )
        .await;
    }
    let (words, said) = end(&world, &text).await;
    assert!(words.starts_with("finished: 60 of 60 rounds"), "{words}");
    let tried = said.iter().filter(|event| event.contains("p3 may join"));
    assert_eq!(tried.count(), 3, "{said:#?}");
}

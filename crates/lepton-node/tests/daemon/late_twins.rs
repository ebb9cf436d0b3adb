//! What a party takes from a coordinator that plays with rosters (rules LJ-02 to LJ-05, LJ-07).

use std::time::Duration;

use lepton_crypto::IdentityPublic;
use lepton_node::daemon::{Connection, Own, Role, party};
use lepton_protocol::control::{Answer, Body, Control, JobDigest, Refusal};
use lepton_protocol::late::roster_digest;

use crate::late::{GOAL, digest_of, federation};
use crate::world::{Someone, World, ada, signed};

/// The coordinator's side, played by the test.
struct Hub {
    link: Connection,
    job: JobDigest,
}

impl Hub {
    /// Linked to `p0`, which has accepted the job.
    async fn accepted(world: &World, text: &str) -> Self {
        let link = world.link_as_coordinator(0).await;
        let job = digest_of(text);
        let mut hub = Self { link, job };
        hub.say(Body::Offer(signed(text, &ada()))).await;
        assert_eq!(hub.answer().await, Answer::Accepted);
        hub
    }

    async fn say(&mut self, body: Body) {
        let message = Control {
            job: self.job,
            body,
        };
        self.link.out.send(message.to_bytes()).await.unwrap();
    }

    async fn answer(&mut self) -> Answer {
        loop {
            let next = tokio::time::timeout(Duration::from_secs(30), self.link.inbox.recv());
            let bytes = next.await.unwrap().unwrap();
            if let Body::Answer(answer) = Control::from_bytes(bytes).unwrap().body {
                return answer;
            }
        }
    }

    async fn roster(&mut self, certificates: Vec<Vec<u8>>) -> Answer {
        self.say(Body::Roster(certificates)).await;
        self.answer().await
    }

    /// The list is taken, and it is this list.
    async fn takes(&mut self, parties: &[Someone]) {
        let keys: Vec<IdentityPublic> = parties.iter().map(|one| one.identity().public()).collect();
        match self.roster(certificates(parties)).await {
            Answer::Joined { roster, .. } => assert_eq!(roster, roster_digest(&keys)),
            other => panic!("{other:?}"),
        }
    }

    async fn refuses(&mut self, parties: &[Someone], words: &str) {
        self.refuses_list(certificates(parties), words).await;
    }

    async fn refuses_list(&mut self, list: Vec<Vec<u8>>, words: &str) {
        match self.roster(list).await {
            Answer::Refused(Refusal { words: why, .. }) => assert!(why.contains(words), "{why}"),
            other => panic!("{words}: {other:?}"),
        }
    }

    /// What begins an epoch, as far as the party's record goes: any frame does.
    async fn invite(&mut self) {
        self.say(Body::Frame(vec![0; 200].into())).await;
    }
}

fn certificates(parties: &[Someone]) -> Vec<Vec<u8>> {
    parties.iter().map(Own::certificate).collect()
}

fn parties(names: &[usize]) -> Vec<Someone> {
    names.iter().map(|index| World::party(*index)).collect()
}

/// Another identity under the name of a party.
fn twin(name: &str) -> Someone {
    Someone {
        name: name.to_owned(),
        role: Role::Party,
        stranger: true,
    }
}

const OTHER: &str = "it is not the one that this party has joined";

/// JC-05: each certificate of the root, a party's, and no name and no key twice.
async fn refuses_wrong_certificates(hub: &mut Hub, three: &[Someone]) {
    let with = |one: Someone| [three.to_vec(), vec![one]].concat();
    hub.refuses(&with(World::party(1)), "stands in it twice")
        .await;
    hub.refuses(&with(Someone::new(Role::Scientist, "p3")), "is no party")
        .await;
    hub.refuses(&with(twin("p3")), "not of this federation")
        .await;
    // Another name with a key that stands in it, and a party's name with another key.
    let key = World::party(1).identity();
    let mut certificates: Vec<Vec<u8>> = three.iter().map(Own::certificate).collect();
    certificates.push(World::party(9).certificate_for(&key));
    hub.refuses_list(certificates.clone(), "p9 stands in it twice")
        .await;
    certificates[3] = World::party(3).certificate();
    certificates[1] = World::party(1).certificate_for(&World::party(9).identity());
    hub.refuses_list(certificates, OTHER).await;
}

/// LJ-02: only the roster of the last epoch, and what it grows to.
#[tokio::test(flavor = "multi_thread")]
async fn a_roster_only_grows() {
    let (mut world, text) = federation(3, &GOAL);
    world.start_party(0).await;
    let mut hub = Hub::accepted(&world, &text).await;
    let three = parties(&[0, 1, 2]);
    // Before the first epoch any list does (JC-05).
    hub.takes(&parties(&[2, 1, 0, 3])).await;
    hub.takes(&three).await;
    hub.invite().await;
    for dropped in [
        &[0, 1][..],
        &[0, 1, 3],
        &[0, 1, 3, 4],
        &[0, 2, 1, 3],
        &[3, 0, 1, 2],
        &[1, 2, 0],
    ] {
        hub.refuses(&parties(dropped), OTHER).await;
    }
    hub.refuses(&parties(&[0, 1, 2, 3, 4, 5, 6]), "up to 6")
        .await;
    refuses_wrong_certificates(&mut hub, &three).await;
    // None of that changed anything.
    hub.takes(&three).await;

    // LJ-05: until it is invited there is a way back, and another way on.
    hub.takes(&parties(&[0, 1, 2, 3])).await;
    hub.takes(&three).await;
    hub.takes(&parties(&[0, 1, 2, 4])).await;
    hub.takes(&parties(&[0, 1, 2, 3])).await;
    hub.invite().await;
    let four = parties(&[0, 1, 2, 3]);
    hub.takes(&four).await;
    // An older roster is not played again, nor one that might have been.
    hub.refuses(&three, OTHER).await;
    hub.refuses(&parties(&[0, 1, 2, 4]), OTHER).await;
    hub.refuses(&parties(&[0, 1, 2, 4, 3]), OTHER).await;
    hub.takes(&parties(&[0, 1, 2, 3, 4, 5])).await;
    hub.invite().await;
    let all = parties(&[0, 1, 2, 3, 4, 5, 6]);
    hub.refuses(&all, "up to 6").await;
    hub.refuses(&four, OTHER).await;

    // What binds is on the disk.
    world.kill_party(0).await;
    world.start_party(0).await;
    let mut hub = Hub {
        link: world.link_as_coordinator(0).await,
        ..hub
    };
    assert_eq!(hub.answer().await, Answer::Accepted);
    hub.refuses(&four, OTHER).await;
    hub.takes(&parties(&[0, 1, 2, 3, 4, 5])).await;
    let job = party::list(&world.home(0)).unwrap().remove(0);
    let late: Vec<&str> = job
        .joined_late
        .iter()
        .map(|one| one.name.as_str())
        .collect();
    assert_eq!((late, job.parties.len()), (vec!["p3", "p4", "p5"], 6));
}

/// LJ-04: exact sums: c + 2 newcomers, and as many as the policy wants of a job.
#[tokio::test(flavor = "multi_thread")]
async fn exact_sums_take_several_or_nobody() {
    for (least, enough) in [(2, &[0, 1, 2, 3, 4, 5][..]), (4, &[0, 1, 2, 3, 4, 5, 6, 7])] {
        let (mut world, text) = federation(3, &["training.late_join=9"]);
        world.policy += &format!("[parties]\nleast = {least}\n");
        world.start_party(0).await;
        let mut hub = Hub::accepted(&world, &text).await;
        hub.takes(&parties(&enough[..least.max(3)])).await;
        hub.invite().await;
        let first = least.max(3);
        for many in first + 1..enough.len() {
            let words = if many < first + 3 {
                "join 3 or more at a time"
            } else {
                "its policy wants 4 newcomers or more at a time, and these are 3"
            };
            hub.refuses(&parties(&enough[..many]), words).await;
        }
        hub.takes(&parties(enough)).await;
    }
}

/// LJ-02: a roster grows eight times and no more, and a refusal of the policy leaves the one before.
#[tokio::test(flavor = "multi_thread")]
async fn a_roster_grows_eight_times() {
    let extra = [&GOAL[..], &["training.late_join=40"]].concat();
    let (mut world, text) = federation(3, &extra);
    world.start_party(0).await;
    let mut hub = Hub::accepted(&world, &text).await;
    let many: Vec<usize> = (0..14).collect();
    for parties_now in 3..=11 {
        hub.takes(&parties(&many[..parties_now])).await;
        hub.invite().await;
        if parties_now == 5 {
            let before = world.policy.clone();
            world.policy += "[parties]\nmost = 5\n";
            world.write_policy(0);
            hub.refuses(&parties(&many[..6]), "at most 5").await;
            let job = party::list(&world.home(0)).unwrap().remove(0);
            assert_eq!(job.parties.len(), 5);
            hub.takes(&parties(&many[..5])).await;
            world.policy = before;
            world.write_policy(0);
        }
    }
    hub.refuses(&parties(&many[..12]), "joined 8 times").await;
    hub.takes(&parties(&many[..11])).await;
}

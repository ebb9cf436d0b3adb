//! What a party keeps to: its policy inside a job, its ledger, its store's past, its audit log.

use std::time::Duration;

use lepton_crypto::IdentityPublic;
use lepton_node::audit_log;
use lepton_node::daemon::party;
use lepton_node::hex::hex;
use lepton_node::ledger::DurableLedger;
use lepton_protocol::control::JobDigest;

use crate::whole::{finish, tumours};
use crate::world::{World, ada, signed};

/// With a goal, so that ledgers have something to do.
const PRIVATE: [&str; 4] = [
    "privacy.epsilon=8",
    "privacy.delta=1e-5",
    "training.rounds=4",
    "training.batch=32",
];

/// Waits until a party's record of the job says this.
async fn state(world: &World, index: usize, wanted: &str) {
    for _ in 0..1000 {
        let jobs = party::list(&world.home(index)).unwrap();
        if jobs.iter().any(|job| job.state == wanted) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("p{index} never says {wanted}");
}

fn digest_of(text: &str) -> JobDigest {
    signed(text, &ada()).digest()
}

/// JC-17, PO-13: the policy is asked before every exchange, as it is then.
#[tokio::test(flavor = "multi_thread")]
async fn a_policy_that_changes_counts_within_the_job() {
    let (mut world, text) = tumours(&["training.rounds=400"]);
    world.up().await;
    let mut client = world.client(&ada()).await;
    client.submit(signed(&text, &ada())).await.unwrap();
    let mut changed = false;
    let world = &mut world;
    let mut said = Vec::new();
    let end = client.watch(digest_of(&text), 0, |event| {
        let words = format!("{:?}", event.progress);
        if words.contains("Trained") && !changed {
            changed = true;
            world.policy += "[model]\nparameters = 1\n";
            world.write_policy(0);
        }
        said.push(words);
    });
    let end = end.await.unwrap();
    let words = "p0 declined: the model has 4 parameters; the policy allows 1 (PO-13)";
    let declined = said.iter().find(|event| event.contains("p0 declined"));
    assert!(
        declined.is_some_and(|event| event.contains(words)),
        "{declined:?}"
    );
    // No drops are allowed in this job: without p0 it ends, and says why.
    assert!(end.starts_with("failed"), "{end}");
}

/// JC-17: a policy that cannot be read for a moment, as while somebody saves it, costs exchanges and not the job.
#[tokio::test(flavor = "multi_thread")]
async fn a_policy_that_cannot_be_read_keeps_a_party_out_for_as_long() {
    let (mut world, text) = tumours(&["training.rounds=60"]);
    world.up().await;
    let mut client = world.client(&ada()).await;
    client.submit(signed(&text, &ada())).await.unwrap();
    let path = world.folder.path().join("p0-policy.toml");
    let (mut broken, mut declined, mut mended) = (false, 0, false);
    let end = client.watch(digest_of(&text), 0, |event| {
        let words = format!("{:?}", event.progress);
        if words.contains("Trained") && !broken {
            broken = true;
            std::fs::write(&path, "[submit").unwrap();
        }
        if words.contains("p0 declined: its policy cannot be read") {
            declined += 1;
            if !mended {
                mended = true;
                world.write_policy(0);
            }
        }
    });
    let end = end.await.unwrap();
    assert!(end.starts_with("finished"), "{end}");
    assert!(declined >= 1);
    state(&world, 0, "finished").await;
}

/// JC-05, FT-08, LG-05: the whole cost is set aside at joining, each exchange is charged once, the rest is given back at the end.
#[tokio::test(flavor = "multi_thread")]
async fn a_private_job_is_charged_at_every_party() {
    let (mut world, text) = tumours(&PRIVATE);
    world.with_ledgers(100.0);
    world.up().await;
    let end = finish(&world, &text).await;
    assert!(end.starts_with("finished"), "{end}");
    for index in 0..3 {
        state(&world, index, "finished").await;
        let ledger = DurableLedger::open(&world.ledger_path(index), String::new).unwrap();
        let book = ledger.book().unwrap();
        let job = &book.jobs()[&format!("{}-0", hex(&digest_of(&text)))];
        assert!(job.closed);
        let own = std::fs::read_to_string(
            world
                .home(index)
                .join(hex(&digest_of(&text)))
                .join("ledger.jsonl"),
        );
        let own = own.unwrap().lines().count();
        assert!(own >= 6, "{own}");
        let (summary, entries) = audit_log::read(&world.audit(index)).unwrap();
        assert_eq!(summary.member, format!("p{index}"));
        let charged =
            |entry: &audit_log::Entry| matches!(entry.event, audit_log::Event::Charge { .. });
        // JC-15: every charge is written down, under the number of its entry.
        assert_eq!(entries.iter().filter(|entry| charged(entry)).count(), own);
        let found = audit_log::cross_check(
            &world.audit(index),
            &world.hub_audit(),
            &hex(&digest_of(&text)),
        );
        let found = found.unwrap();
        assert!(
            found.contradictions.is_empty() && found.matched > 10,
            "{found:?}"
        );
        let key: IdentityPublic = World::party(index).member().key;
        audit_log::verify(&world.audit(index), Some(&key)).unwrap();
    }
}

/// LG-05: a job that the ledger does not cover is refused at joining, and the job says by whom; what is left is nobody else's business.
#[tokio::test(flavor = "multi_thread")]
async fn a_job_beyond_the_budget_is_refused() {
    let (mut world, text) = tumours(&PRIVATE);
    world.with_ledgers(2.0);
    world.up().await;
    let end = finish(&world, &text).await;
    let words = "refused (ledger.budget): its privacy ledger does not cover the job";
    assert!(end.starts_with("failed") && end.contains(words), "{end}");
    assert!(!end.contains("epsilon"), "{end}");
    // Whoever refused first ended the job.
    let first = (0..3)
        .find(|index| end.contains(&format!("p{index} refused")))
        .unwrap();
    let own = party::find(&world.home(first), "tumours").unwrap();
    assert!(own.words.contains("epsilon"), "{}", own.words);
}

/// JC-14: after a restore, a job without a goal is given up by that party; one with a goal goes on.
#[tokio::test(flavor = "multi_thread")]
async fn a_restored_store_gives_up_exact_jobs() {
    for goal in [false, true] {
        let extra: &[&str] = if goal { &PRIVATE } else { &[] };
        let (mut world, text) = tumours(extra);
        world.start_coordinator().await;
        world.start_party(0).await;
        let mut client = world.client(&ada()).await;
        client.submit(signed(&text, &ada())).await.unwrap();
        state(&world, 0, "accepted").await;
        world.kill_party(0).await;
        std::fs::remove_file(world.folder.path().join("p0.anchor")).unwrap();
        for index in 0..3 {
            world.start_party(index).await;
        }
        let end = client.watch(digest_of(&text), 0, |_| {}).await.unwrap();
        if goal {
            assert!(end.starts_with("finished"), "{end}");
        } else {
            assert!(end.contains("p0 refused (party.restored)"), "{end}");
            state(&world, 0, "given up").await;
        }
    }
}

/// PO-02, PO-04, PO-09: what the policy does not open stays closed, with the rule's number and nothing of the rows.
#[tokio::test(flavor = "multi_thread")]
async fn what_the_policy_closes_is_refused_by_rule() {
    let cases = [
        (
            "[privacy]",
            "[privacy]\nunit = \"record\"",
            "required = false",
            "required = true",
            "PO-09",
        ),
        ("roles", "roles", "\"scientist\"", "\"operator\"", "PO-02"),
        (
            "[tables.breast_cancer]",
            "[tables.breast_cancer]\nclosed_columns = [\"mean_texture\"]",
            "",
            "",
            "PO-04",
        ),
        (
            "[tables.breast_cancer]",
            "[tables.breast_cancer]\nmin_rows = 100000",
            "",
            "",
            "PO-03",
        ),
    ];
    for (old, new, more, less, rule) in cases {
        let (mut world, text) = tumours(&[]);
        world.edit_policy = Box::new(move |policy| policy.replace(old, new).replace(more, less));
        world.up().await;
        let end = finish(&world, &text).await;
        assert!(
            end.contains(&format!("p1 refused ({rule})")),
            "{rule}: {end}"
        );
        // PO-17: that it was the number of rows is told to nobody.
        assert!(!end.contains("190") && !end.contains("PO-05"), "{end}");
    }
}

/// PR-04, PO-17: classes that a job lists ask nothing of the rows: one with another label is left out without a word.
#[tokio::test(flavor = "multi_thread")]
async fn which_labels_there_are_is_not_told() {
    let (mut world, text) = tumours(&["data.classes=[\"benign\", \"unheard of\"]"]);
    world.up().await;
    let end = finish(&world, &text).await;
    assert!(!end.contains("refused"), "{end}");
}

/// JC-18: an exact job that was stopped is not taken up again with other rows; with the old ones it is.
#[tokio::test(flavor = "multi_thread")]
async fn an_exact_job_goes_on_with_its_rows_or_not_at_all() {
    let (mut world, text) = tumours(&["training.rounds=900"]);
    world.up().await;
    let digest = digest_of(&text);
    let mut client = world.client(&ada()).await;
    client.submit(signed(&text, &ada())).await.unwrap();
    state(&world, 0, "joined").await;
    client.stop(digest).await.unwrap();
    state(&world, 0, "ended").await;
    let before = std::fs::read_to_string(&world.tables[0]).unwrap();
    let last = before.lines().last().unwrap().replace("0.1", "0.2");
    std::fs::write(&world.tables[0], format!("{before}{last}\n")).unwrap();
    client.submit(signed(&text, &ada())).await.unwrap();
    let refused = || {
        let own = party::find(&world.home(0), "tumours").unwrap();
        own.words.contains("the table changed since the job began")
    };
    for _ in 0..1000 {
        if refused() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(refused());
}

/// LG-07: a ledger that was set back is noticed when the daemon starts.
#[tokio::test(flavor = "multi_thread")]
async fn a_ledger_that_was_set_back_keeps_the_daemon_from_starting() {
    let (mut world, text) = tumours(&PRIVATE);
    world.with_ledgers(100.0);
    let copy = std::fs::read(world.ledger_path(0)).unwrap();
    world.up().await;
    let end = finish(&world, &text).await;
    assert!(end.starts_with("finished"), "{end}");
    state(&world, 0, "finished").await;
    world.kill_party(0).await;
    // Another start and stop: then the killed one's connection is closed for good.
    drop(world.try_party(0).await.unwrap());
    for ending in ["db-wal", "db-shm"] {
        let _ = std::fs::remove_file(world.ledger_path(0).with_extension(ending));
    }
    std::fs::write(world.ledger_path(0), copy).unwrap();
    let error = world.try_party(0).await.err().unwrap().to_string();
    assert!(error.contains("ledger"), "{error}");
}

//! Kill -9 of every actor, again and again: the job ends with the result of an undisturbed run.

use std::time::Duration;

use lepton_node::daemon::party;
use lepton_node::hex::hex;
use lepton_protocol::control::JobState;

use crate::whole::{finish, report, tumours};
use crate::world::{World, ada, signed};

/// Kills `who` (a party, or the coordinator) when the job has said so many events, starts it again, and gives the metrics of the end.
async fn killed_after(events: usize, who: Option<usize>) -> (lepton_protocol::report::Report, u64) {
    let (mut world, text) = tumours(&[]);
    world.up().await;
    let digest = signed(&text, &ada()).digest();
    world
        .client(&ada())
        .await
        .submit(signed(&text, &ada()))
        .await
        .unwrap();
    let mut client = world.client(&ada()).await;
    let (told, mut seen) = tokio::sync::watch::channel(0);
    let watcher = tokio::spawn(async move {
        // The coordinator may be killed under it.
        let _ = client
            .watch(digest, 0, |_| told.send_modify(|count| *count += 1))
            .await;
    });
    let _ = tokio::time::timeout(
        Duration::from_secs(60),
        seen.wait_for(|count| *count >= events),
    )
    .await;
    restart(&mut world, who).await;
    watcher.abort();
    let end = finish(&world, &text).await;
    assert!(
        end.starts_with("finished: 3 of 3 rounds"),
        "{who:?} after {events}: {end}"
    );
    let jobs = world.client(&ada()).await.list().await.unwrap();
    assert_eq!(jobs[0].state, JobState::Finished);
    (report(&world, &text).await, jobs[0].epoch)
}

async fn restart(world: &mut World, who: Option<usize>) {
    match who {
        Some(party) => {
            world.kill_party(party).await;
            world.start_party(party).await;
        }
        None => {
            world.kill_coordinator().await;
            world.start_coordinator().await;
        }
    }
}

/// JC-08, JC-09: full batches have nothing random in them, so every run must give the same numbers but for the order of additions.
#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_killed_whenever_the_result_is_the_same() {
    let (mut world, text) = tumours(&[]);
    world.up().await;
    finish(&world, &text).await;
    let expected = report(&world, &text).await;
    drop(world);
    let mut epochs = 0;
    for who in [None, Some(0), Some(1), Some(2)] {
        for events in 1..=12 {
            let (found, epoch) = killed_after(events, who).await;
            epochs += epoch - 1;
            let gap = (found.metrics.loss.unwrap() - expected.metrics.loss.unwrap()).abs();
            assert!(gap < 1e-4, "{who:?} after {events}: loss is off by {gap}");
            assert_eq!(found.metrics.rows, expected.metrics.rows);
            assert_eq!(found.data.rows_train, expected.data.rows_train);
        }
    }
    // Most of the kills hit an epoch under way.
    assert!(epochs >= 16, "{epochs}");
}

/// What people read is written after the record: a party that was killed between the two shows the record when it is back.
#[tokio::test(flavor = "multi_thread")]
async fn what_people_read_follows_the_record() {
    let (mut world, text) = tumours(&[]);
    world.up().await;
    finish(&world, &text).await;
    let digest = signed(&text, &ada()).digest();
    let state = |world: &World| party::list(&world.home(0)).unwrap()[0].state.clone();
    while state(&world) != "finished" {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    world.kill_party(0).await;
    let path = world.home(0).join(hex(&digest)).join("job.json");
    let shown = std::fs::read_to_string(&path).unwrap();
    let stale = shown.replacen("\"state\": \"finished\"", "\"state\": \"joined\"", 1);
    assert_ne!(stale, shown);
    std::fs::write(&path, stale).unwrap();
    assert_eq!(state(&world), "joined");
    world.start_party(0).await;
    assert_eq!(state(&world), "finished");
}

//! Kill -9 at every step of a job: it ends, with the result of an undisturbed run wherever nobody was left out, and the ledgers hold.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::books;
use crate::goal::GOAL;
use crate::process::{PATIENCE, within};
use crate::whole::assert_close;
use crate::world::{Setup, World, report};

/// A small job with full batches: nothing random in it but under a goal.
pub(crate) const JOB: &str = r#"[job]
name = "tumours"

[data]
table = "breast_cancer"
label = "diagnosis"
classes = ["benign", "malignant"]
features = ["mean_radius", "mean_texture", "worst_radius"]
types = { mean_radius = "number", mean_texture = "number", worst_radius = "number" }

[prepare.bounds]
mean_radius = [0, 40]
mean_texture = [0, 60]
worst_radius = [0, 50]

[model]
kind = "logistic"

[training]
rounds = 3
batch = 1000
learning_rate = 0.05

[evaluation]
every = 1

[protection]
colluders = 1
drops = 0
"#;

/// Who is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Victim {
    Coordinator,
    /// So many parties at once.
    Parties(usize),
}

/// When.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// The coordinator has just kept the submission: parties are joining.
    Submitted,
    /// The job's stream has so many events.
    Events(usize),
    /// The job has just finished: parties may not know yet.
    Finished,
}

/// One column of the matrix: which kind of job is killed whom in.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Row {
    pub(crate) victim: Victim,
    pub(crate) parties: usize,
    pub(crate) drops: usize,
    pub(crate) goal: bool,
    /// Whether the killed stay away until the job is over, as far as it gets without them.
    pub(crate) stay_away: bool,
}

/// What was found after a kill.
pub(crate) struct Cell {
    /// Whether the job was under way when it hit.
    pub(crate) hit: bool,
    /// Epochs beyond the first.
    pub(crate) epochs: u64,
    /// Training rounds that are not in the model: only under a goal.
    pub(crate) lost: u64,
    /// Whether some sum lacks a party.
    pub(crate) dropped: bool,
    /// From the restart to the results in ada's hands.
    pub(crate) took: Duration,
}

/// Longest time that the killed stay away.
const AWAY: Duration = Duration::from_secs(2);

/// A federation in which one job after the other is hit.
pub(crate) struct Range {
    row: Row,
    world: World,
    /// The report of an undisturbed run.
    expected: Value,
    /// Charges of an undisturbed run, of all parties together.
    charges: usize,
    /// Events of an undisturbed run.
    pub(crate) events: usize,
    shots: usize,
}

impl Range {
    pub(crate) fn new(row: Row) -> Self {
        let world = World::new(&Setup {
            parties: row.parties,
            budget: row.goal.then_some(1000.0),
            ..Setup::default()
        });
        std::fs::write(world.path("job.toml"), JOB).unwrap();
        let mut this = Self {
            row,
            world,
            expected: Value::Null,
            charges: 0,
            events: 0,
            shots: 0,
        };
        let (job, results) = this.undisturbed();
        this.events = books::events(&job).len();
        this.expected = report(&results);
        if row.goal {
            this.charges = books::balanced(&this.world, &job);
        }
        this
    }

    fn settings(&self, shot: usize) -> Vec<String> {
        let mut all = vec![
            format!("job.name=shot-{shot}"),
            format!("protection.drops={}", self.row.drops),
        ];
        if self.row.goal {
            all.extend(GOAL.map(str::to_owned));
        }
        all
    }

    fn undisturbed(&self) -> (PathBuf, PathBuf) {
        let settings = self.settings(0);
        let settings: Vec<&str> = settings.iter().map(String::as_str).collect();
        let results = self.world.train("job.toml", &settings).unwrap();
        (self.world.jobs().pop().unwrap(), results)
    }

    /// Submits another job, kills a little after the step, starts again, and looks at what became of it.
    pub(crate) fn shoot(&mut self, step: Step, after: Duration) -> Cell {
        self.shots += 1;
        let settings = self.settings(self.shots);
        let settings: Vec<&str> = settings.iter().map(String::as_str).collect();
        let known = self.world.jobs();
        let submitted = self.world.submit("job.toml", &settings, &["--detach"]);
        let job = within(PATIENCE, || {
            self.world
                .jobs()
                .into_iter()
                .find(|job| !known.contains(job))
        });
        let job = job.expect("the job never came");
        reached(&job, step);
        std::thread::sleep(after);
        let hit = !over(&job);
        self.kill();
        drop(submitted);
        if self.row.stay_away {
            within(AWAY, || over(&job).then_some(()));
        }
        let begun = Instant::now();
        self.restart();
        // The same text is the same job (rule JC-11): whether its submission was kept or not.
        let results = self.world.train("job.toml", &settings);
        let results = results.unwrap_or_else(|error| panic!("{:?} {step:?}: {error}", self.row));
        let took = begun.elapsed();
        self.judge(&job, &results, (hit, took))
    }

    fn victims(&self) -> Vec<usize> {
        match self.row.victim {
            Victim::Coordinator => Vec::new(),
            // Another one each time.
            Victim::Parties(count) => (0..count)
                .map(|i| (self.shots + i) % self.row.parties)
                .collect(),
        }
    }

    fn kill(&mut self) {
        for index in self.victims() {
            self.world.parties[index].kill();
        }
        if self.row.victim == Victim::Coordinator {
            self.world.hub.kill();
        }
    }

    fn restart(&mut self) {
        if self.row.victim == Victim::Coordinator {
            self.world.hub.start();
        }
        for index in self.victims() {
            self.world.parties[index].start();
        }
    }

    fn judge(&mut self, job: &Path, results: &Path, (hit, took): (bool, Duration)) -> Cell {
        let found = report(results);
        let events = books::events(job);
        let all = |(_, survivors): &(String, Vec<u64>)| survivors.len() == self.row.parties;
        let dropped = !books::sums(&events).iter().all(all);
        assert!(
            self.row.drops > 0 || !dropped,
            "somebody was left out: {events:?}"
        );
        let rounds = found["rounds"].as_u64().unwrap();
        if self.row.goal {
            let charges = books::balanced(&self.world, job);
            // A round is charged once: whoever was killed begins another, and one less is left.
            assert!(
                charges <= self.charges,
                "{charges} charges, {} undisturbed",
                self.charges
            );
        } else {
            assert_eq!(rounds, 3, "{events:?}");
        }
        if !self.row.goal && !dropped {
            assert_close(&found, &self.expected);
        }
        let listed = self.world.lepton(&["job", "list", "--json"]).fine().json();
        let digest = job.file_name().unwrap().to_str().unwrap();
        let line = listed
            .as_array()
            .unwrap()
            .iter()
            .find(|line| line["job"] == digest);
        let line = line.unwrap();
        assert_eq!(line["state"], "finished");
        Cell {
            hit,
            epochs: line["epoch"].as_u64().unwrap() - 1,
            lost: 3 - rounds,
            dropped,
            took,
        }
    }

    /// Everything that was written under all those kills holds: audit logs, ledgers; without a goal nothing was charged.
    pub(crate) fn end(mut self) {
        self.world.all_linked();
        for party in &self.world.names {
            self.world.all_ended(party);
            if !self.row.goal {
                let ledger = format!("{party}/ledger.db");
                let shown = self
                    .world
                    .lepton(&["budget", "show", "--ledger", &ledger, "--json"]);
                assert_eq!(shown.fine().json()["entries"], 1, "{party}");
            }
        }
        books::verified(&self.world, &[]);
    }
}

fn over(job: &Path) -> bool {
    let state = |event: &Value| event["state"].as_str().map(str::to_owned);
    let last = books::events(job).iter().rev().find_map(state);
    matches!(last.as_deref(), Some("finished" | "failed" | "stopped"))
}

fn reached(job: &Path, step: Step) {
    let there = within(PATIENCE, || {
        let reached = match step {
            Step::Submitted => true,
            Step::Events(count) => books::events(job).len() >= count || over(job),
            Step::Finished => over(job),
        };
        reached.then_some(())
    });
    assert!(
        there.is_some(),
        "{step:?} never came: {:?}",
        books::events(job)
    );
}

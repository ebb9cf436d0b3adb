//! Which kills are tried: a few in every test run, all of them for `docs/crash-matrix.md`.

use std::time::Duration;

use crate::crash::{Cell, Range, Row, Step, Victim};

/// Where the whole matrix writes its table; `cargo xtask show` says it.
const TABLE: &str = "LEPTON_CRASH_MATRIX";

/// How many milliseconds after every step the whole matrix kills: also in the middle of the exchange that follows.
const AFTER: [u64; 3] = [0, 4, 10];

const COORDINATOR: Row = Row {
    victim: Victim::Coordinator,
    parties: 4,
    drops: 0,
    goal: false,
    stay_away: false,
};

const PARTY: Row = Row {
    victim: Victim::Parties(1),
    ..COORDINATOR
};

const GONE: Row = Row {
    drops: 1,
    stay_away: true,
    ..PARTY
};

/// As many as seven parties with one colluder can spare.
const TWO: Row = Row {
    victim: Victim::Parties(2),
    parties: 7,
    drops: 2,
    goal: false,
    stay_away: false,
};

const TWO_GONE: Row = Row {
    stay_away: true,
    ..TWO
};

fn with_a_goal(row: Row) -> Row {
    Row { goal: true, ..row }
}

fn some(row: Row, steps: &[Step]) {
    let mut range = Range::new(row);
    for step in steps {
        range.shoot(*step, Duration::ZERO);
    }
    range.end();
}

/// JC-09: nothing that the coordinator said is forgotten with it.
#[test]
fn the_coordinator_is_killed() {
    some(
        COORDINATOR,
        &[
            Step::Submitted,
            Step::Events(4),
            Step::Events(7),
            Step::Finished,
        ],
    );
}

/// JC-09, FT-10.
#[test]
fn the_coordinator_is_killed_under_a_goal() {
    some(
        with_a_goal(COORDINATOR),
        &[Step::Submitted, Step::Events(5), Step::Finished],
    );
}

/// JC-08.
#[test]
fn a_party_is_killed() {
    some(
        PARTY,
        &[
            Step::Submitted,
            Step::Events(3),
            Step::Events(6),
            Step::Finished,
        ],
    );
}

/// JC-08, FT-08.
#[test]
fn a_party_is_killed_under_a_goal() {
    some(
        with_a_goal(PARTY),
        &[Step::Submitted, Step::Events(5), Step::Finished],
    );
}

/// As many parties as may be lost are lost together, and the others end the job without them.
#[test]
fn the_tolerated_number_of_parties_is_killed_and_stays_away() {
    some(TWO_GONE, &[Step::Events(5)]);
    some(with_a_goal(TWO_GONE), &[Step::Events(6)]);
}

/// What all shots at one row found.
#[derive(Default)]
struct Sum {
    kills: usize,
    hits: usize,
    epochs: u64,
    lost: u64,
    dropped: usize,
    longest: Duration,
}

impl Sum {
    fn add(&mut self, cell: &Cell) {
        self.kills += 1;
        self.hits += usize::from(cell.hit);
        self.epochs += cell.epochs;
        self.lost += cell.lost;
        self.dropped += usize::from(cell.dropped);
        self.longest = self.longest.max(cell.took);
    }
}

fn steps(events: usize) -> impl Iterator<Item = Step> {
    let between = (1..events).map(Step::Events);
    std::iter::once(Step::Submitted)
        .chain(between)
        .chain([Step::Finished])
}

fn line(row: Row) -> String {
    let mut range = Range::new(row);
    let mut sum = Sum::default();
    for after in AFTER {
        for step in steps(range.events) {
            sum.add(&range.shoot(step, Duration::from_millis(after)));
        }
    }
    range.end();
    let who = match (row.victim, row.stay_away) {
        (Victim::Coordinator, _) => "coordinator".to_owned(),
        (Victim::Parties(1), false) => "one party".to_owned(),
        (Victim::Parties(1), true) => "one party, stays away".to_owned(),
        (Victim::Parties(n), false) => format!("{n} parties together"),
        (Victim::Parties(n), true) => format!("{n} parties together, stay away"),
    };
    let kills = sum.kills;
    let same = match row.goal {
        true => "noise differs".to_owned(),
        false => format!("{0} of {0}", kills - sum.dropped),
    };
    format!(
        "| {who} | {} | {} | {} | {kills} | {} | {kills} of {kills} | {} | {} | {} | {same} | {:.1} s |\n",
        row.parties,
        row.drops,
        if row.goal { "epsilon 1" } else { "none" },
        sum.hits,
        sum.epochs,
        sum.lost,
        sum.dropped,
        sum.longest.as_secs_f64()
    )
}

/// Every row at every step: a failure anywhere is a failure here, so that a table that was written says that all of it held.
#[test]
#[ignore = "takes minutes: `cargo xtask show crash-matrix` runs it"]
fn the_whole_matrix() {
    let path = std::env::var(TABLE).expect("LEPTON_CRASH_MATRIX names the file to write");
    let mut text = include_str!("matrix.md").to_owned();
    let lines: Vec<String> = std::thread::scope(|scope| {
        let begin = |row| scope.spawn(move || [row, with_a_goal(row)].map(line).concat());
        let rows = [COORDINATOR, PARTY, GONE, TWO, TWO_GONE].map(begin);
        rows.map(|row| row.join().unwrap()).to_vec()
    });
    text += &lines.concat();
    std::fs::write(path, text).unwrap();
}
